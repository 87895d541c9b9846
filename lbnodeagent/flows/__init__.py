"""Connections that survive a planned move of their VIP: who had it goes on serving them, the new owner forwards.

Owns the table ``purelb-flows`` of nftables, what is read of the kernel's conntrack, and who is told of which flows.
Must not know Kubernetes, nor decide who has a VIP.
"""
