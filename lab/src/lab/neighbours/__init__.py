"""Who else is in a cluster's neighbourhood and means no good: hosts on the wire, other controllers, tenants.

Owns what they send and write. They know nothing of PureLB but what it shows; when they begin and end is `command`'s.
"""
