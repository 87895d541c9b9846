"""LBNodeAgents as their users change them, on three nodes: what the kernels say, and what other programs make of it."""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from lbnodeagent.gossip.keyrotation import fingerprint
from tests.system import nodeaddress
from tests.system.agentlab import (
    MASTER,
    NODES,
    WORKER11,
    WORKER12,
    AgentLab,
    endpoint_slice,
    service,
    three_nodes,
)
from tests.system.conftest import eventually
from tests.system.recording import recorded_command

pytestmark = pytest.mark.timeout(180)

VIP = "10.31.188.64"  # worker-188-11, then worker-188-12, by the election's rule
VIP6 = "fd00:10:31::1:64"
ROUTED = "10.189.0.9"


@pytest.fixture(scope="module")
def cluster() -> Iterator[AgentLab]:
    with three_nodes() as lab:
        yield lab


@pytest.fixture
def agents(cluster: AgentLab) -> Iterator[AgentLab]:
    """Three healthy nodes without Services, and the default LBNodeAgent as it was made."""
    cluster.settle()
    yield cluster
    for found in cluster.hosts.get("services", "-n", "default")["items"]:
        if found["spec"]["type"] == "LoadBalancer":
            cluster.delete(found["metadata"]["name"])
    configure(cluster, {})
    assert eventually(lambda: not cluster.holders(VIP) and not cluster.holders(ROUTED, "kube-lb0"), seconds=30)


def configure(agents: AgentLab, local: dict[str, Any]) -> None:
    """Replace what the default LBNodeAgent says."""
    spec = [{"op": "replace", "path": "/spec", "value": {"local": {"localint": "default", **local}}}]
    agents.lab.kubectl("patch", "lbnodeagent", "default", "-n", "purelb", "--type=json", "-p", json.dumps(spec))


@contextmanager
def watching(agents: AgentLab, node: str) -> Iterator[list[str]]:
    """What the kernel of a node says of addresses meanwhile; the list is filled afterwards."""
    with recorded_command(agents.hosts, node, ["ip", "-oneline", "monitor", "address"]) as lines:
        time.sleep(0.3)
        yield lines
        time.sleep(0.3)


def deleted(lines: list[str]) -> list[str]:
    return [line for line in lines if line.startswith("Deleted")]


def about(lines: list[str], ip: str) -> list[str]:
    return [line for line in lines if f" {ip}/" in line]


# --- other programs on the node --------------------------------------------------------------------------------------


def test_no_cni_takes_a_vip_for_the_nodes_own_address(agents: AgentLab) -> None:
    """Flannel chooses right as it is; Calico, which looks at the newest interface first, is told to skip kube-lb0."""
    agents.apply(
        service("one", "wire", ip=VIP),
        service("two", "wire", ip=VIP6),
        service("three", "routed", ip=ROUTED),
    )
    node = agents.owner(VIP)
    assert eventually(lambda: ROUTED in agents.addresses(node, "kube-lb0"))
    six = agents.owner(VIP6)

    own4 = agents.hosts.get("node", node)["status"]["addresses"][0]["address"]
    assert nodeaddress.flannel(agents, node, 4) == own4
    assert nodeaddress.calico(agents, node, 4, skip="^kube-lb0$") == own4
    assert nodeaddress.flannel(agents, six, 6) not in (VIP6, None)


def test_without_a_lifetime_flannel_would_take_an_ipv6_vip(agents: AgentLab) -> None:
    """What the defaults are for: with permanent, preferred addresses the rule chooses the VIP."""
    agents.apply(service("two", "wire", ip=VIP6))
    node = agents.owner(VIP6)
    assert nodeaddress.flannel(agents, node, 6) != VIP6

    configure(agents, {"addressConfig": {"localInterface": {"validLifetime": 0, "preferredLifetime": 0}}})

    assert eventually(lambda: nodeaddress.flannel(agents, node, 6) == VIP6)


# --- changes that take effect ----------------------------------------------------------------------------------------


def test_a_change_touches_no_address_that_it_does_not_concern(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP), service("three", "routed", ip=ROUTED))
    node = agents.owner(VIP)
    assert eventually(lambda: ROUTED in agents.addresses(node, "kube-lb0"))

    with watching(agents, node) as nothing, agents.pinging(VIP) as seen:
        configure(agents, {"garpConfig": {"count": 1}, "interfaces": ["bond0"], "localInterface": "^eth0$"})
        assert eventually(lambda: agents.events("default", "ConfigError", namespace="purelb"))
    assert deleted(nothing) == []
    assert about(nothing, ROUTED) == []
    assert seen[0].lost == 0

    permanent = {"localInterface": {"validLifetime": 0}}
    with watching(agents, node) as lifetime, agents.pinging(VIP) as seen:
        configure(agents, {"addressConfig": permanent})
        assert eventually(lambda: agents.addresses(node)[VIP]["valid_life_time"] == 2**32 - 1)
    assert deleted(lifetime) == []
    assert about(lifetime, ROUTED) == []
    assert seen[0].lost == 0

    with watching(agents, node) as moved, agents.pinging(VIP) as seen:
        configure(agents, {"addressConfig": permanent, "dummyInterface": "kube-lb1"})
        assert eventually(lambda: ROUTED in agents.addresses(node, "kube-lb1"))
        assert eventually(lambda: not agents.addresses(node, "kube-lb0"))
    assert about(moved, VIP) == []
    assert len(deleted(about(moved, ROUTED))) == 1
    assert seen[0].lost == 0


def test_a_permanent_address_looks_as_the_article_shows_it(agents: AgentLab) -> None:
    look = {"validLifetime": 0, "noPrefixRoute": False}
    configure(agents, {"addressConfig": {"localInterface": look}})
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)

    lines = agents.ip(node, "addr", "show", "dev", "eth0").splitlines()

    at = next(number for number, line in enumerate(lines) if VIP in line)
    assert lines[at].strip() == f"inet {VIP}/16 brd 10.31.255.255 scope global secondary eth0"
    assert lines[at + 1].strip() == "valid_lft forever preferred_lft forever"


def test_a_nodes_label_chooses_another_object_and_its_absence_takes_it_back(agents: AgentLab) -> None:
    special = {
        "apiVersion": "purelb.io/v2",
        "kind": "LBNodeAgent",
        "metadata": {"name": "special", "namespace": "purelb"},
        "spec": {"nodeSelector": {"matchLabels": {"lb": "special"}}, "local": {"dummyInterface": "kube-lb7"}},
    }
    agents.apply(service("three", "routed", ip=ROUTED), special)
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)
    try:
        agents.lab.kubectl("label", "node", WORKER12, "lb=special")
        assert eventually(lambda: ROUTED in agents.addresses(WORKER12, "kube-lb7"))
        assert agents.holders(ROUTED, "kube-lb0") == [MASTER, WORKER11]
        text = f"LBNodeAgent purelb/special takes precedence on node {WORKER12}"
        assert eventually(lambda: text in agents.events("default", "ConfigIgnored", namespace="purelb"))
    finally:
        agents.lab.kubectl("label", "node", WORKER12, "lb-")
        agents.lab.kubectl("delete", "lbnodeagent", "special", "-n", "purelb")
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)


def test_a_wrong_regular_expression_is_told_and_measured_and_changes_nothing(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    node = agents.owner(VIP)

    with watching(agents, node) as seen:
        configure(agents, {"localint": r"eth\pN"})  # an expression of RE2, which the CRD lets through, but not of ours
        assert eventually(
            lambda: any(
                text.startswith(r'invalid configuration: localInterface "eth\pN" is not a regular expression')
                for text in agents.events("default", "ConfigError", namespace="purelb")
            )
        )
        series = 'purelb_lbnodeagent_config_errors{config="purelb/default",reason="invalid"} 1.0'
        assert eventually(lambda: series in metrics(agents, node))
    assert deleted(seen) == []

    configure(agents, {})
    assert eventually(lambda: series not in metrics(agents, node))


def metrics(agents: AgentLab, node: str) -> str:
    address = agents.hosts.get("node", node)["status"]["addresses"][0]["address"]
    return agents.hosts.run("client", ["curl", "-s", f"http://{address}:7472/metrics"]).stdout


# --- where endpoints are ---------------------------------------------------------------------------------------------


def test_an_address_follows_its_endpoints_without_a_lost_reply(agents: AgentLab) -> None:
    """purelb.io/allow-local: make before break, also when the endpoint moves."""
    allowed = service("kept", "wire", ip=VIP, policy="Local", annotations={"purelb.io/allow-local": "true"})
    agents.apply(allowed, endpoint_slice("kept", MASTER))
    assert agents.owner(VIP) == MASTER

    with agents.pinging(VIP) as seen:
        agents.apply(endpoint_slice("kept", WORKER12))
        assert eventually(lambda: agents.holders(VIP) == [WORKER12])

    assert seen[0].lost <= 1
    assert agents.service("kept")["spec"]["externalTrafficPolicy"] == "Local"


def test_a_routed_address_stays_on_a_node_whose_last_endpoint_drains(agents: AgentLab) -> None:
    agents.apply(service("local", "routed", ip=ROUTED, policy="Local"), endpoint_slice("local", WORKER11))
    assert eventually(lambda: agents.holders(ROUTED, "kube-lb0") == [WORKER11])
    draining = endpoint_slice("local", WORKER11)
    draining["endpoints"][0]["conditions"] = {"ready": False, "serving": True, "terminating": True}

    with watching(agents, WORKER11) as seen:
        agents.apply(draining)
        time.sleep(1)
    assert deleted(seen) == []

    ready = endpoint_slice("local", WORKER12)
    agents.apply({**draining, "endpoints": [*draining["endpoints"], *ready["endpoints"]]})
    assert eventually(lambda: agents.holders(ROUTED, "kube-lb0") == [WORKER12])


# --- annotations -----------------------------------------------------------------------------------------------------


def test_a_new_owner_says_from_whom_it_took_the_address(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    assert eventually(lambda: agents.annotation("one") == f"{WORKER11},eth0")

    agents.lab.kubectl("label", "node", WORKER11, "node.kubernetes.io/exclude-from-external-load-balancers=")
    try:
        text = f"Node {WORKER12} took announcement of {VIP} from node {WORKER11}"
        assert eventually(lambda: text in agents.events("one", "AnnounceSlotSteal"))
        assert agents.annotation("one") == f"{WORKER12},eth0"
    finally:
        agents.lab.kubectl("label", "node", WORKER11, "node.kubernetes.io/exclude-from-external-load-balancers-")


def test_the_name_of_a_node_that_is_gone_is_taken_away(agents: AgentLab) -> None:
    """It died together with the subnet that the address is on, so that nobody takes over."""
    agents.apply(service("three", "routed", ip=ROUTED))
    assert eventually(lambda: len(agents.holders(ROUTED, "kube-lb0")) == 3)

    agents.lab.kubectl("annotate", "service", "three", "purelb.io/announcing-IPv4=gone,eth1")

    agents.lab.must("fault", "worker-188-12", "agent-stop")  # the members change, and that one never was one
    assert eventually(lambda: agents.annotation("three") is None, seconds=30)
    agents.settle()


def test_the_format_of_v017_is_a_setting_of_the_agents(agents: AgentLab) -> None:
    agents.apply(service("one", "wire", ip=VIP))
    assert eventually(lambda: agents.annotation("one") == f"{WORKER11},eth0")
    try:
        agents.lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", "PURELB_ANNOUNCING_FORMAT=v2")
        agents.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=80s")
        assert eventually(lambda: agents.annotation("one") == f"{WORKER11},eth0,{VIP}", seconds=20)
    finally:
        agents.lab.kubectl("set", "env", "daemonset/lbnodeagent", "-n", "purelb", "PURELB_ANNOUNCING_FORMAT-")
        agents.lab.kubectl("rollout", "status", "daemonset/lbnodeagent", "-n", "purelb", "--timeout=80s")


# --- the gossip's key ------------------------------------------------------------------------------------------------


@pytest.mark.timeout(300)
def test_the_key_is_changed_under_running_agents_and_no_reply_is_lost(agents: AgentLab) -> None:
    """As the documentation has it: the new key beside the old one, and when all seal with it, alone."""
    agents.apply(service("one", "wire", ip=VIP))
    assert agents.owner(VIP) == WORKER11
    secret = agents.hosts.get("secret", "purelb-gossip", "-n", "purelb")["data"]
    old, new = base64.b64decode(secret["key"]), secrets.token_bytes(32)

    with agents.pinging(VIP) as seen:
        change_secret(agents, key=new, previous=old)
        sealing = f'purelb_gossip_key{{fingerprint="{fingerprint(new)}",use="seals"}} 1.0'
        assert eventually(lambda: all(sealing in metrics(agents, node) for node in NODES), seconds=150)
        change_secret(agents, key=new)
        agents.lab.must("fault", "master", "agent-stop")  # it comes back knowing the new key only
        agents.lab.must("heal", "master")
        assert eventually(lambda: "purelb_election_member_count 3.0" in metrics(agents, MASTER), seconds=30)

    assert seen[0].lost == 0
    assert agents.holders(VIP) == [WORKER11]


@pytest.mark.timeout(300)
def test_an_agent_that_starts_with_a_new_key_only_takes_no_address_of_the_others(agents: AgentLab) -> None:
    """The Secret was lost with its key, and another one has just come: the others still seal with the old one."""
    vips = [f"10.31.188.{number}" for number in range(64, 76)]
    agents.apply(*(service(f"s{number}", "wire", ip=vip) for number, vip in enumerate(vips)))
    assert eventually(lambda: all(len(agents.holders(vip)) == 1 for vip in vips))

    with agents.unwanted(MASTER):
        assert eventually(lambda: all(agents.holders(vip) not in ([], [MASTER]) for vip in vips))
        change_secret(agents, key=secrets.token_bytes(32))

    def on_two() -> list[str]:
        return [vip for vip in vips if len(agents.holders(vip)) > 1]

    twice = [0] * len(vips)
    joined = "purelb_election_member_count 3.0"
    for _ in range(60):
        held = set(on_two())
        twice = [seen + 1 if vip in held else 0 for seen, vip in zip(twice, vips, strict=True)]
        assert max(twice) < 8, "longer than a hand-over"
        if joined in metrics(agents, MASTER) and not held:
            break
    assert joined in metrics(agents, MASTER)


def change_secret(agents: AgentLab, **keys: bytes) -> None:
    """Replace the keys of the gossip."""
    data = {name: base64.b64encode(key).decode() for name, key in keys.items()}
    patch = json.dumps([{"op": "replace", "path": "/data", "value": data}])
    agents.lab.kubectl("patch", "secret", "purelb-gossip", "-n", "purelb", "--type=json", "-p", patch)
