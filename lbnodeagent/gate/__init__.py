"""Whether the node's own data path works: what hurts it, how it is looked at, and when that counts.

Knows nothing of VIPs, of the election or of the other nodes.
"""
