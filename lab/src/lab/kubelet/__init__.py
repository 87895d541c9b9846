"""The kubelets of all nodes: pods as processes, their files, probes, restarts and status.

Owns what happens to a pod once it is bound to a node, and what an image or a securityContext makes of a container. It
must not decide how many pods there are or where (`controllers` does), nor read the lab's command line.
"""
