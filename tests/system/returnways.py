"""By which NIC a kernel sends answers, with our rules and without. Runs in a network of its own, prints JSON.

A node with two NICs, a pod behind a translation as kube-proxy has it, and one host that is the router on both NICs and
the client behind them.
"""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import IPv4Address, ip_address, ip_network

from lbnodeagent.checkup.ways import leaves_by
from lbnodeagent.errors import KernelError
from lbnodeagent.returnpath.kernel import ReturnKernel
from lbnodeagent.returnpath.marks import TABLE
from lbnodeagent.returnpath.ways import Way
from lbnodeagent.tables import IfIndex

CLIENT, CLIENT6 = "198.51.100.2", "2001:db8:100::2"
OWN, HOST, POD = "172.30.0.1", "172.30.0.64", "172.30.0.65"
HOST6, POD6 = "fd00:172:30::64", "fd00:172:30::65"
TRANSLATION = f"""
table inet proxy {{
  chain in {{
    type nat hook prerouting priority dstnat;
    ip daddr {POD} tcp dport 80 dnat ip to 10.244.0.2:80
    ip6 daddr {POD6} tcp dport 80 dnat ip6 to [fd00:244::2]:80
  }}
}}
"""
OTHERS = f"""
table inet others {{
  counter kept {{ }}
  counter lost {{ }}
  chain before {{
    type filter hook prerouting priority raw;
    meta mark set 0x70000
  }}
  chain between {{
    type filter hook prerouting priority mangle;
    ct state new ct mark set 0x50000
    meta mark set ct mark
  }}
  chain after {{
    type filter hook prerouting priority dstnat - 5;
    ct mark & 0xffffefff != 0x50000 counter name lost
    iifname "eth1" ip daddr {POD} meta mark == 0x50000 counter name kept
    iifname "pod0" ip daddr {CLIENT} meta mark != 0x51000 counter name lost
  }}
}}
"""
"""As wg-quick and others copy a connection's whole mark to each packet; what they have set is to stay."""
COUNTERS = f"""
table inet seen {{
  counter far0 {{ }}
  counter far1 {{ }}
  chain in {{
    type filter hook prerouting priority -300;
    ip daddr {CLIENT} counter name iifname map {{ "far0" : "far0", "far1" : "far1" }}
    ip6 daddr {CLIENT6} counter name iifname map {{ "far0" : "far0", "far1" : "far1" }}
  }}
}}
"""
ASK = (
    "import socket, sys; socket.create_connection((sys.argv[1], 80), timeout=float(sys.argv[3]), "
    "source_address=(sys.argv[2], 0)).recv(1)"
)
WAIT = "print('ready', flush=True); import time; time.sleep(600)"
SERVE = f"from tests.system.returnways import serve; serve(); {WAIT}"


def run(*command: str, text: str | None = None) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, input=text).stdout


def serve() -> None:
    """Say a byte to whoever comes."""
    server = socket.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)

    def greet() -> None:
        while True:
            with server.accept()[0] as guest:
                guest.sendall(b"!")

    threading.Thread(target=greet, daemon=True).start()


@contextmanager
def host(*command: str) -> Iterator[tuple[str, ...]]:
    """Another network, by what runs a command in it."""
    with subprocess.Popen(["unshare", "--net", *command], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield ("nsenter", "--net", "--target", str(process.pid))
        finally:
            process.send_signal(signal.SIGKILL)


def build(far: tuple[str, ...], pod: tuple[str, ...]) -> None:
    for near, end, there in (("eth0", "far0", far), ("eth1", "far1", far), ("pod0", "eth0", pod)):
        run("ip", "link", "add", near, "type", "veth", "peer", "name", end, "netns", there[-1])
    for inside, link, *addresses in (
        ((), "eth0", "10.0.0.1/24", "fd00:10::1/64"),
        ((), "eth1", f"{OWN}/24", f"{HOST}/32", f"{POD}/32", "fd00:172:30::1/64", f"{HOST6}/128", f"{POD6}/128"),
        ((), "pod0", "10.244.0.1/24", "fd00:244::1/64"),
        (far, "lo", f"{CLIENT}/32", f"{CLIENT6}/128"),
        (far, "far0", "10.0.0.254/24", "fd00:10::fe/64"),
        (far, "far1", "172.30.0.254/24", "fd00:172:30::fe/64"),
        (pod, "eth0", "10.244.0.2/24", "fd00:244::2/64"),
    ):
        run(*inside, "ip", "link", "set", link, "up")
        for address in addresses:
            run(*inside, "ip", "addr", "add", address, "dev", link, *(["nodad"] if ":" in address else []))
    run("ip", "link", "set", "lo", "up")
    for family, by, pods in (("-4", "10.0.0.254", "10.244.0.1"), ("-6", "fd00:10::fe", "fd00:244::1")):
        run("ip", family, "route", "add", "default", "via", by)
        run(*pod, "ip", family, "route", "add", "default", "via", pods)
    run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
    run("nft", "-f", "-", text=TRANSLATION)
    run(*far, "nft", "-f", "-", text=COUNTERS)


class Client:
    def __init__(self, inside: tuple[str, ...]) -> None:
        self._inside = inside

    def answered_by(self, *vips: str, patience: float = 5.0) -> list[str]:
        """The NICs by which the answers of each come; "lost": it isn't answered."""
        return [self._answered_by(vip, patience) for vip in vips]

    def _answered_by(self, vip: str, patience: float) -> str:
        run(*self._inside, "nft", "reset", "counters")
        source = CLIENT6 if ":" in vip else CLIENT
        command = [*self._inside, sys.executable, "-c", ASK, vip, source, str(patience)]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            return "lost" if "TimeoutError" in done.stderr else done.stderr
        found = json.loads(run(*self._inside, "nft", "-j", "list", "counters"))["nftables"]
        seen = [one["counter"]["name"] for one in found if one.get("counter", {}).get("packets")]
        return "+".join(seen).replace("far", "eth")


def ways(index: int) -> tuple[Way, ...]:
    one = ("172.30.0.0/24", "172.30.0.254", OWN), ("fd00:172:30::/64", "fd00:172:30::fe", "fd00:172:30::1")
    return tuple(
        Way(ip_network(net), IfIndex(index), "eth1", ip_address(by), (ip_address(own),), 1, 0x1000, 0x1000)
        for net, by, own in one
    )


def marks_of_others() -> bool:
    """Whether each packet had the marks that others gave it; ends that others give any."""
    found = json.loads(run("nft", "-j", "list", "counters", "table", "inet", "others"))["nftables"]
    run("nft", "delete", "table", "inet", "others")
    packets = {one["counter"]["name"]: one["counter"]["packets"] for one in found if "counter" in one}
    return bool(packets["kept"] > 1 and packets["lost"] == 0)


def left() -> list[bool]:
    """Whether there are rules, routes and marks of ours."""
    rules = run("ip", "-4", "rule") + run("ip", "-6", "rule")
    routes = run("ip", "-4", "route", "show", "table", "all") + run("ip", "-6", "route", "show", "table", "all")
    return ["7934:" in rules, "79341" in routes, TABLE in run("nft", "list", "tables")]


def main() -> None:
    said: dict[str, object] = {}
    with ExitStack() as stack:
        far = stack.enter_context(host(sys.executable, "-c", WAIT))
        pod = stack.enter_context(host(sys.executable, "-c", SERVE))
        build(far, pod)
        serve()
        client, kernel = Client(far), ReturnKernel()
        its = ways(socket.if_nametoindex("eth1"))
        said["nothing to sweep"] = kernel.have(())
        said["without"] = client.answered_by(HOST, POD, HOST6, POD6)
        try:
            said["have"] = kernel.have(its)
        except KernelError as error:
            print(json.dumps(str(error)))
            return
        said["with"] = client.answered_by(HOST, POD, HOST6, POD6)
        far_away = IPv4Address(CLIENT)
        said["the doctor's look"] = [leaves_by(far_away), leaves_by(far_away, its[0].mark)]
        said["the node's own address"] = client.answered_by(OWN)
        said["again"] = kernel.have(its)

        run("nft", "-f", "-", text=OTHERS)
        said["beside other marks"] = [*client.answered_by(HOST, POD, HOST6, POD6), marks_of_others()]

        run("nft", "delete", "table", "inet", TABLE)
        run("ip", "rule", "del", "pref", "7934")
        run("ip", "link", "set", "eth1", "down")
        run("ip", "link", "set", "eth1", "up")
        said["made anew"] = [kernel.have(its), *left(), kernel.have(its)]
        said["with them"] = client.answered_by(HOST, POD)

        run("ip", "rule", "add", "pref", "7934", "fwmark", "0x77", "lookup", "77")
        run("ip", "route", "add", "192.0.2.0/24", "dev", "eth1", "table", "79341")
        said["a successor sweeps"] = [ReturnKernel().have(()), TABLE in run("nft", "list", "tables")]
        said["others' stay"] = [
            run("ip", "rule", "show", "pref", "7934").split("\t")[1].strip(),
            run("ip", "route", "show", "table", "79341").strip(),
        ]
        said["after"] = client.answered_by(HOST, POD)
        run("sysctl", "-qw", "net.ipv6.conf.eth1.disable_ipv6=1")
        try:
            said["one is refused"] = kernel.have(its)
        except KernelError as error:
            said["one is refused"] = [str(error), *client.answered_by(HOST, POD)]
        kernel.have(())
        run("sysctl", "-qw", "net.ipv4.conf.eth1.rp_filter=1")
        said["strict"] = client.answered_by(POD, patience=0.5)
    print(json.dumps(said))


if __name__ == "__main__":
    main()
