"""The samples that do without BGP, with real BIRD (or none) and real FRR: what the router makes of a Service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.command import control
from lab.wire.router import run_folder
from tests.system.agentlab import NODES, SHORT, WORKER11, WORKER12, service
from tests.system.conftest import LabUnderTest, eventually
from tests.system.routerlab import CALM, GROUPS, RouterLab

pytestmark = pytest.mark.timeout(180)

ALL, WORKERS = sorted(NODES), sorted([WORKER11, WORKER12])
SAMPLES = Path(__file__).parents[2] / "manifests" / "samples"
ROUTED, ROUTED6 = "10.189.0.9", "fd00:10:189::9"


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RouterLab]:
    lab = LabUnderTest(tmp_path_factory.mktemp("other"))
    try:
        lab.must("up", *CALM, timeout=150)
        lab.kubectl("apply", "-f", "-", stdin=GROUPS)
        lab.kubectl("create", "deployment", "web", "--image=echo", "--replicas=2")
        yield RouterLab(lab)
    finally:
        lab.down()


@contextmanager
def daemons(router: RouterLab, sample: Path, *names: str) -> Iterator[None]:
    """More of FRR on the lab's router, from a sample's frr.conf."""
    run = run_folder(router.lab.folder)
    entrance = control.request(router.lab.folder, "open", host="router")
    processes = []
    try:
        for name in names:
            daemon = f"/usr/lib/frr/{name} -u root -g root -P 0 -f {sample} -i {run}/{name}.pid"
            daemon += f" -z {run}/zserv.api --vty_socket {run}"
            # FRR wants its user in a group of Debian's package; the lab has a file of groups with that in it.
            script = f"mount --bind {run}/group /etc/group; exec {daemon}"
            inside = [f"--net=/proc/self/fd/{entrance.fds[0]}", "--", "unshare", "--mount", "sh", "-euc", script]
            log = (run / f"{name}.log").open("w")
            processes.append(
                subprocess.Popen(["nsenter", *inside], pass_fds=entrance.fds, stdout=log, stderr=subprocess.STDOUT)
            )
            log.close()
            assert eventually((run / f"{name}.vty").exists), (run / f"{name}.log").read_text()
        yield
    finally:
        for fd in entrance.fds:
            os.close(fd)
        for process in processes:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=10)


def web(name: str, ip: str) -> dict[str, Any]:
    """A Service with web servers behind it."""
    return service(name, "routed", ip=ip, selector={"app": "web"})


def hops(router: RouterLab, ip: str) -> list[str]:
    """The nodes over which the router's kernel balances to an address, whoever told it."""
    family = "-6" if ":" in ip else "-4"
    answer = json.loads(router.hosts.output("router", "ip", "-j", family, "route", "show", "match", ip) or "[]")
    ways = [way for route in answer if route["dst"] != "default" for way in route.get("nexthops", [route])]
    return sorted({router.addresses_of_nodes.name(way["gateway"]) for way in ways if "gateway" in way})


def answers(router: RouterLab, ip: str) -> bool:
    host = f"[{ip}]" if ":" in ip else ip
    return router.hosts.run("client", ["curl", "-s", "-o", "/dev/null", "-m", "2", f"http://{host}/"]).returncode == 0


def test_ospf_tells_the_router_of_every_address_and_of_a_drained_node(router: RouterLab) -> None:
    router.lab.kubectl("apply", "-k", str(SAMPLES / "ospf"))
    router.lab.kubectl("rollout", "restart", "daemonset/bird", "-n", "purelb")
    router.roll_out_birds()  # on the workers: the sample leaves control-plane nodes alone

    with daemons(router, SAMPLES / "ospf" / "frr.conf", "ospfd", "ospf6d"):
        router.apply(web("one", ROUTED), web("two", ROUTED6))
        for ip in (ROUTED, ROUTED6):
            assert eventually(lambda ip=ip: hops(router, ip) == WORKERS, seconds=45), hops(router, ip)  # type: ignore[misc]
            assert eventually(lambda ip=ip: answers(router, ip))  # type: ignore[misc]

        router.lab.must("fault", SHORT[WORKER12], "drain")
        assert eventually(lambda: hops(router, ROUTED) == hops(router, ROUTED6) == [WORKER11], seconds=30)
        router.lab.must("heal", SHORT[WORKER12])
        assert eventually(lambda: hops(router, ROUTED) == hops(router, ROUTED6) == WORKERS, seconds=30)

        router.delete_all_services()
        assert eventually(lambda: hops(router, ROUTED) == hops(router, ROUTED6) == [], seconds=30)


def test_static_routes_need_nothing_on_the_nodes(router: RouterLab) -> None:
    router.patch_bird({"bird": "nowhere"})
    assert eventually(lambda: router.birds() == 0)
    router.lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", "PURELB_BIRD_SOCKET-")
    router.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=120s")

    with daemons(router, SAMPLES / "static-routes" / "frr.conf", "staticd"):
        router.apply(web("one", ROUTED), web("two", ROUTED6))
        for ip in (ROUTED, ROUTED6):
            assert eventually(lambda ip=ip: router.holders(ip, "kube-lb0") == list(NODES))  # type: ignore[misc]
            assert eventually(lambda ip=ip: hops(router, ip) == ALL), hops(router, ip)  # type: ignore[misc]
            assert eventually(lambda ip=ip: answers(router, ip))  # type: ignore[misc]
        router.delete_all_services()
        assert eventually(lambda: router.holders(ROUTED, "kube-lb0") == router.holders(ROUTED6, "kube-lb0") == [])
        assert hops(router, ROUTED) == hops(router, ROUTED6) == ALL  # a static route doesn't know of Services
