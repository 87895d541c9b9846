"""The article's second part, live: BIRD on every node, FRR on the router, traffic over several next hops.

Owns the order of the steps and what each must show. Must not know how the lab works inside.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from ipaddress import ip_network

from lab.command import control
from lab.command.hosts import Hosts
from lab.demo.routes import NodeAddresses, established, next_hops, show_route, updates_received
from lab.demo.scenario import (
    BGP,
    GROUP_BGP,
    GROUP_LAYER2,
    LAYER2,
    NAMESPACE,
    SERVICES_BGP,
    SERVICES_LAYER2,
    Scenario,
)
from lab.demo.steps import SETTLE_SECONDS, Steps, short, url
from lab.demo.transcript import Transcript
from purelb.addresses import IPAddress, IPNetwork

_REQUESTS = 24  # with three next hops, all from one node is 3 in 10 to the 11th
_STEADY_SECONDS = 3.0


class EcmpWalkthrough(Steps):
    """The steps, against a running lab with `--ecmp`."""

    def __init__(self, hosts: Hosts, scenario: Scenario, transcript: Transcript) -> None:
        super().__init__(hosts, scenario, transcript)
        self._addresses = NodeAddresses.of(self._nodes.values())

    def run(self) -> None:
        """All steps in the article's order, then what happens when something happens."""
        self.bird()
        self.sessions()
        self.group()
        self.services()
        self._routed_addresses()
        self.routes(set(self._nodes))
        self.curl()
        self.agent_restart()
        self.power_failure()
        self.drain()
        self.deletion()

    # --- the article ---

    def bird(self) -> None:
        self._show.heading("BIRD runs on every node")
        count = len(self._nodes)
        self._kubectl(
            ["get", "ds", "-n", "purelb"],
            f"{count} pods of bird are ready",
            lambda out: any(line.split()[:4] == ["bird", *[str(count)] * 3] for line in out.splitlines()),
        )
        self._kubectl(
            ["get", "cm", "-n", "purelb", "bird-cm"], "its configuration is there", lambda out: "bird-cm" in out
        )

    def sessions(self) -> None:
        self._show.heading("The router has a BGP session with each node")
        wanted = set(self._nodes)

        def matches(_: str) -> bool:
            return established(self._hosts.vtysh("show bgp ipv4 unicast summary json"), self._addresses) == wanted

        self._on_router("show ip bgp summary", f"established with {self._listing(wanted)}", matches)

    def group(self) -> None:
        self._show.heading("A ServiceGroup for addresses of another subnet")
        self._apply(GROUP_LAYER2)
        self._apply(SERVICES_LAYER2)
        self._apply(GROUP_BGP)
        self._kubectl(["get", "sg", "-n", "purelb"], "both groups are there", lambda out: LAYER2 in out and BGP in out)

    def services(self) -> None:
        self._show.heading("Two Services get addresses, and every node has them on kube-lb0")
        self._apply(SERVICES_BGP)
        self._services((*self._scenario.layer2, *self._scenario.bgp))

    def routes(self, nodes: set[str]) -> None:
        self._show.heading(f"The router has a route over {self._listing(nodes)}")
        for family in sorted({vip.version for vip in self._scenario.bgp_vips()}):
            command = f"show {'ip' if family == 4 else 'ipv6'} route bgp"
            prefixes = [host_route(vip) for vip in self._scenario.bgp_vips() if vip.version == family]
            listing = " and ".join(map(str, prefixes))

            def matches(_: str, prefixes: list[IPNetwork] = prefixes) -> bool:
                return all(self._hops(prefix) == nodes for prefix in prefixes)

            self._on_router(command, f"{listing} over {self._listing(nodes)}", matches)

    def curl(self) -> None:
        self._show.heading("Requests from the client are spread by their source ports")
        for vip in self._scenario.bgp_vips():
            answers = [
                self._hosts.run("client", ["curl", "-sS", "--max-time", "2", url(vip)]) for _ in range(_REQUESTS)
            ]
            lines = [(done.stdout or done.stderr).strip() for done in answers]
            self._show.command("client", f"curl {url(vip)}   # {_REQUESTS} times", "\n".join(lines[:6]))
            takers = [self._taker(line) for line in lines]
            counts = {node: takers.count(node) for node in self._nodes}
            spread = ", ".join(f"{short(node)} {count}" for node, count in counts.items())
            self._show.expect(
                sum(counts.values()) == _REQUESTS and sum(map(bool, counts.values())) > 1,
                f"{vip}: all {_REQUESTS} are answered, by several nodes ({spread})",
            )

    # --- what happens when something happens ---

    def agent_restart(self) -> None:
        self._show.heading("The agents are restarted: the router hears nothing of it")
        before = self._updates()
        done = self._hosts.kubectl("rollout", "restart", "daemonset/lbnodeagent", "-n", "purelb")
        self._show.command("", "kubectl rollout restart daemonset/lbnodeagent -n purelb", done.stdout + done.stderr)
        self._kubectl(
            ["rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=60s"],
            "every node has a new agent",
            lambda out: "successfully rolled out" in out,
        )
        time.sleep(_STEADY_SECONDS)
        after = self._updates()
        self._show.expect(after == before, "no BGP update came from any node", f"{before} before, {after} after")
        self.routes(set(self._nodes))

    def power_failure(self) -> None:
        loser = list(self._nodes)[-1]
        rest = set(self._nodes) - {loser}
        vip = self._scenario.bgp_vips()[0]
        self._show.heading(f"{short(loser)} loses power: BFD tells, and the router goes on with the others")
        began = time.monotonic()
        control.request(self._hosts.folder, "fault", target=loser, kind="power")
        self._show.command("", f"purelb-lab fault {short(loser)} power", f"{loser}: the cable is out")
        gone = self._wait(lambda: self._hops(host_route(vip)) == rest)
        took = f"after {(time.monotonic() - began) * 1000:.0f} ms"
        self._show.expect(gone, f"{host_route(vip)} goes over {self._listing(rest)} alone {took}")
        self._endpoints_left(loser)
        self.curl()
        control.request(self._hosts.folder, "heal", target=loser)
        self._show.command("", f"purelb-lab heal {short(loser)}", f"{loser}: power healed")
        self.routes(set(self._nodes))

    def drain(self) -> None:
        leaving = list(self._nodes)[-1]
        self._show.heading(f"{short(leaving)} is drained: its routes go before it does")
        control.request(self._hosts.folder, "fault", 90, target=leaving, kind="drain")
        self._show.command("", f"kubectl drain {short(leaving)}", "cordoned and drained")
        self.routes(set(self._nodes) - {leaving})
        control.request(self._hosts.folder, "heal", 90, target=leaving)
        self._show.command("", f"kubectl uncordon {short(leaving)}", "uncordoned")
        self.routes(set(self._nodes))

    def deletion(self) -> None:
        service = self._scenario.bgp[0]
        self._show.heading(f"{service.service} is deleted: its routes go, the others stay")
        done = self._hosts.kubectl("delete", "svc", service.service, "-n", NAMESPACE)
        self._show.command("", f"kubectl delete svc {service.service} -n {NAMESPACE}", done.stdout + done.stderr)
        for vip in service.addresses:
            gone, prefix = self._wait(lambda vip=vip: not self._hops(host_route(vip))), host_route(vip)  # type: ignore[misc]
            self._show.expect(gone, f"the router has no route to {prefix}")
        for vip in self._scenario.bgp[1].addresses:
            self._show.expect(self._hops(host_route(vip)) == set(self._nodes), f"{host_route(vip)} is as it was")

    # --- looking ---

    def _hops(self, prefix: IPNetwork) -> set[str]:
        return next_hops(self._hosts.vtysh(show_route(prefix)), prefix, self._addresses)

    def _updates(self) -> dict[str, int]:
        return updates_received(self._hosts.vtysh("show bgp neighbors json"), self._addresses)

    def _wait(self, look: Callable[[], bool]) -> bool:
        deadline = time.monotonic() + SETTLE_SECONDS
        while not (holds := look()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return holds

    def _on_router(self, command: str, expectation: str, check: Callable[[str], bool]) -> None:
        def run() -> str:
            return "\n".join(line for line in self._hosts.vtysh(command).splitlines() if not _is_legend(line))

        self._until("tiny-openwrt-plus", command, run, expectation, check)

    def _listing(self, nodes: set[str]) -> str:
        return ", ".join(short(node) for node in self._nodes if node in nodes) or "no node"


def host_route(vip: IPAddress) -> IPNetwork:
    """The route of a single address."""
    return ip_network(f"{vip}/{vip.max_prefixlen}")


def _is_legend(line: str) -> bool:
    """Whether a line only explains FRR's letters, or is empty."""
    return not line.strip() or line.startswith(("Codes:", "       "))
