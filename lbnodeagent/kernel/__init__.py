"""The node's interfaces, addresses and routes as the kernel has them: read, followed, changed.

Of pyroute2 it takes the messages, in one file; nothing else imports it. It decides nothing and must not know who owns a
VIP.
"""
