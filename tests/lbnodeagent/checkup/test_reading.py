"""What a look reads below /proc, in the forms that Linux writes; what isn't there is left out."""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from lbnodeagent.checkup.facts import Expected
from lbnodeagent.checkup.ports import waiting_below
from lbnodeagent.checkup.reading import look

LAN = ip_network("10.31.0.0/16")
ROUTES = """Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
veth9	00000000	FBFE1F0A	0003	0	0	0	00000000	0	0	0
veth9	00001F0A	00000000	0001	0	0	0	0000FFFF	0	0	0
veth8	0005A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
"""
NEIGHBOURS = """IP address       HW type     Flags       HW address            Mask     Device
10.31.188.70     0x1         0x2         52:54:00:12:34:56     *        veth9
10.31.188.71     0x1         0x0         00:00:00:00:00:00     *        veth9
"""
ROUTES6 = """fd000010003100000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001    veth9
fd000010003100000000000000000064 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000002 00000000 80200001    veth9
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003    veth9
fd000010003200000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001    veth6
"""  # noqa: E501 - as the kernel writes it
DEVICES = """Inter-|   Receive             |  Transmit
 face |bytes    packets errs |bytes    packets errs
    lo:       0       0    0        0       0    0
kube-ipvs0:   0       0    0        0       0    0
"""
TCP = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1D30 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 424242 1 0 100 0 0 10 0
   1: 0100007F:1EFE 0100007F:8000 01 00000000:00000000 00:00000000 00000000     0        0 424243 1 0 100 0 0 10 0
"""


def proc(folder: Path, **settings: int) -> Path:
    (folder / "net").mkdir()
    for name, text in (("route", ROUTES), ("ipv6_route", ROUTES6), ("arp", NEIGHBOURS), ("dev", DEVICES), ("tcp", TCP)):
        (folder / "net" / name).write_text(text)
    for path, value in settings.items():
        file = folder / "sys/net" / path.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
    return folder


def test_the_nics_are_those_on_which_the_node_announces_with_the_settings_that_count(tmp_path: Path) -> None:
    found = look(
        Expected(subnets=frozenset({LAN}), gossip_port=7934, metrics_port=7472),
        proc(
            tmp_path,
            ipv4__conf__all__arp_ignore=0,
            ipv4__conf__veth9__arp_ignore=8,
            ipv4__conf__all__arp_announce=2,
            ipv4__conf__veth9__arp_announce=0,
            ipv4__conf__veth9__proxy_arp=1,
            ipv4__conf__veth9__forwarding=0,
            ipv6__conf__veth9__disable_ipv6=1,
            netfilter__nf_conntrack_count=7,
            netfilter__nf_conntrack_max=9,
        ),
        partial(waiting_below, tmp_path / "net"),
    )

    (nic,) = found.nics
    assert (nic.name, nic.subnets) == ("veth9", (LAN,))
    assert (nic.arp_ignore, nic.arp_announce, nic.proxies_arp) == (8, 2, True)
    assert (nic.forwards, nic.has_ipv6, nic.drops_far, nic.has_default) == (False, False, False, True)
    assert (found.tracked, found.most_tracked) == (7, 9)
    assert found.gateways == {ip_address("10.31.254.251")}
    assert found.neighbours == {ip_address("10.31.188.70"): "52:54:00:12:34:56"}
    assert found.interfaces == {"lo", "kube-ipvs0"}
    assert found.taken == ("TCP 7472",), "what listens there is none of our sockets"


def test_a_nic_beside_the_one_with_the_default_route_is_known(tmp_path: Path) -> None:
    subnet = ip_network("192.168.5.0/24")

    (nic,) = look(Expected(subnets=frozenset({subnet})), proc(tmp_path)).nics

    assert (nic.name, nic.has_default) == ("veth8", False)


def test_a_nics_ipv6_subnets_are_known_also_of_one_without_ipv4(tmp_path: Path) -> None:
    subnets = [ip_network("fd00:10:31::/64"), ip_network("fd00:10:32::/64")]

    nics = look(Expected(subnets=frozenset({LAN, *subnets})), proc(tmp_path)).nics

    assert [(nic.name, nic.subnets, nic.subnets6) for nic in nics] == [
        ("veth9", (LAN,), (subnets[0],)),
        ("veth6", (), (subnets[1],)),
    ]


def test_where_nothing_can_be_read_nothing_is_wrong(tmp_path: Path) -> None:
    found = look(
        Expected(subnets=frozenset({LAN}), gossip_port=7934, metrics_port=7472),
        tmp_path,
        partial(waiting_below, tmp_path),
    )

    assert (found.nics, found.taken, found.most_tracked) == ((), (), 0)


@pytest.mark.parametrize(
    ("mounts", "is_lost"),
    [
        ("22 1 0:21 / / rw - overlay overlay rw\n23 22 0:22 / /proc rw - proc proc rw\n", True),
        ("22 1 0:21 / / rw - overlay overlay rw\n24 22 0:5 /purelb /run/purelb rw - tmpfs tmpfs rw\n", False),
        ("22 1 254:1 / / rw - ext4 /dev/vda rw\n", False),
        ("", False),
    ],
    ids=["the container's own", "a volume from the host", "no container", "not known"],
)
def test_a_ledger_is_lost_where_it_is_on_the_containers_own_file_system(
    tmp_path: Path, mounts: str, is_lost: bool
) -> None:
    (tmp_path / "self").mkdir()
    (tmp_path / "self/mountinfo").write_text(mounts)

    assert look(Expected(ledger=Path("/run/purelb")), tmp_path).is_ledger_lost is is_lost
