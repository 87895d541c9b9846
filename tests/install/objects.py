"""ServiceGroups and LBNodeAgents as users write them: wrong ones with the sentence that refuses each, and right ones.

A spec is YAML in flow form. `v1` and `v2` take turns, as both are served with the same rules.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, Final

import yaml

ONE_KIND = "a ServiceGroup needs exactly one kind of pool, which is local, remote, external or netbox"
SYNTAX = (
    "pool must be a CIDR such as 192.168.1.64/26, a range such as 192.168.1.64-192.168.1.126, an address, or several "
    "of them divided by commas"
)
UNUSABLE = "pool has addresses that can't be a Service's, because they are loopback, link-local, multicast or reserved"
UNREAL = "pool has an address that doesn't exist, or a prefix length that is too long"
UPSIDE_DOWN = "a range begins with its lowest address, and this one is upside down"
OUTSIDE = "pool must lie in its subnet"
SUBNET = "subnet must be a CIDR such as 192.168.1.0/24"
UNREAL_SUBNET = "subnet has an address that doesn't exist, or a prefix length that is too long"
ONLY_V4 = "an IPv4 pool takes IPv4 addresses; v6pool and v6pools are for IPv6"
ONLY_V6 = "an IPv6 pool takes IPv6 addresses; v4pool and v4pools are for IPv4"
V4_AGGREGATION = 'aggregation must be "default" or a prefix length from /1 to /32'
V6_AGGREGATION = 'aggregation must be "default" or a prefix length from /1 to /128'
TOGETHER = "pool, subnet and aggregation of local belong together; v4pool and v6pool take their place"
OLDER = "local.pool is the older form of v4pool or v6pool, and only one of the two can be there"
EXCLUSIVE = "multiPool and balancePools exclude each other"
REGEX = 'must be "default" or a regular expression'
INTERFACE = "the name of an interface has no blank, slash or colon"
DURATION = "a time is written as a number and a unit, such as 500ms or 1m30s"
LIFETIME = "preferredLifetime must not be longer than validLifetime"
SELECTOR = "In and NotIn take at least one value, Exists and DoesNotExist none"

GOOD: Final = "local: {v4pool: {pool: 192.168.1.0/26, subnet: 192.168.1.0/24}}"


def v4(pool: str) -> str:
    """The spec of a group with an IPv4 pool in 192.168.1.0/24."""
    return f"{{local: {{v4pool: {{pool: {pool}, subnet: 192.168.1.0/24}}}}}}"


def anywhere(pool: str) -> str:
    """The spec of a group with a pool of either family in a subnet that has all addresses."""
    family, subnet = ("v6pool", "::/0") if ":" in pool else ("v4pool", "0.0.0.0/0")
    return f"{{local: {{{family}: {{pool: '{pool}', subnet: '{subnet}'}}}}}}"


UNUSABLE_POOLS: Final = [
    ("loopback", "127.0.0.0/8"),
    ("one loopback address", "127.0.0.1"),
    ("loopback in a list", "10.0.0.0/28, 127.1.0.1-127.1.0.9"),
    ("multicast", "224.0.0.0/4"),
    ("multicast at the end", "223.255.255.0-224.0.0.5"),
    ("unspecified", "0.0.0.0/32"),
    ("everything", "0.0.0.0/0"),
    ("half of everything", "64.0.0.0/2"),
    ("around loopback", "126.255.255.0-128.0.0.5"),
    ("around link-local", "168.0.0.1-170.0.0.1"),
    ("around link-local as CIDR", "168.0.0.0/6"),
    ("link-local", "169.254.7.0/24"),
    ("reserved for the future", "240.0.0.1-240.0.0.9"),
    ("broadcast", "255.255.255.255"),
    ("IPv6 link-local", "fe80::/10"),
    ("IPv6 link-local range", "fe80::1-fe80::9"),
    ("upper IPv6 link-local", "FEBF::1"),
    ("IPv6 multicast", "ff02::1/128"),
    ("around IPv6 link-local", "f000::/4"),
    ("IPv6 loopback", "::1"),
    ("IPv6 loopback written out", "0:0:0:0:0:0:0:1"),
    ("IPv6 unspecified", "::/128"),
    ("IPv4-mapped", "::ffff:10.0.0.0/120"),
    ("IPv4-mapped range", "::ffff:10.0.0.1-::ffff:10.0.0.9"),
    ("everything of IPv6", "::/0"),
]


def v6(pool: str) -> str:
    """The spec of a group with an IPv6 pool in fd00:1::/64."""
    return f"{{local: {{v6pool: {{pool: {pool}, subnet: 'fd00:1::/64'}}}}}}"


def more(fields: str) -> str:
    """The spec of a group that is right but for `fields`."""
    return f"{{{GOOD}, {fields}}}"


def garp(fields: str) -> str:
    return f"{{local: {{garpConfig: {{{fields}}}}}}}"


@dataclass(frozen=True, slots=True)
class Case:
    """One object; `message` is empty for a right one."""

    kind: str
    title: str
    spec: str
    message: str = ""

    def body(self, version: str) -> dict[str, Any]:
        name = self.title.replace(" ", "-").lower()
        return {
            "apiVersion": f"purelb.io/{version}",
            "kind": self.kind,
            "metadata": {"name": name, "namespace": "purelb"},
            "spec": yaml.safe_load(self.spec),
        }


def _cases(kind: str, rows: list[tuple[str, ...]]) -> list[Case]:
    return [Case(kind, *row) for row in rows]


WRONG: Final = [
    *_cases(
        "ServiceGroup",
        [
            ("no kind of pool", "{namespaces: [a]}", ONE_KIND),
            ("local and remote", more("remote: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}}"), ONE_KIND),
            (
                "remote and netbox",
                "{remote: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}}, netbox: {url: 'http://n/', tenant: t}}",
                ONE_KIND,
            ),
            ("local without a pool", "{local: {}}", "local needs a pool, which is v4pool, v6pool, v4pools or v6pools"),
            ("empty list of pools", "{local: {v4pools: []}}", "local needs a pool"),
            ("remote without a pool", "{remote: {multiPool: true}}", "remote needs a pool, which is v4pool"),
            ("word as pool", v4("many"), SYNTAX),
            ("three ends", v4("192.168.1.10-192.168.1.11-192.168.1.12"), SYNTAX),
            ("range without an end", v4("192.168.1.10-"), SYNTAX),
            ("comma at the end", v4("'192.168.1.0/26,'"), SYNTAX),
            ("blank before the slash", v4("192.168.1.0 /26"), SYNTAX),
            ("semicolons", v4("192.168.1.0/28;192.168.1.64/28"), SYNTAX),
            ("address above 255", v4("192.168.1.10-192.168.1.256"), UNREAL),
            ("prefix too long", v4("192.168.1.0/33"), UNREAL),
            ("short address", v4("192.168.10-192.168.20"), UNREAL),
            ("IPv6 with two gaps", v6("fd00:1::1-fd00::1::9"), UNREAL),
            ("single address above 255", v4("192.168.1.300"), UNREAL),
            *((title, anywhere(pool), UNUSABLE) for title, pool in UNUSABLE_POOLS),
            ("upside down", v4("192.168.1.20-192.168.1.10"), UPSIDE_DOWN),
            ("upside down in a list", v4("'192.168.1.0/28,192.168.1.200-192.168.1.99'"), UPSIDE_DOWN),
            ("upside down IPv6", v6("fd00:1::10-fd00:1::f"), UPSIDE_DOWN),
            ("upside down by a middle part", v6("fd00:1::1:0:0-fd00:1::ffff:ffff"), UPSIDE_DOWN),
            ("pool outside", v4("192.168.2.10-192.168.2.20"), OUTSIDE),
            ("pool partly outside", v4("192.168.1.10-192.168.2.20"), OUTSIDE),
            ("CIDR outside", v4("192.168.0.0/23"), OUTSIDE),
            ("list partly outside", v4("'192.168.1.0/28, 192.168.3.0/28'"), OUTSIDE),
            ("IPv6 outside", v6("fd00:2::1-fd00:2::9"), OUTSIDE),
            ("subnet without a length", "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0}}}", SUBNET),
            ("subnet of words", "{local: {v4pool: {pool: 10.0.0.0/26, subnet: office}}}", SUBNET),
            ("subnet too long", "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/64}}}", UNREAL_SUBNET),
            ("no subnet", "{local: {v4pool: {pool: 10.0.0.0/26}}}", "spec.local.v4pool.subnet: Required value"),
            ("no range", "{local: {v4pool: {subnet: 10.0.0.0/24}}}", "spec.local.v4pool.pool: Required value"),
            ("IPv6 in v4pool", "{local: {v4pool: {pool: 'fd00:1::/120', subnet: 'fd00:1::/64'}}}", ONLY_V4),
            ("IPv6 in v4pools", "{remote: {v4pools: [{pool: 'fd00:1::/120', subnet: 'fd00:1::/64'}]}}", ONLY_V4),
            ("IPv4 in v6pool", "{local: {v6pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}}}", ONLY_V6),
            ("families mixed", v4("192.168.1.1-fd00::1"), ONLY_V4),
            (
                "aggregation of a word",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: all}}}",
                V4_AGGREGATION,
            ),
            (
                "aggregation too long",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: /64}}}",
                V4_AGGREGATION,
            ),
            (
                "aggregation of nothing",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: /0}}}",
                V4_AGGREGATION,
            ),
            (
                "IPv6 aggregation too long",
                "{local: {v6pool: {pool: 'fd00:1::/120', subnet: 'fd00:1::/64', aggregation: /129}}}",
                V6_AGGREGATION,
            ),
            ("older form without subnet", "{local: {pool: 10.0.0.0/26}}", TOGETHER),
            ("older form outside", "{local: {pool: 10.0.9.0/26, subnet: 10.0.0.0/24, aggregation: /32}}", OUTSIDE),
            (
                "older form of two families",
                "{local: {pool: 10.0.0.0/26, subnet: 'fd00::/64'}}",
                "pool and subnet must be of one family",
            ),
            (
                "older form aggregation",
                "{local: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: /128}}",
                'aggregation must be "default" or a prefix length of the subnet\'s family, such as /32',
            ),
            (
                "older form and v4pool",
                "{local: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, v4pool: {pool: 10.1.0.0/26, subnet: 10.1.0.0/24}}}",
                OLDER,
            ),
            (
                "two policies",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}, multiPool: true, balancePools: true}}",
                EXCLUSIVE,
            ),
            (
                "enforced for nobody",
                more("enforceNamespaces: true"),
                "enforceNamespaces needs a list of namespaces that isn't empty",
            ),
            (
                "default of nobody",
                more("namespaceDefault: true, namespaces: []"),
                "namespaceDefault needs a list of namespaces that isn't empty",
            ),
            (
                "namespace in capitals",
                more("namespaces: [Web]"),
                "the name of a namespace is made of lower-case letters, digits and dashes",
            ),
            (
                "announced nowhere",
                "{external: {provider: x, announce: both}}",
                'spec.external.announce: Unsupported value: "both": supported values: "local", "remote"',
            ),
            (
                "relative socket",
                "{external: {provider: x, announce: local, socket: ipam.sock}}",
                "socket must be a path that begins with a slash",
            ),
            (
                "no address for a Service",
                more("maxAddressesPerService: 0"),
                "spec.maxAddressesPerService in body should be greater than or equal to 1",
            ),
            (
                "too many addresses for a Service",
                more("maxAddressesPerService: 257"),
                "spec.maxAddressesPerService in body should be less than or equal to 256",
            ),
            (
                "placed at will",
                more("placement: spread"),
                'spec.placement: Unsupported value: "spread": supported values: "even", "hash"',
            ),
            (
                "nodes selected by no value",
                more("nodeSelector: {matchExpressions: [{key: a, operator: In}]}"),
                SELECTOR,
            ),
            ("NetBox by FTP", "{netbox: {url: 'ftp://n/', tenant: t}}", "url must begin with http:// or https://"),
            (
                "too many ranges",
                v4("'" + ",".join(f"192.168.1.{n}/32" for n in range(33)) + "'"),
                "pool takes at most 32 ranges; a list of pools (v4pools, v6pools) takes more",
            ),
        ],
    ),
    *_cases(
        "LBNodeAgent",
        [
            ("bracket left open", "{local: {localInterface: 'eth['}}", REGEX),
            ("look-ahead", "{local: {localint: '(?!lo).*'}}", REGEX),
            (
                "name too long",
                "{local: {dummyInterface: kube-lb0-of-the-first-cluster}}",
                "spec.local.dummyInterface: Too long: may not be",
            ),
            ("slash in a name", "{local: {extlbint: kube/lb0}}", INTERFACE),
            ("blank in a name", "{local: {interfaces: ['eth 1']}}", INTERFACE),
            ("no announcements", garp("count: 0"), "spec.local.garpConfig.count"),
            (
                "too many announcements",
                garp("count: 11"),
                "spec.local.garpConfig.count in body should be less than or equal to 10",
            ),
            ("time without a unit", garp("interval: '500'"), DURATION),
            ("negative time", garp("initialDelay: -100ms"), DURATION),
            ("refreshing all the time", garp("refreshInterval: 1s"), "must be 0s, which is never, or from 10s to 24h"),
            ("slow announcements", garp("interval: 5m"), "a neighbour must hear of an address within a minute"),
            (
                "lifetimes crossed",
                "{local: {addressConfig: {localInterface: {validLifetime: 60, preferredLifetime: 300}}}}",
                LIFETIME,
            ),
            (
                "negative lifetime",
                "{local: {addressConfig: {dummyInterface: {validLifetime: -1}}}}",
                "spec.local.addressConfig.dummyInterface.validLifetime in body should be greater than or equal to 0",
            ),
            (
                "placed by chance",
                "{local: {placement: random}}",
                'spec.local.placement: Unsupported value: "random": supported values: "even", "hash"',
            ),
            (
                "a router by its name",
                "{local: {returnPath: {enabled: true, gateways: [router]}}}",
                "must be the address of a router on a subnet",
            ),
            (
                "a router on no subnet",
                "{local: {returnPath: {enabled: true, gateways: ['fe80::1']}}}",
                "must be the address of a router on a subnet",
            ),
            (
                "the mark of kube-proxy",
                "{local: {returnPath: {enabled: true, markBits: [12, 14]}}}",
                "bits 14 and 15 are kube-proxy's",
            ),
            (
                "too heavy",
                "{local: {weight: 101}}",
                "spec.local.weight in body should be less than or equal to 100",
            ),
            (
                "selector without values",
                "{nodeSelector: {matchExpressions: [{key: a, operator: In}]}, local: {}}",
                SELECTOR,
            ),
            (
                "selector with values",
                "{nodeSelector: {matchExpressions: [{key: a, operator: Exists, values: [b]}]}, local: {}}",
                SELECTOR,
            ),
            (
                "selector of no kind",
                "{nodeSelector: {matchExpressions: [{key: a, operator: Like}]}, local: {}}",
                'Unsupported value: "Like": supported values: "In", "NotIn", "Exists", "DoesNotExist"',
            ),
        ],
    ),
]

RIGHT: Final = [
    *_cases(
        "ServiceGroup",
        [
            ("CIDR", v4("192.168.1.0/26")),
            ("CIDR of one address", v4("192.168.1.7/32")),
            ("CIDR with host bits", v4("192.168.1.10/25")),
            ("whole subnet", v4("192.168.1.0/24")),
            ("range", v4("192.168.1.10-192.168.1.20")),
            ("bare address", v4("192.168.1.10")),
            ("bare addresses in a list", v4("'192.168.1.10, 192.168.1.12,192.168.1.64/28'")),
            ("bare IPv6 address", v6("'fd00:1::7'")),
            ("pool that ends in what would be reserved as a beginning", v4("192.168.1.127-192.168.1.224")),
            ("IPv6 with zeros within", v6("'fd00:1::ff-fd00:1::ff00'")),
            ("next to loopback", anywhere("126.0.0.0/8,128.0.0.0/8")),
            ("next to multicast", anywhere("223.0.0.0-223.255.255.255")),
            ("unique local IPv6", anywhere("fc00::/7")),
            ("global IPv6", anywhere("2001:db8::/32")),
            ("more addresses for a Service", more("maxAddressesPerService: 256, shareAcrossNamespaces: true")),
            ("range of one address", v4("192.168.1.10-192.168.1.10")),
            ("range across a digit", v4("192.168.1.9-192.168.1.10")),
            ("blanks around the dash", v4("192.168.1.10 - 192.168.1.20")),
            ("blanks around all", v4("' 192.168.1.10-192.168.1.20 '")),
            ("comma list", v4("'192.168.1.0/28,192.168.1.64-192.168.1.70, 192.168.1.128/27'")),
            ("range across a byte", "{local: {v4pool: {pool: 10.1.0.200-10.1.1.10, subnet: 10.1.0.0/16}}}"),
            ("IPv6 CIDR", v6("'fd00:1::/120'")),
            ("IPv6 range", v6("fd00:1::f-fd00:1::10")),
            ("IPv6 range across parts", v6("fd00:1::ffff:ffff-fd00:1::1:0:0")),
            ("IPv6 in two ways", v6("fd00:1:0:0::1-FD00:1::1")),
            ("IPv6 from the network", v6("'fd00:1::-fd00:1::ffff:ffff:ffff:ffff'")),
            (
                "default aggregation",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: default}}}",
            ),
            ("empty aggregation", "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: ''}}}"),
            (
                "aggregation as a length",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: /32}}}",
            ),
            (
                "aggregation as a number",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24, aggregation: '24'}}}",
            ),
            ("IPv6 aggregation", "{local: {v6pool: {pool: 'fd00:1::/120', subnet: 'fd00:1::/64', aggregation: /128}}}"),
            (
                "both families",
                "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24},"
                " v6pool: {pool: 'fd00:1::/120', subnet: 'fd00:1::/64'}}}",
            ),
            (
                "several pools",
                "{local: {v4pools: [{pool: 10.0.0.0/26, subnet: 10.0.0.0/24},"
                " {pool: 10.0.1.0/26, subnet: 10.0.1.0/24}], balancePools: true}}",
            ),
            ("older form", "{local: {pool: 10.189.0.0-10.189.255.254, subnet: 10.189.0.0/16, aggregation: /32}}"),
            (
                "older form of IPv6 beside v4pool",
                "{local: {pool: 'fd00:1::/120', subnet: 'fd00:1::/64',"
                " v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}}}",
            ),
            ("subnet with host bits", "{local: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.1/24}}}"),
            ("remote", "{remote: {v4pool: {pool: 10.0.0.0/26, subnet: 10.0.0.0/24}, multiPool: true}}"),
            (
                "of some namespaces",
                more("namespaces: [web, shop-2], enforceNamespaces: true, namespaceDefault: true"),
            ),
            ("switches off", more("enforceNamespaces: false, namespaceDefault: false")),
            ("of some nodes", more("nodeSelector: {matchLabels: {rack: a}}, placement: even")),
            ("sidecar", "{external: {provider: infoblox, announce: remote}}"),
            ("NetBox", "{netbox: {url: 'https://netbox.example/', tenant: purelb, aggregation: /32}}"),
            ("local and NetBox of PureLB 0.6", more("netbox: {url: 'http://n/', tenant: t, aggregation: /32}")),
        ],
    ),
    *_cases(
        "LBNodeAgent",
        [
            ("without local", "{}"),
            ("defaults", "{local: {}}"),
            ("of the article", "{local: {localint: default, extlbint: kube-lb0}}"),
            ("v0.13", "{local: {localint: default, extlbint: kube-lb0, sendgarp: true}}"),
            ("regular expression", "{local: {localInterface: '^(eth|ens)[0-9]+$', interfaces: [bond0, eth1.100]}}"),
            ("announcements", garp("enabled: true, initialDelay: 50ms, interval: 1.5s, count: 10")),
            ("empty times", garp("initialDelay: '', interval: ''")),
            ("announcements off", garp("enabled: false")),
            ("no refreshing", garp("refreshInterval: 0s")),
            ("refreshing each day", garp("refreshInterval: 24h")),
            ("placed evenly", "{local: {placement: even}}"),
            ("weighing nothing", "{local: {placement: even, weight: 0}}"),
            (
                "answering by the NIC",
                "{local: {returnPath: {enabled: true, gateways: [172.30.0.254, 'fd00::1'], markBits: [12, 13]}}}",
            ),
            (
                "lifetimes",
                "{local: {addressConfig: {localInterface: {validLifetime: 300, preferredLifetime: 300},"
                " dummyInterface: {validLifetime: 0, preferredLifetime: 0, noPrefixRoute: false}}}}",
            ),
            (
                "selector",
                "{nodeSelector: {matchLabels: {rack: a}, matchExpressions:"
                " [{key: gpu, operator: DoesNotExist}, {key: zone, operator: In, values: [a, b]}]}, local: {}}",
            ),
        ],
    ),
]


def documents(cases: list[Case]) -> str:
    """All objects in one file, v1 and v2 by turns."""
    versions = itertools.cycle(["v1", "v2"])
    return yaml.safe_dump_all([case.body(version) for case, version in zip(cases, versions, strict=False)])
