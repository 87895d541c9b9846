"""The answer to what came in for a VIP leaves by the NIC that it came in by, whatever the node's default route says.

Owns which subnets need that, and the marks, rules and routes for it. Must not know Kubernetes, nor who has a VIP.
"""
