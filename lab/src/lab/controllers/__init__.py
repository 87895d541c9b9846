"""What kube-controller-manager and kube-scheduler do, as far as PureLB and its users meet it.

Owns Deployments, DaemonSets, scheduling, the life of Node objects, EndpointSlices, budgets, namespaces. It must not
touch the network or processes: it reads and writes objects alone.
"""
