"""The doctor finds each planted fault and nothing else, and nothing in a healthy cluster."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import ip_address, ip_network
from typing import Any

import pytest

from clusters import NOW, WELL, cluster, condition, group, member, membership, service
from kubectl_purelb.cluster import Cluster, Program
from kubectl_purelb.commands.doctor import doctor
from kubectl_purelb.diagnosis.catalogue import WHY
from kubectl_purelb.diagnosis.doctor import diagnose
from kubectl_purelb.diagnosis.surroundings import (
    NodeWord,
    Surroundings,
    view_cluster_ips,
    view_controller,
    view_node,
    view_proxy,
    view_version,
    view_word,
)
from kubectl_purelb.health import findings
from kubectl_purelb.places import all_places
from purelb import checks, names, nodefacts
from purelb.checks import REASONS, Check, Finding
from purelb.nodefacts import NodeFacts

Json = dict[str, Any]
FACTS = NodeFacts({ip_network("10.31.0.0/16"): 1500}, frozenset({ip_address("10.31.254.251")}), ("ab12",))
SERVED = service("web", "10.31.188.64")
WELL_CLUSTER = cluster(SERVED)
AGENTS = frozenset({"purelb"})


def node(name: str, address: str, **more: Any) -> Json:
    return {
        "metadata": {"name": name, "annotations": more.pop("annotations", {})},
        "spec": {"podCIDRs": ["10.244.1.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}]},
        **more,
    }


def lease(name: str, *found: Finding, facts: NodeFacts = FACTS, ahead: float = 0.2, age: float = 20.0) -> Json:
    """As an agent writes it: its clock is so much ahead of the server's."""
    heard = NOW - datetime.timedelta(seconds=age)
    said = heard + datetime.timedelta(seconds=ahead)
    return {
        "metadata": {
            "name": f"purelb-node-{name}",
            "annotations": {
                names.LEASE_FINDINGS: checks.told(found),
                names.LEASE_FACTS: nodefacts.told(facts),
            },
            "managedFields": [{"manager": "purelb-lbnodeagent", "time": heard.strftime("%Y-%m-%dT%H:%M:%SZ")}],
        },
        "spec": {"renewTime": said.strftime("%Y-%m-%dT%H:%M:%S.%fZ")},
    }


def word(name: str, *found: Finding, **more: Any) -> NodeWord:
    read = view_word(lease(name, *found, **more))
    assert read is not None
    return read


NODES = (view_node(node("w11", "10.31.188.11")), view_node(node("w12", "10.31.188.12")))
HEALTHY = Surroundings(
    nodes=NODES,
    words={"w11": word("w11"), "w12": word("w12")},
    cluster_ips=tuple(view_cluster_ips({"spec": {"cidrs": ["10.96.0.0/12"]}})),
    homes=AGENTS,
    version=(1, 36),
)


def workload(
    kind: str,
    name: str,
    image: str,
    *args: str,
    env: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
) -> Json:
    container = {"image": image, "args": list(args), "env": [{"name": k, "value": v} for k, v in (env or {}).items()]}
    return {
        "kind": kind,
        "metadata": {"name": name, "namespace": "elsewhere", "labels": dict(labels or {})},
        "spec": {"template": {"spec": {"containers": [container]}}},
    }


METALLB = workload("Deployment", "controller", "quay.io/metallb/controller:v0.15.2", "--port=7472")
KUBE_VIP = workload("DaemonSet", "kube-vip-ds", "ghcr.io/kube-vip/kube-vip:v1.0.0", env={"svc_enable": "true"})
SERVICELB = workload(
    "DaemonSet",
    "svclb-web-1",
    "rancher/klipper-lb:v0.4",
    labels={"svccontroller.k3s.cattle.io/svcname": "web", "svccontroller.k3s.cattle.io/svcnamespace": "default"},
)


def beside(body: Json) -> Surroundings:
    found = view_controller(body)
    assert found is not None
    return replace(HEALTHY, controllers=(found,))


def said(name: str, *found: Finding, **more: Any) -> Surroundings:
    return replace(HEALTHY, words=dict(HEALTHY.words) | {name: word(name, *found, **more)})


def written_by(manager: str) -> Json:
    fields: Json = {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}
    body = service("web", "10.31.188.11")
    body["metadata"]["managedFields"] = [
        {"manager": manager, "operation": "Update", "subresource": "status", "fieldsV1": fields}
    ]
    return body


def proxy(mode: str, *, strict: bool, name: str = "kube-proxy", key: str = "config.conf") -> Json:
    """As kubeadm writes it."""
    text = f'''apiVersion: kubeproxy.config.k8s.io/v1alpha1
ipvs:
  minSyncPeriod: 0s
  strictARP: {str(strict).lower()}
kind: KubeProxyConfiguration
mode: "{mode}"
'''
    return {
        "metadata": {"name": name, "namespace": "kube-system"},
        "data": {key: text, "kubeconfig.conf": "kind: Config"},
    }


def with_proxy(body: Json, around: Surroundings = HEALTHY) -> Surroundings:
    found = view_proxy(body)
    assert found is not None
    return replace(around, proxy=found)


LOOSE = proxy("ipvs", strict=False)
WITHOUT_AGENT = replace(HEALTHY, nodes=(*NODES, view_node(node("cp", "10.31.188.1"))))
UNSERVED = [condition("Ready", False, "its ranges overlap those of pool wire")]
FAR = group("far", "192.168.7.10-192.168.7.20", "192.168.7.0/24", version="v2")
FAULTS: list[tuple[Check, Cluster, Surroundings, str]] = [
    (Check.NOT_INSTALLED, cluster(programs={}, members=None), replace(HEALTHY, words={}), "neither its programs"),
    (
        Check.PROGRAM_NOT_READY,
        cluster(SERVED, programs={**WELL, "lbnodeagent": Program("lbnodeagent", 1, 2, "l:1")}),
        HEALTHY,
        "1 of 2 pods are ready",
    ),
    (Check.MEMBERSHIP_STALE, cluster(SERVED, members=membership(member("w11"), age=900)), HEALTHY, "for 15 min"),
    (Check.AGENT_SILENT, WELL_CLUSTER, replace(HEALTHY, words={"w11": word("w11")}), "w12"),
    (Check.OLD_KUBERNETES, WELL_CLUSTER, replace(HEALTHY, version=(1, 24)), "1.24"),
    (Check.SECOND_PURELB, WELL_CLUSTER, replace(HEALTHY, homes=AGENTS | {"purelb-system"}), "purelb-system"),
    (Check.OTHER_CONTROLLER, WELL_CLUSTER, beside(METALLB), "MetalLB (Deployment elsewhere/controller)"),
    (Check.OTHER_CONTROLLER, WELL_CLUSTER, beside(KUBE_VIP), "kube-vip"),
    (Check.OTHER_CONTROLLER, WELL_CLUSTER, beside(SERVICELB), "default/web"),
    (Check.OTHER_CONTROLLER, cluster(written_by("cilium-operator")), HEALTHY, "cilium-operator has written"),
    (
        Check.VIP_IS_NODE_ADDRESS,
        WELL_CLUSTER,
        replace(HEALTHY, nodes=(view_node(node("w11", "10.31.188.64")), NODES[1])),
        "10.31.188.64",
    ),
    (
        Check.VIP_IS_NODE_ADDRESS,
        WELL_CLUSTER,
        replace(
            HEALTHY,
            nodes=(
                view_node(
                    node("w11", "10.31.188.11", annotations={"projectcalico.org/IPv4Address": "10.31.188.64/16"})
                ),
            ),
        ),
        "10.31.188.64",
    ),
    (
        Check.POOL_NODE_ADDRESS,
        cluster(SERVED, groups=[group(pool="10.31.188.1-10.31.188.126")]),
        HEALTHY,
        "10.31.188.11 (node w11), 10.31.188.12 (node w12)",
    ),
    (
        Check.POOL_GATEWAY,
        cluster(SERVED, groups=[group(), group("top", "10.31.254.0-10.31.254.255")]),
        HEALTHY,
        "10.31.254.251",
    ),
    (
        Check.POOL_PODS,
        cluster(SERVED, groups=[group(), group("pods", "10.244.0.0/16", "10.244.0.0/16", scope="remote")]),
        HEALTHY,
        "10.244.1.0/24",
    ),
    (
        Check.POOL_CLUSTER_IPS,
        cluster(SERVED, groups=[group(), group("ips", "10.96.7.0/24", "10.96.7.0/24", scope="remote")]),
        HEALTHY,
        "10.96.0.0/12",
    ),
    (
        Check.POOL_CLUSTER_IPS,
        cluster(SERVED, groups=[group(), group("ips", "10.96.0.0/24", "10.96.0.0/24", scope="remote")]),
        replace(HEALTHY, cluster_ips=()),
        "10.96.0.9",
    ),
    (
        Check.POOL_REFUSED,
        cluster(SERVED, groups=[group(), group("twin", conditions=UNSERVED)]),
        HEALTHY,
        "its ranges overlap",
    ),
    (Check.STRICT_ARP, WELL_CLUSTER, with_proxy(LOOSE, WITHOUT_AGENT), "the kernel of cp is set"),
    (Check.POOL_UNREACHABLE, cluster(SERVED, groups=[group(), FAR]), HEALTHY, "192.168.7.0/24"),
    (
        Check.AGENT_CONFIG,
        cluster(
            SERVED, configs=[{"metadata": {"name": "c"}, "status": {"conditions": [condition("Ready", False, "x")]}}]
        ),
        HEALTHY,
        "x",
    ),
    (
        Check.NOBODY_SERVES,
        cluster(
            SERVED,
            members=membership(member("w11", standing="Excluded"), member("w12", standing="Excluded")),
        ),
        HEALTHY,
        "cordoned, or labelled",
    ),
    (Check.GOSSIP_KEY_DIFFERS, WELL_CLUSTER, said("w12", facts=replace(FACTS, keys=("cd34",))), "w12"),
    (
        Check.GOSSIP_KEY_DIFFERS,
        WELL_CLUSTER,
        said("w12", Finding(Check.AGENTS_UNHEARD, "w11 isn't heard", "open"), facts=replace(FACTS, keys=("cd34",))),
        "w12",
    ),
    (
        Check.MTU_DIFFERS,
        WELL_CLUSTER,
        said("w12", facts=replace(FACTS, mtus={ip_network("10.31.0.0/16"): 1400})),
        "1500, but for w12 1400",
    ),
    (Check.CLOCK_SKEW, WELL_CLUSTER, said("w12", ahead=90.0), "90 s ahead of"),
    (Check.CLOCK_SKEW, WELL_CLUSTER, said("w12", ahead=-42.0), "42 s behind"),
    *((check, WELL_CLUSTER, said("w12", Finding(check, f"{check.value} there", "do")), "there") for check in REASONS),
]


@pytest.mark.parametrize(("check", "seen", "around", "named"), FAULTS)
def test_a_fault_is_found_and_nothing_else(check: Check, seen: Cluster, around: Surroundings, named: str) -> None:
    (found,) = diagnose(seen, around, NOW)

    assert found.check is check
    assert named in found.what
    assert found.remedy
    assert found.about


def test_every_check_has_a_fault_here_and_says_why_it_matters() -> None:
    assert {check for check, *_ in FAULTS} == set(Check) == set(WHY)


@pytest.mark.parametrize(
    ("seen", "around"),
    [
        (WELL_CLUSTER, HEALTHY),
        (cluster(), HEALTHY),
        (cluster(SERVED, members=membership(member("w11"), member("w12", standing="Excluded"))), HEALTHY),
        (WELL_CLUSTER, replace(HEALTHY, cluster_ips=(), version=None)),
        (cluster(SERVED, members=membership(member("w11"), member("old", agent="Other"))), HEALTHY),
        (WELL_CLUSTER, said("w12", facts=replace(FACTS, keys=("cd34", "ab12")))),
        (WELL_CLUSTER, said("gone", Finding(Check.RP_FILTER, "it drops", "do"))),
        (cluster(SERVED, default_announcer=False), beside(METALLB)),
        (
            cluster(service("web", "10.31.188.64", loadBalancerClass="purelb.io/purelb"), default_announcer=False),
            beside(SERVICELB),
        ),
        (cluster(SERVED, groups=[group(), group("far", "10.9.0.0/24", "10.9.0.0/24")]), HEALTHY),
        (WELL_CLUSTER, with_proxy(LOOSE)),
        (WELL_CLUSTER, with_proxy(proxy("ipvs", strict=True), WITHOUT_AGENT)),
        (WELL_CLUSTER, with_proxy(proxy("", strict=False), WITHOUT_AGENT)),
    ],
    ids=[
        "all is well",
        "no Service",
        "one node is cordoned",
        "an old server tells neither ranges nor version",
        "an agent of PureLB's own has no such Lease",
        "a key is being changed",
        "the Lease of a node that takes part no more",
        "MetalLB beside a PureLB that asks for a class",
        "servicelb beside a Service that has our class",
        "v1's local pool off the nodes' subnets is routed",
        "kube-proxy without strictARP, and the nodes are set by hand",
        "kube-proxy with strictARP beside a node without an agent",
        "kube-proxy in another mode beside a node without an agent",
    ],
)
def test_what_is_no_fault_is_not_found(seen: Cluster, around: Surroundings) -> None:
    assert diagnose(seen, around, NOW) == ()


@pytest.mark.parametrize(
    "body",
    [
        workload("Deployment", "controller", "quay.io/metallb/controller:v0.15.2", "--lb-class=metallb.io/metallb"),
        workload("DaemonSet", "speaker", "quay.io/metallb/speaker:v0.15.2"),
        workload(
            "DaemonSet", "kv", "ghcr.io/kube-vip/kube-vip:v1", env={"svc_enable": "true", "lb_class_only": "true"}
        ),
        workload("DaemonSet", "kv", "ghcr.io/kube-vip/kube-vip:v1", env={"cp_enable": "true"}),
        workload("Deployment", "web", "nginx"),
        {"kind": "Deployment", "metadata": {"name": "bare"}},
    ],
)
def test_a_program_that_leaves_our_services_alone_is_no_other_controller(body: Json) -> None:
    assert view_controller(body) is None


def test_the_same_of_several_nodes_is_told_once() -> None:
    same = Finding(Check.RP_FILTER, "this node drops what comes in by eth1", "sysctl -w ...")
    around = replace(HEALTHY, words={name: word(name, same) for name in ("w11", "w12")})

    (found,) = diagnose(WELL_CLUSTER, around, NOW)
    assert found.about == "nodes w11, w12"


def test_an_agent_whose_lease_is_old_is_silent_and_what_it_said_counts_no_more() -> None:
    found = diagnose(WELL_CLUSTER, said("w12", Finding(Check.RP_FILTER, "it drops", "do"), age=900.0), NOW)

    assert [one.check for one in found] == [Check.AGENT_SILENT]


@pytest.mark.parametrize(
    ("body", "remedy"),
    [
        (LOOSE, "kubectl edit configmap kube-proxy -n kube-system: ipvs.strictARP: true; then kubectl rollout restart"),
        (proxy("ipvs", strict=True), "kubectl rollout restart ds/kube-proxy -n kube-system: configmap kube-proxy"),
        (proxy("nftables", strict=False), "ip link delete kube-ipvs0 on the node"),
        (
            proxy("ipvs", strict=False, name="kube-proxy-config", key="config"),
            "kubectl edit configmap kube-proxy-config -n kube-system",
        ),
    ],
    ids=["it is to be set", "it is to be read", "another mode left it", "as EKS has it"],
)
def test_the_remedy_for_strict_arp_goes_by_kube_proxys_config_map(body: Json, remedy: str) -> None:
    around = with_proxy(body, said("w12", Finding(Check.STRICT_ARP, "it answers on eth0", "set it")))

    (found,) = diagnose(WELL_CLUSTER, around, NOW)
    assert found.what == "it answers on eth0"
    assert found.remedy.startswith(remedy)


@pytest.mark.parametrize(
    ("body", "version"),
    [
        ({"major": "1", "minor": "31"}, (1, 31)),
        ({"major": "1", "minor": "27+"}, (1, 27)),
        ({}, None),
        ({"major": "x"}, None),
    ],
)
def test_the_version_is_read_as_distributions_write_it(body: Json, version: tuple[int, int] | None) -> None:
    assert view_version(body) == version


@pytest.mark.parametrize(
    "read",
    [
        lambda: view_word({"metadata": {"name": "purelb-allocator"}}),
        lambda: view_word({"metadata": {"name": "purelb-node-w11", "annotations": {"purelb.io/findings": "["}}}),
        lambda: view_node({"metadata": {"name": "w11"}, "status": {"addresses": [{"type": "InternalIP"}]}}),
        lambda: list(view_cluster_ips({"spec": {"cidrs": ["x"]}})),
        lambda: view_proxy({"metadata": {"name": "kube-proxy"}}),
        lambda: view_proxy({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "[" * 10_000}}),
        lambda: view_proxy({"metadata": {"name": "kube-proxy"}, "data": {"config.conf": "mode: a\nmode"}}),
        lambda: view_proxy({"metadata": {"name": "other"}, "data": {"config.conf": "kind: KubeProxyConfiguration"}}),
    ],
)
def test_what_others_wrote_is_read_leniently(read: Callable[[], object]) -> None:
    read()


@pytest.mark.parametrize(
    "check",
    [Check.NOT_INSTALLED, Check.PROGRAM_NOT_READY, Check.MEMBERSHIP_STALE, Check.POOL_REFUSED, Check.AGENT_CONFIG],
)
def test_what_status_says_too_it_says_in_the_same_words(check: Check) -> None:
    (seen, around), *_ = [(seen, around) for planted, seen, around, _ in FAULTS if planted is check]

    (found,) = diagnose(seen, around, NOW)
    said = [(one.about, one.why, one.remedy) for one in findings(seen, all_places(seen), NOW)]
    assert (found.about, found.what, found.remedy) in said


def test_it_tells_what_why_and_what_to_do_with_the_page() -> None:
    found = diagnose(
        WELL_CLUSTER, said("w12", Finding(Check.PROXY_ARP, "eth0 answers for others", "sysctl -w x=0")), NOW
    )

    answer = doctor(found, 2)
    texts = [part.text for part in answer.parts if hasattr(part, "text")]
    assert texts[0] == f"1 thing is wrong ({len(Check)} checks, on 2 nodes)"
    assert "✗ node w12: eth0 answers for others" in texts
    assert f"  {WHY[Check.PROXY_ARP]}" in texts
    assert "  → sysctl -w x=0" in texts
    assert "  docs/doctor.md#proxy-arp" in texts
    assert not answer.is_well
    assert doctor((), 1).is_well
