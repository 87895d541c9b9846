"""The article's walkthrough, live: each step a command, its output, and whether it is what must be seen.

Owns the order of the steps and what each must show. What is applied and which addresses follow is `scenario`'s, how a
step is shown `steps`'; must not know how the lab works inside.
"""

from __future__ import annotations

import time

from lab.command import control
from lab.command.hosts import Hosts
from lab.demo.scenario import (
    BGP,
    GROUP_BGP,
    GROUP_LAYER2,
    LAYER2,
    NAMESPACE,
    SERVICE_FIXED,
    SERVICES_BGP,
    SERVICES_LAYER2,
    Expected,
    Scenario,
    owners,
)
from lab.demo.steps import SETTLE_SECONDS, Steps, short, url
from lab.demo.stopwatch import Replies
from lab.demo.transcript import Transcript
from purelb.addresses import IPAddress

FAILOVER_SECONDS = 10.0
_PING_SECONDS = 0.01


class Walkthrough(Steps):
    """The article's first part, and its addresses on kube-lb0."""

    def __init__(self, hosts: Hosts, scenario: Scenario, transcript: Transcript) -> None:
        super().__init__(hosts, scenario, transcript)
        self._owners = owners(scenario.layer2_vips(), self._nodes)

    def run(self) -> None:
        """All steps in the article's order."""
        self.installed()
        self.layer2_group()
        self.layer2_services()
        self.events_and_annotations()
        self.fixed_address()
        self.neighbours()
        self.node_addresses()
        self.bgp()
        self.curl()
        self.power_failure()

    # --- steps ---

    def installed(self) -> None:
        self._show.heading("PureLB is installed")
        pods = ["get", "pods", "-n", "purelb", "-o", "wide"]
        self._kubectl(pods, "two allocators, on two nodes, and an agent on each node run", self._pods_run)
        self._kubectl(
            ["get", "crd"],
            "both custom resources are there",
            lambda out: "lbnodeagents.purelb.io" in out and "servicegroups.purelb.io" in out,
        )
        lbna = ["get", "--namespace=purelb", "lbnodeagent.purelb.io"]
        self._kubectl(lbna, "an LBNodeAgent `default` exists", lambda out: "default" in out)

    def _pods_run(self, out: str) -> bool:
        lines = [line.split() for line in out.splitlines()[1:]]
        running = [line for line in lines if line[1:3] == ["1/1", "Running"]]
        agents = {line[5] for line in running if line[0].startswith("lbnodeagent")}
        allocators = {line[6] for line in running if line[0].startswith("allocator")}
        return (
            len(running) == len(lines) == len(self._nodes) + 2
            and len(agents) == len(self._nodes)
            and len(allocators) == 2
        )

    def layer2_group(self) -> None:
        self._show.heading("A ServiceGroup for addresses of the nodes' own subnet")
        self._apply(GROUP_LAYER2)
        self._kubectl(["get", "sg", "-n", "purelb"], f"{LAYER2} is there", lambda out: LAYER2 in out)
        self._kubectl(
            ["describe", "sg", "-n", "purelb", LAYER2],
            "its event says Parsed: ServiceGroup parsed successfully",
            lambda out: "Parsed" in out and "ServiceGroup parsed successfully" in out,
        )

    def layer2_services(self) -> None:
        self._show.heading("Three Services get their addresses")
        self._apply(SERVICES_LAYER2)
        self._services(self._scenario.layer2)

    def events_and_annotations(self) -> None:
        self._show.heading("Who gave the address, and who announces it")
        for one in self._scenario.layer2:
            self._kubectl(
                ["describe", "svc", one.service, "-n", NAMESPACE],
                f"{one.service}: assigned from {LAYER2}, announced by {self._owner_names(one)} on eth0",
                lambda out, one=one: all(text in out for text in self._description_of(one)),  # type: ignore[misc]
            )

    def _description_of(self, one: Expected) -> list[str]:
        texts = ["purelb.io/allocated-by: PureLB", f"purelb.io/allocated-from: {LAYER2}"]
        texts += ["AddressAssigned", f"from pool {LAYER2}", "AnnouncingLocal"]
        for vip in one.addresses:
            node = self._owners[vip]
            texts.append(f"purelb.io/announcing-IPv{vip.version}: {node},eth0")
            texts.append(f"Node {node} announcing {vip} on interface eth0")
        return texts

    def fixed_address(self) -> None:
        self._show.heading("A Service asks for an address of its own choice")
        self._apply(SERVICE_FIXED)
        self._services((*self._scenario.layer2, self._scenario.fixed))

    def neighbours(self) -> None:
        self._show.heading("The client sees each address at its owner's MAC")
        client = "client"
        for vip in self._scenario.layer2_vips():
            self._hosts.run(client, ["ping", "-c", "1", "-W", "2", str(vip)])
        expected = {str(vip): self._mac(node) for vip, node in self._owners.items()}

        def matches(out: str) -> bool:
            table = [line.split() for line in out.splitlines()]
            macs = {line[0]: line[line.index("lladdr") + 1] for line in table if "lladdr" in line}
            return all(macs.get(vip) == mac for vip, mac in expected.items())

        wanted = ", ".join(f"{vip} at {mac}" for vip, mac in expected.items())
        self._on_host(client, ["ip", "neigh"], wanted, matches)

    def node_addresses(self) -> None:
        self._show.heading("Each address is on eth0 of exactly one node: the one the hash rule elects")
        for node in self._nodes:
            mine = [vip for vip, holder in self._owners.items() if holder == node]
            listing = ", ".join(map(str, mine)) or "no VIP"

            def matches(_: str, node: str = node, mine: list[IPAddress] = mine) -> bool:
                return self._held(node, "eth0", self._scenario.layer2_vips()) == set(mine)

            self._on_host(node, ["ip", "addr", "show", "eth0"], f"{short(node)} holds {listing}", matches)
        self._show.expect(self._prefixes_are_the_nics(), "they have the prefix length of the NIC's own address")

    def _prefixes_are_the_nics(self) -> bool:
        vips, lengths = set(self._scenario.layer2_vips()), {4: 16, 6: 64}
        return all(
            one.network.prefixlen == lengths[one.version]
            for node in self._nodes
            for one in self._hosts.addresses(node, "eth0")
            if one.ip in vips
        )

    def bgp(self) -> None:
        self._show.heading("Addresses of another subnet are on kube-lb0 of every node, for routing software")
        self._apply(GROUP_BGP)
        self._kubectl(["get", "sg", "-n", "purelb"], "both groups are there", lambda out: LAYER2 in out and BGP in out)
        self._apply(SERVICES_BGP)
        self._services(self._scenario.everything)
        self._routed_addresses()

    def curl(self) -> None:
        self._show.heading("Every address answers the client")
        for one in self._scenario.everything:
            for vip in one.addresses:
                holder = self._owners.get(vip)
                who = f"from {short(holder)}" if holder else "from one of the nodes"
                self._on_host(
                    "client",
                    ["curl", "--silent", "--show-error", "--max-time", "2", url(vip)],
                    f"{vip} answers {who}",
                    lambda out, holder=holder: self._taker(out) in ({holder} if holder else set(self._nodes)),  # type: ignore[misc]
                )

    def power_failure(self) -> None:
        vip = self._scenario.layer2[0].addresses[0]
        loser = self._owners[vip]
        self._show.heading(f"{short(loser)} loses power: {vip} answers from another node")
        rest = [node for node in self._nodes if node != loser]
        heirs = owners(self._scenario.layer2_vips(), rest)
        outage = self._outage(vip, loser)
        self._show.command("", f"purelb-lab fault {short(loser)} power", f"{loser}: the cable is out")
        answered = f"{vip} answers again" + (f" after {outage * 1000:.0f} ms" if outage is not None else "")
        self._show.expect(outage is not None, answered, f"silence for {FAILOVER_SECONDS:g} s")
        for node in rest:
            moved = {one for one, heir in heirs.items() if heir == node}
            self._eventually(
                lambda node=node, moved=moved: self._held(node, "eth0", heirs) == moved,  # type: ignore[misc]
                f"{short(node)} now holds {', '.join(sorted(map(str, moved))) or 'no VIP'}",
            )
        self._on_host(
            "client",
            ["curl", "--silent", "--show-error", "--max-time", "1", url(vip)],
            f"{vip} answers from {short(heirs[vip])}",
            lambda out: self._taker(out) == heirs[vip],
        )
        self._heal(loser)

    def _heal(self, loser: str) -> None:
        self._show.heading(f"{short(loser)} comes back: all is as before, and no address on two nodes")
        control.request(self._hosts.folder, "heal", target=loser)
        self._show.command("", f"purelb-lab heal {short(loser)}", f"{loser}: power healed")
        vips = self._scenario.layer2_vips()

        def holders() -> dict[IPAddress, list[str]]:
            held = {node: self._held(node, "eth0", vips) for node in self._nodes}
            return {vip: [node for node in held if vip in held[node]] for vip in vips}

        wanted = {vip: [node] for vip, node in self._owners.items()}
        self._eventually(lambda: holders() == wanted, "each address is on its owner of before, and there alone")
        lines = [f"{vip}: {', '.join(map(short, nodes)) or 'nobody'}" for vip, nodes in holders().items()]
        for line in lines:
            self._show.say(f"    {line}")

    def _outage(self, vip: IPAddress, loser: str) -> float | None:
        """Cut the node and measure: seconds from the fault to the first reply that another node gave."""
        watch = self._hosts.spawn("client", "lab.demo.stopwatch", str(vip), str(_PING_SECONDS))
        assert watch.stdout is not None
        replies = Replies(watch.stdout.fileno())
        try:
            if replies.next(time.monotonic() + SETTLE_SECONDS) is None:
                return None
            began = time.monotonic()
            control.request(self._hosts.folder, "fault", target=loser, kind="power")
            cut = time.monotonic()  # now the cable is out for sure: later requests reach somebody else
            deadline = cut + FAILOVER_SECONDS
            while (reply := replies.next(deadline)) is not None:
                if reply.sent > cut:
                    return reply.received - began
            return None
        finally:
            watch.kill()
            watch.wait()
            watch.stdout.close()

    def _mac(self, node: str) -> str:
        return str(self._nodes[node]["mac"])

    def _owner_names(self, one: Expected) -> str:
        return " and ".join(sorted({short(self._owners[vip]) for vip in one.addresses}))
