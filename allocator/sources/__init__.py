"""Address keepers outside the cluster: NetBox and sidecars, asked, told, and made up for when they are away.

It gives nothing away itself, and must not know Services.
"""
