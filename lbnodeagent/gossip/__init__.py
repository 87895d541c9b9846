"""The other agents: memberlist, around the members that we know and what they say of themselves.

The only package of the agent that imports memberlist. It must not know VIPs' owners, interfaces or Kubernetes.
"""
