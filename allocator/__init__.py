"""The allocator: gives every Service of type LoadBalancer its addresses, and plans which nodes should have them.

What it decides is pure (ipam/, placement/, and reconcile/'s review); what it does is one loop (controller.py of
reconcile/), one write per decision (writer.py there), and one writer in the cluster (leadership.py). It must not know
the gossip, netlink, or what an agent does with an address: of nodes it knows what the API server has.
"""
