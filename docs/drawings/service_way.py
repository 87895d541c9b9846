"""The way of a Service, from `kubectl apply` to `kubectl describe`."""

from __future__ import annotations

from docs.drawings import sequence
from docs.drawings.sequence import Deed, Message

USER, API, ALLOCATOR, CONTROL, DATA, KERNEL, WIRE = (
    "kubectl",
    "API server",
    "allocator",
    "agent: control plane",
    "agent: data plane",
    "kernel",
    "wire",
)
STEPS = (
    Message(USER, API, "apply Service"),
    Message(API, ALLOCATOR, "watch: Service"),
    Deed(ALLOCATOR, "request → decision, in memory"),
    Deed(ALLOCATOR, "plan: which nodes, with placement: even"),
    Message(ALLOCATOR, API, "one PATCH of status"),
    Message(API, CONTROL, "watch: its addresses, plan"),
    Deed(CONTROL, "table of wanted VIPs"),
    Message(CONTROL, DATA, "table (mailbox)"),
    Deed(DATA, "election: who has each VIP"),
    Deed(DATA, "plan(wanted, present, owners)"),
    Message(DATA, KERNEL, "netlink: add VIP"),
    Message(KERNEL, DATA, "it is there"),
    Message(DATA, WIRE, "gratuitous ARP, or neighbour advertisement"),
    Message(DATA, CONTROL, "report (mailbox)"),
    Message(CONTROL, API, "event, purelb.io/announcing-IPv4 or -IPv6"),
    Message(API, USER, "describe, get"),
)
FOOT = (
    "Every node's agent hears of the Service and elects alike, by the plan, else by the hash, among the nodes that "
    "live and serve; only the owner goes on from there.",
    "A VIP of no node's subnet is owned by all: it goes to kube-lb0, and routing software says so instead of ARP.",
)


def draw() -> str:
    lanes = (USER, API, ALLOCATOR, CONTROL, DATA, KERNEL, WIRE)
    return sequence.draw("The way of a Service", lanes, STEPS, width=1160, margin=10, foot=FOOT)
