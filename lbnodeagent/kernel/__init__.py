"""The node's interfaces, addresses and routes as the kernel has them: read, followed, changed.

The only package that imports pyroute2, in one file. It decides nothing and must not know who owns a VIP.
"""
