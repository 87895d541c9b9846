"""The agent's second thread: from Services, groups, slices and nodes to VIPs, and from reports to what users read.

It owns the talk with the API server. It must not touch the kernel, the gossip or the wire: it tells the data plane, and
is told, through a mailbox each way.
"""
