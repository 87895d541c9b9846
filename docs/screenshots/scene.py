"""A cluster as the status page's pictures show it: what an allocator would know of it, moment by moment."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from allocator.page.facts import Facts
from allocator.page.streams import Moment
from allocator.page.view import Teller
from allocator.placement.values import Reason
from purelb import names
from purelb.addresses import Family, parse_address, parse_network
from purelb.membership import MemberNode, Standing
from purelb.services import Port, ServiceKey, ServiceView

BEGUN: Final = datetime.datetime(2026, 11, 29, 9, 14, 3, tzinfo=datetime.UTC).timestamp()
LATER: Final = BEGUN + 6 * 3600
"""When the pictures are taken."""
TELLER: Final = Teller("allocator-7d9f8c6b5d-x2lkq", "0.1.0", BEGUN, default_announcer=True)
NODES: Final = tuple(f"rack{rack}-worker{number}.k8s.example.net" for rack in (1, 2) for number in (1, 2, 3))
LAN: Final = frozenset({parse_network("192.168.40.0/22"), parse_network("2001:db8:40::/64")})
APPS: Final = [
    "shop/storefront",
    "shop/checkout",
    "shop/cart-grpc",
    "media/origin",
    "media/transcoder",
    "mail/submission",
    "mail/imap",
    "ingress/ingress-nginx",
    "ingress/ingress-internal",
    "observability/grafana",
    "observability/loki-gateway",
    "data/postgres-rw",
    "data/postgres-ro",
    "data/kafka-0",
    "data/kafka-1",
    "data/kafka-2",
    "iot/mqtt",
    "iot/coap",
    "voice/sip",
    "voice/turn",
    "git/ssh",
    "git/https",
    "registry/registry",
    "ldap/directory",
    "dns/resolver-a",
    "dns/resolver-b",
    "ci/webhook",
    "chat/matrix",
    "vpn/wireguard",
    "backup/s3",
]
ROUTED: Final = ["edge/anycast-dns", "edge/anycast-web", "edge/anycast-ntp", "edge/cdn"]


def _group(name: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    ready = {"type": "Ready", "status": "True", "message": "the allocator serves this ServiceGroup"}
    return {
        "metadata": {"name": name, "namespace": "purelb"},
        "spec": spec,
        "status": {"ipam": "Cluster", "conditions": [ready], **status},
    }


GROUPS: Final = (
    _group(
        "default",
        {"local": {"v4pool": {"subnet": "192.168.40.0/22", "pool": "192.168.41.10-192.168.41.60"}}},
        announce="Local",
        addresses=["192.168.41.10-192.168.41.60", "2001:db8:40::100-2001:db8:40::1ff"],
        allocatedIPv4=23,
        availableIPv4=28,
        allocatedIPv6=0,
        availableIPv6=256,
    ),
    _group(
        "voice",
        {"local": {"v4pool": {"subnet": "192.168.40.0/22", "pool": "192.168.42.0/29"}}},
        announce="Local",
        addresses=["192.168.42.0/29"],
        allocatedIPv4=7,
        availableIPv4=1,
    ),
    _group(
        "anycast",
        {"remote": {"v4pool": {"subnet": "203.0.113.0/24", "pool": "203.0.113.0/24"}}},
        announce="Remote",
        addresses=["203.0.113.0/24"],
        allocatedIPv4=4,
        availableIPv4=252,
    ),
)


def _service(
    path: str, address: str, pool: str, plan: tuple[str, ...] = (), node: str = "", at: float = BEGUN - 86400 * 9
) -> ServiceView:
    namespace, _, name = path.partition("/")
    annotations = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: pool}
    if plan:
        annotations[names.PLACEMENT] = f"{address}={','.join(plan)}"
    if node:
        annotations[names.ANNOUNCING_IPV4] = f"{node},eth0"
    return ServiceView(
        key=ServiceKey(namespace, name),
        uid=path,
        resource_version="1",
        created=datetime.datetime.fromtimestamp(at, datetime.UTC),
        type="LoadBalancer",
        ip_families=(Family.IPV4,),
        ports=frozenset({Port("TCP", 443)}),
        annotations=annotations,
        ingress=(parse_address(address),),
        announced=datetime.datetime.fromtimestamp(at, datetime.UTC) if node else None,
    )


def _address(index: int) -> tuple[str, str]:
    """Of an app, with its pool: seven are in the small one."""
    return (f"192.168.42.{index - 22}", "voice") if index >= 23 else (f"192.168.41.{index + 10}", "default")


def _members(*absent: str, **standing: tuple[Standing, str]) -> dict[str, MemberNode]:
    members = {}
    for name in NODES:
        if name not in absent:
            stands, reason = standing.get(name.partition(".")[0].replace("-", "_"), (Standing.SERVING, ""))
            members[name] = MemberNode(name, stands, reason, LAN, version="0.1.0")
    return members


def moments() -> Iterator[Moment]:
    """A node dies, comes back and takes its share again; another is drained."""
    dead, drained = NODES[4], NODES[2]
    ages = [BEGUN - 86400 * 9 + 97 * index * index for index in range(len(APPS))]
    homes = [(NODES[index % 6], NODES[(index + 1 + index // 6) % 6]) for index in range(len(APPS))]
    # Nobody stands in for itself.
    homes = [(home, heir if heir != home else NODES[(index + 3) % 6]) for index, (home, heir) in enumerate(homes)]
    routed = [_service(path, f"203.0.113.{number + 10}", "anycast") for number, path in enumerate(ROUTED)]
    at = dict(enumerate(homes))

    def shown() -> tuple[ServiceView, ...]:
        placed = [
            _service(path, *_address(index), at[index], at[index][0], ages[index]) for index, path in enumerate(APPS)
        ]
        return (*placed, *routed)

    facts = Facts(shown(), GROUPS, _members(), nodes=frozenset(NODES), leads=True)
    yield Moment(facts, 0.0, BEGUN)

    died = 3 * 3600.0 + 411
    facts = replace(facts, members=_members(dead))
    yield Moment(facts, died, BEGUN + died)
    lost = [index for index, (home, _) in at.items() if home == dead]
    for step, index in enumerate(lost):
        ages[index] = BEGUN + died
        at[index] = (at[index][1], at[index][0])
        facts = replace(facts, services=shown())
        yield Moment(facts, died + 0.2 + step * 0.05, BEGUN + died + 0.2 + step * 0.05)

    back = died + 1520.0
    facts = replace(facts, members=_members())
    yield Moment(facts, back, BEGUN + back)
    for index in lost:
        before, at[index] = at[index], (dead, at[index][0])
        planned = [replace(one) for one in shown()]
        planned[index] = _service(APPS[index], *_address(index), at[index], before[0], ages[index])
        reasons = dict.fromkeys((parse_address(_address(one)[0]) for one in lost), Reason.SHARE)
        facts = replace(facts, services=tuple(planned), reasons=reasons)
        yield Moment(facts, back + 90.0, BEGUN + back + 90.0)
        ages[index] = BEGUN + back + 90.0
        facts = replace(facts, services=shown())
        yield Moment(facts, back + 90.3, BEGUN + back + 90.3)

    cordoned = 6 * 3600.0 - 260
    standing = {drained.partition(".")[0].replace("-", "_"): (Standing.EXCLUDED, "its Node is cordoned")}
    facts = replace(facts, members=_members(**standing))
    yield Moment(facts, cordoned, BEGUN + cordoned)
    for step, index in enumerate([index for index, (home, _) in at.items() if home == drained]):
        ages[index] = BEGUN + cordoned + 1
        at[index] = (at[index][1], at[index][0])
        facts = replace(facts, services=shown())
        yield Moment(facts, cordoned + 0.1 + step * 0.1, BEGUN + cordoned + 0.1 + step * 0.1)
    yield Moment(facts, 6 * 3600.0, LATER)
