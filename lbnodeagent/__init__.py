"""The node agent: puts each VIP on the node that should answer for it.

Two halves. The data plane (dataplane.py: gossip, election, netlink, frames) never waits for Kubernetes; the control
plane (controlplane.py: kopf, annotations, events) runs on a loop and thread of its own. They exchange frozen values
through a Mailbox each way.
"""
