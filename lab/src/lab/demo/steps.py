"""Steps of a walkthrough: run a command until it shows what it must, print it, and tick or cross it off.

Owns patience and how commands are shown; what there is to see is the walkthroughs'. Must not know how the lab works
inside.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address

from lab.command import control
from lab.command.hosts import Hosts
from lab.demo.scenario import NAMESPACE, Expected, Object, Scenario
from lab.demo.transcript import Transcript
from purelb.addresses import IPAddress, parse_address

SETTLE_SECONDS = 15.0  # until something that must come is missing
_ENDPOINTS_SECONDS = 60.0  # more than Kubernetes' patience with a node, 40 s
_POLL_SECONDS = 0.1

Check = Callable[[str], bool]


class Steps:
    """What walkthroughs have in common, against a running lab with PureLB installed."""

    def __init__(self, hosts: Hosts, scenario: Scenario, transcript: Transcript) -> None:
        self._hosts = hosts
        self._scenario = scenario
        self._show = transcript
        status = control.request(hosts.folder, "status").values
        self._nodes = {one["name"]: one for one in status["hosts"] if one["role"] in ("control-plane", "worker")}

    def _apply(self, name: str) -> None:
        text = self._scenario.manifest(name)
        done = self._hosts.kubectl("apply", "-f", "-", stdin=text)
        self._show.command("", f"kubectl apply -f {name}", done.stdout + done.stderr)
        self._show.expect(done.returncode == 0, f"{name} is accepted", f"exit code {done.returncode}")

    def _services(self, expected: tuple[Expected, ...]) -> None:
        def matches(_: str) -> bool:
            found = {one["metadata"]["name"]: ingress(one) for one in self._hosts.get("svc", "-n", NAMESPACE)["items"]}
            return all(found.get(one.service) == [str(vip) for vip in one.addresses] for one in expected)

        listing = ", ".join(f"{one.service} {'+'.join(map(str, one.addresses))}" for one in expected)
        self._kubectl(["get", "svc", "-n", NAMESPACE], listing, matches)

    def _routed_addresses(self) -> None:
        """Every node has every address of the other subnet on kube-lb0, as a host route."""
        vips = self._scenario.bgp_vips()
        for node in self._nodes:

            def matches(_: str, node: str = node) -> bool:
                found = self._hosts.addresses(node, "kube-lb0")
                return {one.ip for one in found} == set(vips) and all(
                    one.network.prefixlen == one.max_prefixlen for one in found
                )

            listing = ", ".join(f"{vip}/{vip.max_prefixlen}" for vip in vips)
            self._on_host(node, ["ip", "addr", "show", "kube-lb0"], f"{short(node)} has {listing}", matches)

    def _kubectl(self, arguments: list[str], expectation: str, check: Check) -> None:
        def run() -> str:
            done = self._hosts.kubectl(*arguments)
            return done.stdout + done.stderr

        self._until("", "kubectl " + " ".join(arguments), run, expectation, check)

    def _on_host(self, host: str, command: list[str], expectation: str, check: Check) -> None:
        def run() -> str:
            done = self._hosts.run(host, command)
            return done.stdout + done.stderr

        shown = " ".join(word for word in command if word not in ("--silent", "--show-error", "--max-time", "1", "2"))
        self._until(short(host), shown, run, expectation, check)

    def _until(self, where: str, shown: str, run: Callable[[], str], expectation: str, check: Check) -> None:
        """Run until the output is as expected or the time is up, and show the last output."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            output = run()
            holds = check(output)
            if holds or time.monotonic() > deadline:
                break
            time.sleep(_POLL_SECONDS)
        self._show.command(where, shown, output)
        self._show.expect(holds, expectation)

    def _eventually(self, check: Callable[[], bool], expectation: str, seconds: float = SETTLE_SECONDS) -> None:
        deadline = time.monotonic() + seconds
        while not (holds := check()) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        self._show.expect(holds, expectation)

    def _endpoints_left(self, loser: str) -> None:
        """Until kube-proxies send nobody to the pods of a node that is gone, which is the node controller's to say."""

        def none_is_left() -> bool:
            endpoints = [
                endpoint
                for one in self._hosts.get("endpointslices", "-n", NAMESPACE)["items"]
                for endpoint in one["endpoints"] or ()
                if endpoint.get("nodeName") == loser
            ]
            if any(one["conditions"]["ready"] for one in endpoints):
                return False
            gone = [address for one in endpoints for address in one["addresses"]]
            rules = [self._hosts.output(node, "nft", "list", "ruleset") for node in self._nodes if node != loser]
            return not any(re.search(rf"(?<![\w.:]){re.escape(ip)}(?![\w.:]*\w)", one) for ip in gone for one in rules)

        self._eventually(none_is_left, f"the pods on {short(loser)} are no endpoints any more", _ENDPOINTS_SECONDS)

    def _taker(self, answer: str) -> str | None:
        """The node that took the client's request, whichever pod answered: the pod saw that node's address asking."""
        peer = asked_by(answer)
        return next((node for node in self._nodes if peer and self._held(node, "eth0", [peer])), None)

    def _held(self, node: str, link: str, vips: Iterable[IPAddress]) -> set[IPAddress]:
        """Which of the VIPs are on that link of the node."""
        found: set[IPAddress] = {one.ip for one in self._hosts.addresses(node, link)}
        return found & set(vips)


def short(name: str | None) -> str:
    return (name or "nobody").split(".")[0]


def url(vip: IPAddress) -> str:
    return f"http://{vip}/" if isinstance(vip, IPv4Address) else f"http://[{vip}]/"


def asked_by(answer: str) -> IPAddress | None:
    """Whom a web server of the lab saw asking: `NODE CLIENT:PORT POD`."""
    words = answer.split()
    try:
        return parse_address(words[1].rpartition(":")[0].strip("[]"))
    except (IndexError, ValueError):
        return None


def ingress(service: Object) -> list[str]:
    return [one["ip"] for one in (service["status"].get("loadBalancer") or {}).get("ingress") or () if "ip" in one]
