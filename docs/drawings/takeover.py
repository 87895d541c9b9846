"""From a cut cable to the first answer of the next owner, by the intervals of `Config.steady` and what was measured."""

from __future__ import annotations

from docs.drawings import sequence
from docs.drawings.sequence import Deed, Message
from memberlist.config import Config
from memberlist.suspicion import shortest

MEMBERS = 5
MEASURED = (321, 506)
"""Milliseconds of silence that a client sees, median and worst of 20 (docs/failover.md, `bench.failover`)."""
OWNER, PROBER, OTHERS, NEXT, CLIENT = ("owner", "one member", "the other members", "next owner", "client")


def draw() -> str:
    median, worst = MEASURED
    config = Config.steady()
    silent, verdict = config.probe_timeout * 1000, shortest(config, MEMBERS) * 1000
    interval, probe = config.probe_interval * 1000, (config.probe_length or config.probe_interval) * 1000
    first = 0.8 * interval
    suspect = first + probe
    dead = suspect + verdict
    steps = (
        Message(CLIENT, OWNER, "request, and the answer comes", ""),
        Deed(OWNER, "its cable is cut", "0 ms", "bad"),
        Message(PROBER, OWNER, "ping", f"{first:.0f} ms", is_lost=True),
        Message(PROBER, OTHERS, "ping it for me", f"{first + silent:.0f} ms"),
        Message(PROBER, OWNER, "TCP", is_lost=True),
        Message(OTHERS, OWNER, "ping: three of them", is_lost=True),
        Message(PROBER, OTHERS, "suspect", f"{suspect:.0f} ms"),
        Message(OTHERS, OWNER, "ping, at once: do you live?", is_lost=True),
        Message(OTHERS, NEXT, "suspect: two confirm it"),
        Deed(OTHERS, "the suspicion's time is over: dead", f"{dead:.0f} ms", "bad"),
        Deed(NEXT, "election: the VIP is mine"),
        Deed(NEXT, "netlink: add VIP to the NIC"),
        Message(NEXT, CLIENT, "gratuitous ARP"),
        Message(CLIENT, NEXT, "request"),
        Message(NEXT, CLIENT, "answer", f"{median} ms ({worst})"),
    )
    foot = (
        f"Config.steady(), {MEMBERS} members: a probe falls on the dead one after 0.8 x {interval:.0f} ms on average,",
        f"{silent:.0f} ms until others are asked, {probe:.0f} ms for a probe, {verdict:.0f} ms of suspicion.",
        "The last time is measured at the client, from its last answer: median (worst of 20).",
    )
    lanes = (OWNER, PROBER, OTHERS, NEXT, CLIENT)
    return sequence.draw("From a death to the takeover", lanes, steps, width=960, margin=110, foot=foot)
