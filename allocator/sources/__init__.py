"""Those outside the cluster who keep addresses: NetBox and sidecars. When they are asked, told, and looked at.

It gives nothing away itself, and must not know Services: what they hold comes in by a protocol, news comes out as
values.
"""
