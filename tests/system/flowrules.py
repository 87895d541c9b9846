"""What a kernel makes of our rules, and says of its flows: runs in a network of its own, prints JSON."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
from contextlib import suppress
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

from lbnodeagent.errors import KernelError
from lbnodeagent.flows import translation
from lbnodeagent.flows.netfilter import Netfilter
from lbnodeagent.flows.objects import TABLE
from lbnodeagent.flows.rules import Rules
from lbnodeagent.flows.tables import (
    FLOW,
    STRAY,
    Account,
    Adopted,
    Await,
    Change,
    Disown,
    Fellows,
    Flow,
    Keep,
    Located,
    Released,
    Routed,
    Server,
    Settled,
    Stray,
)
from lbnodeagent.tables import IfIndex, Mac

VIP, VIP6 = IPv4Address("10.31.188.64"), IPv6Address("fd00::64")
ROUTED, OTHER = IPv4Address("10.189.0.1"), IPv4Address("10.31.188.12")
GONE, NOWHERE = IPv4Address("10.31.188.65"), IfIndex(9999)
CLIENT, CLIENT6 = IPv4Address("10.31.100.2"), IPv6Address("fd00::2")
SERVER, SERVER6 = Server("w11", IPv4Address("10.31.188.11")), Server("w11", IPv6Address("fd00::11"))
TABLES = (("netdev", TABLE), ("inet", TABLE))
KUBE_PROXY = (
    "table ip6 kube-proxy {}",
    "table ip6 kube-proxy\ndelete table ip6 kube-proxy\ntable ip nat { chain KUBE-SERVICES {}; }",
)
"""In mode nftables, and then in mode iptables."""
TRANSLATION = f"""
table inet proxy {{
  chain out {{
    type nat hook output priority -100;
    ip daddr {VIP} tcp dport 80 dnat ip to 127.0.0.1:8080
    ip6 daddr {VIP6} tcp dport 80 dnat ip6 to [::1]:8080
  }}
}}
"""


def run(*command: str, text: str | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout


def elements(name: str) -> int:
    """How many flows a set has."""
    return run("nft", "list", "set", "netdev", TABLE, name).count("expires")


def flow(port: int, client: IPv4Address | IPv6Address) -> Flow:
    return Flow(FLOW.pack(6, port, 80) + client.packed)


def stray(port: int, vip: IPv4Address | IPv6Address = ROUTED) -> Stray:
    client = CLIENT if vip.version == 4 else CLIENT6
    return Stray(STRAY.pack(port, 80) + client.packed + vip.packed)


def send_mid_flow(port: int) -> None:
    """A packet of a connection that nobody here knows."""
    segment = struct.pack("!HHIIBBHHH", port, 80, 1, 1, 5 << 4, 0x10, 1024, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.bind((str(CLIENT), 0))
        raw.sendto(segment, (str(ROUTED), 0))


def try_strays(rules: Rules, netfilter: Netfilter, lo: IfIndex) -> dict[str, object]:
    """What is held back, found and passed on of connections to a routed VIP."""
    said: dict[str, object] = {}
    servers = frozenset({SERVER.address, OTHER})
    rules.apply(Routed((ROUTED, VIP6), True))
    rules.apply(Fellows(4, lo, servers, frozenset({Mac(b"purelb")})))
    rules.apply(Fellows(6, lo, frozenset({SERVER6.address}), frozenset()))
    for port in (50001, 50001, 50002):
        send_mid_flow(port)
    held = rules.held()
    said["held back"] = held == {4: {stray(50001), stray(50002)}, 6: set()}
    rules.apply(Released((stray(50001), stray(50009))))
    send_mid_flow(50001)
    said["let go"] = rules.held()[4] == {stray(50002)}
    places = [(place, one) for place, one in enumerate((stray(40001), stray(40001, VIP), stray(40002, VIP6)))]
    said["found"] = [place for place, left in netfilter.find(places) if left > 0]
    many = tuple((stray(port), SERVER.address) for port in range(1, 2001))
    rules.apply(Located(((stray(40002, VIP6), SERVER6.address), *many)))
    rules.apply(Located(((stray(1), OTHER), (stray(2001), OTHER))))
    shown = run("nft", "list", "map", "netdev", TABLE, "located4")
    said["passed on"] = [shown.count(f"jump to-{server.packed.hex()}") for server in (SERVER.address, OTHER)]
    said["taken over"] = try_taking_over(netfilter, lo)
    run("nft", "delete", "table", "netdev", TABLE)
    rules.apply(Routed((OTHER,), True))
    said["after somebody flushed that"] = str(ROUTED) in run("nft", "list", "set", "netdev", TABLE, "routed4")
    rules.apply(Fellows(4))
    said["rules without fellows"] = "held4" in run("nft", "list", "chain", "inet", TABLE, "strays4")
    return said


def adopting(rules: Rules, netfilter: Netfilter, name: str) -> list[object]:
    """What the next run of an agent finds, and what of it is left when nobody claims it."""
    rules.apply(Keep(VIP, (SERVER,), IfIndex(socket.if_nametoindex("lo"))))
    rules.apply(Change(VIP, SERVER, (flow(1, CLIENT), flow(2, CLIENT)), (), True))
    following = Rules(netfilter)
    found = following.begin()
    is_known = Adopted(VIP, SERVER.address) in found
    following.apply(Keep(VIP, (SERVER,), IfIndex(socket.if_nametoindex("lo"))))
    following.apply(Change(VIP, SERVER, (flow(3, CLIENT),), (), True, is_renewal=True))
    kept = elements(name)
    last = Rules(netfilter)
    last.apply(Disown(tuple(last.begin())))
    return [is_known, kept, "flows-" in run("nft", "list", "ruleset")]


def who_translates(netfilter: Netfilter, interface: str, kube_proxy: str) -> str:
    """By whom, on a node with that interface and these chains of kube-proxy."""
    run("ip", "link", "add", interface, "type", "veth")
    run("nft", "-f", "-", text=kube_proxy)
    said = translation.look(netfilter)
    run("ip", "link", "del", interface)
    return said.split()[0] if said else ""


def try_taking_over(netfilter: Netfilter, lo: IfIndex) -> dict[str, object]:
    """What the next agent finds of servers and VIPs, and what is left of those that it doesn't know."""
    rules = Rules(netfilter)
    rules.begin()
    rules.apply(Fellows(4, lo, frozenset({OTHER}), frozenset()))
    rules.apply(Routed((VIP,), True))
    said: dict[str, object] = {"at first": shown_of_strays()}
    rules.apply(Settled())
    return said | {"when all is known": shown_of_strays()}


def shown_of_strays() -> list[int]:
    """How many nodes packets are passed on to, and how many VIPs are looked at."""
    shown = run("nft", "list", "table", "netdev", TABLE)
    routed = [run("nft", "list", "set", "netdev", TABLE, f"routed{version}") for version in (4, 6)]
    vips = str(VIP), str(VIP6), str(ROUTED)
    return [shown.count('name "packets" fwd ip to 10'), sum(vip in its for its in routed for vip in vips)]


def main() -> None:
    run("ip", "link", "set", "lo", "up")
    with Netfilter() as netfilter:
        rules = Rules(netfilter)
        try:
            rules.begin()
        except KernelError as error:
            print(json.dumps(str(error)))
            return
        rules.end()
    for address in (f"{ROUTED}/32", f"{VIP}/32", f"{CLIENT}/32", f"{VIP6}/128", f"{CLIENT6}/128"):
        run("ip", "addr", "add", address, "dev", "lo", *(["nodad"] if ":" in address else []))
    run("nft", "-f", "-", text=TRANSLATION)
    lo, name = IfIndex(socket.if_nametoindex("lo")), f"flows-{VIP.packed.hex()}-{SERVER.address.packed.hex()}"
    said: dict[str, object] = {}
    with (
        Netfilter() as netfilter,
        socket.create_server(("127.0.0.1", 8080)),
        socket.create_server(("::1", 8080), family=socket.AF_INET6),
        socket.create_connection((str(VIP), 80), source_address=(str(CLIENT), 40001)),
        socket.create_connection((str(VIP6), 80), source_address=(str(CLIENT6), 40002)),
        socket.create_connection(("127.0.0.1", 8080)),
    ):
        live = netfilter.live_flows((VIP, VIP6))
        said["live"] = [live[VIP] == [flow(40001, CLIENT)], live[VIP6] == [flow(40002, CLIENT6)]]
        said["one address"] = netfilter.live_flows((VIP,))[VIP] == [flow(40001, CLIENT)]

        rules = Rules(netfilter)
        rules.begin()
        said["at first"] = list(rules.packets())
        rules.apply(Await((VIP, VIP6), True))
        rules.apply(Keep(VIP, (SERVER,), lo))
        rules.apply(Keep(VIP6, (SERVER6,), lo))
        many = tuple(flow(port, CLIENT) for port in range(1, 5001))
        all_of_them = (*many, flow(40001, CLIENT))
        rules.apply(Change(VIP, SERVER, all_of_them, (), True))
        said["all at first"] = elements(name)
        rules.apply(Change(VIP, SERVER, all_of_them, (), True, is_renewal=True))
        said["but those that it serves itself"] = elements(name)
        rules.apply(Change(VIP, SERVER, many[:2], (), True, is_renewal=True))
        said["while they are told again in parts"] = elements(name)
        rules.apply(Change(VIP, SERVER, (flow(5001, CLIENT),), (many[0], flow(6000, CLIENT)), False))
        said["one more, one less, one that was not there"] = elements(name)
        rules.apply(Change(VIP, SERVER, (many[0],), (), True))
        said["anew"] = elements(name)

        account = Account(VIP, SERVER, "ended", 1, 1.0)
        said["packets of one move"] = rules.packets_of(account)
        said["of one that is not"] = rules.packets_of(replace(account, vip=GONE))

        run("nft", "delete", "table", "netdev", TABLE)
        rules.apply(Change(VIP, SERVER, (many[0],), (), False))
        rules.apply(Change(VIP, SERVER, (many[1],), (), False))
        said["after somebody flushed them"] = elements(name)

        for rule in (Keep(GONE, (SERVER,), NOWHERE), Change(GONE, SERVER, (many[0],), (), True)):
            with suppress(KernelError):
                rules.apply(rule)
        said["after the NIC of another address went"] = elements(name)

        said["adopted"] = adopting(rules, netfilter, name)
        said["who translates"] = [who_translates(netfilter, "cilium_host", mode) for mode in ("", *KUBE_PROXY)]

        run("nft", "flush", "ruleset")
        said["counted where there is nothing"] = list(rules.packets())
        said["and made anew"] = [TABLE in run("nft", "list", "table", *where) for where in TABLES]
        said["strays"] = try_strays(rules, netfilter, lo)
        rules.apply(Keep(VIP, (), lo))
        rules.apply(Await((VIP,), False))
        said["forgotten"] = name in run("nft", "list", "table", "netdev", TABLE)
        rules.end()
        said["left"] = TABLE in run("nft", "list", "tables")
    print(json.dumps(said))


if __name__ == "__main__":
    main()
