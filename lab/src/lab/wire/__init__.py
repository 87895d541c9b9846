"""The nodes' machines and what lies between them: hosts, bridge, cables, routes, the router's FRR.

Owns which hosts there are, their addresses and networks, and the faults of the wire. It must not know Kubernetes.
"""
