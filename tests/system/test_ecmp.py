"""Routes by BIRD and FRR: what the router sees of Services, aggregates, endpoints, restarts and drains."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbnodeagent.dataplane.linger import LINGER
from tests.system.agentlab import MASTER, NODES, SHORT, WORKER11, WORKER12, endpoint_slice, service
from tests.system.conftest import LabUnderTest, eventually
from tests.system.routerlab import BFD_SECONDS, CALM, GROUPS, RouterLab

pytestmark = pytest.mark.timeout(180)

ALL = sorted(NODES)
ROUTED, ROUTE = "10.189.0.9", "10.189.0.9/32"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RouterLab]:
    with tempfile.TemporaryDirectory(prefix="purelb-ecmp-") as folder:
        lab = LabUnderTest(Path(folder))
        try:
            lab.must("up", *CALM, timeout=150)
            lab.kubectl("apply", "-f", "-", stdin=GROUPS)
            router = RouterLab(lab)
            router.expect_slow_bfd()
            yield router
        finally:
            lab.down()


@pytest.fixture
def router(cluster: RouterLab) -> RouterLab:
    """Three healthy nodes without Services, and a router without routes."""
    cluster.settle_routes()
    return cluster


# --- aggregation -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("group", "ip", "route"),
    [
        ("routed", "10.189.0.7", "10.189.0.7/32"),
        ("routed", "fd00:10:189::7", "fd00:10:189::7/128"),
        ("narrow", "10.189.1.7", "10.189.1.0/25"),
        ("narrow", "10.189.1.200", "10.189.1.128/25"),
        ("narrow", "fd00:10:189::1:7", "fd00:10:189::1:0/120"),
        ("whole", "10.189.2.7", "10.189.2.0/24"),
        ("whole", "fd00:10:189::2:7", "fd00:10:189::2:0/112"),
    ],
)
def test_the_router_sees_the_aggregate_over_every_node(router: RouterLab, group: str, ip: str, route: str) -> None:
    router.apply(service("one", group, ip=ip))

    assert eventually(lambda: router.hops(route) == ALL)


@pytest.mark.parametrize(
    ("ips", "route"),
    [
        (["10.189.1.5", "10.189.1.6", "10.189.1.7"], "10.189.1.0/25"),
        (["fd00:10:189::1:5", "fd00:10:189::1:6", "fd00:10:189::1:7"], "fd00:10:189::1:0/120"),
    ],
)
def test_an_aggregates_route_goes_with_its_last_address_and_not_before(
    router: RouterLab, ips: list[str], route: str
) -> None:
    names = [f"service-{number}" for number in range(len(ips))]
    router.apply(*(service(name, "narrow", ip=ip) for name, ip in zip(names, ips, strict=True)))
    assert eventually(lambda: all(router.holders(ip, "kube-lb0") == list(NODES) for ip in ips))
    assert eventually(lambda: router.hops(route) == ALL)
    time.sleep(1.0)
    before = router.updates()

    for name, ip in list(zip(names, ips, strict=True))[:-1]:
        router.delete(name)
        assert eventually(lambda ip=ip: router.holders(ip, "kube-lb0") == [])  # type: ignore[misc]
    time.sleep(1.0)

    assert router.updates() == before
    assert router.hops(route) == ALL
    assert router.holders(ips[-1], "kube-lb0") == list(NODES)
    router.delete(names[-1])
    assert eventually(lambda: router.hops(route) == [])


def test_host_routes_go_one_by_one(router: RouterLab) -> None:
    router.apply(service("one", "routed", ip="10.189.0.5"), service("two", "routed", ip="10.189.0.6"))
    assert eventually(lambda: router.hops("10.189.0.5/32") == router.hops("10.189.0.6/32") == ALL)

    router.delete("one")

    assert eventually(lambda: router.hops("10.189.0.5/32") == [])
    assert router.hops("10.189.0.6/32") == ALL


# --- traffic policy --------------------------------------------------------------------------------------------------


def test_with_policy_local_the_route_is_over_the_nodes_with_endpoints(router: RouterLab) -> None:
    router.apply(service("local", "routed", ip=ROUTED, policy="Local"), endpoint_slice("local", WORKER11))
    assert eventually(lambda: router.hops(ROUTE) == [WORKER11])

    router.apply(endpoint_slice("local", MASTER, WORKER11))
    assert eventually(lambda: router.hops(ROUTE) == sorted([MASTER, WORKER11]))

    router.apply(endpoint_slice("local"))
    assert eventually(lambda: router.hops(ROUTE) == [])


@pytest.mark.parametrize(("ip", "route"), [(ROUTED, ROUTE), ("fd00:10:189::9", "fd00:10:189::9/128")])
def test_endpoints_that_move_never_leave_the_router_without_a_route(router: RouterLab, ip: str, route: str) -> None:
    router.apply(service("local", "routed", ip=ip, policy="Local"), endpoint_slice("local", WORKER11))
    assert eventually(lambda: router.hops(route) == [WORKER11])

    with router.watching_routes() as seen:
        time.sleep(1.0)
        for node in (WORKER12, MASTER, WORKER11):
            router.apply(endpoint_slice("local", node))
            assert eventually(lambda node=node: router.hops(route) == [node])  # type: ignore[misc]
            time.sleep(LINGER)

    about = [line for line in seen if ip in line]
    assert about, seen
    assert not [line for line in about if line.startswith("Deleted")], about


# --- restarts --------------------------------------------------------------------------------------------------------


def test_the_router_hears_nothing_of_agents_that_restart_or_crash(router: RouterLab) -> None:
    router.apply(service("one", "routed", ip=ROUTED), service("two", "narrow", ip="fd00:10:189::1:9"))
    assert eventually(lambda: router.hops(ROUTE) == router.hops("fd00:10:189::1:0/120") == ALL)
    time.sleep(1.0)
    before = router.updates()

    for kind in ("agent-stop", "agent-kill"):
        for node in NODES:
            router.lab.must("fault", SHORT[node], kind)
        time.sleep(2.0)
        for node in NODES:
            router.lab.must("heal", SHORT[node])
        router.settle()
    time.sleep(1.0)

    assert router.updates() == before
    assert router.hops(ROUTE) == router.hops("fd00:10:189::1:0/120") == ALL
    assert all(router.addresses(node, "kube-lb0")[ROUTED]["valid_life_time"] == 0xFFFFFFFF for node in NODES)


def test_a_new_bird_takes_over_without_a_route_changing(router: RouterLab) -> None:
    router.apply(service("one", "routed", ip=ROUTED))
    assert eventually(lambda: router.hops(ROUTE) == ALL)
    before = router.sessions_lost()

    with router.watching_routes() as seen:
        router.lab.kubectl("rollout", "restart", "daemonset/bird", "-n", "purelb")
        router.roll_out_birds()
        assert eventually(lambda: all(router.metrics(node)["sessions"] == 1 for node in NODES), seconds=30)
        time.sleep(BFD_SECONDS)

    # Once, gracefully: BFD that finds a new BIRD before it missed the old one would end the session again.
    assert router.sessions_lost() == {node: lost + 1 for node, lost in before.items()}
    assert not [line for line in seen if ROUTED in line], seen
    assert router.hops(ROUTE) == ALL


def test_a_drained_nodes_routes_go_and_nobody_elses_change(router: RouterLab) -> None:
    router.apply(service("one", "routed", ip=ROUTED), service("two", "routed", ip="fd00:10:189::9"))
    assert eventually(lambda: router.hops(ROUTE) == router.hops("fd00:10:189::9/128") == ALL)
    time.sleep(1.0)
    before = router.updates()

    router.lab.must("fault", SHORT[WORKER12], "drain")

    rest = sorted([MASTER, WORKER11])
    assert eventually(lambda: router.hops(ROUTE) == router.hops("fd00:10:189::9/128") == rest)
    after = router.updates()
    assert [after[node] for node in rest] == [before[node] for node in rest]
    router.lab.must("heal", SHORT[WORKER12])
    assert eventually(lambda: router.hops(ROUTE) == router.hops("fd00:10:189::9/128") == ALL)


# --- health ----------------------------------------------------------------------------------------------------------


def test_addresses_wait_for_bird_and_the_metrics_tell_how_it_is(router: RouterLab) -> None:
    router.apply(service("early", "routed", ip="10.189.0.5"))
    assert eventually(lambda: router.hops("10.189.0.5/32") == ALL)
    assert eventually(lambda: router.metrics(WORKER11) == {"up": 1, "sessions": 1, "exported_routes": 1})

    router.patch_bird({"bird": "nowhere"})
    assert eventually(lambda: router.birds() == 0)
    assert eventually(lambda: all(router.metrics(node)["up"] == 0 for node in NODES))
    router.apply(service("late", "routed", ip=ROUTED))

    text = f"Node {WORKER11} could not announce {ROUTED} on interface kube-lb0: BIRD does not answer"
    assert eventually(lambda: any(text in event for event in router.events("late", "AnnouncementFailed")), seconds=20)
    assert router.holders(ROUTED, "kube-lb0") == []
    assert router.holders("10.189.0.5", "kube-lb0") == list(NODES)  # what is there stays

    router.lab.kubectl(
        "patch", "daemonset", "bird", "-n", "purelb", "--type=json",
        "-p", '[{"op": "remove", "path": "/spec/template/spec/nodeSelector/bird"}]',
    )  # fmt: skip
    assert eventually(lambda: router.hops(ROUTE) == router.hops("10.189.0.5/32") == ALL, seconds=40)
    assert eventually(lambda: router.metrics(WORKER11) == {"up": 1, "sessions": 1, "exported_routes": 2})
