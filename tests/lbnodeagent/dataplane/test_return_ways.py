"""When the core says by which ways answers are to leave."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.dataplane.core import Core
from lbnodeagent.kernel.notifications import Change, Dump, LinkSeen, RoutesRead
from lbnodeagent.messages import Begun, Configured
from lbnodeagent.returnpath.ways import ReturnWays
from lbnodeagent.tables import DefaultRoute
from purelb.addresses import Family
from purelb.nodeagents import NodeAgentConfig
from purelb.returnpath import ReturnPath
from purelb.version import Version
from tests.lbnodeagent.scenes import ETH0, ETH1, NOW, link, own

ROUTES = (
    DefaultRoute(Family.IPV4, 0, (ETH0,), (ip_address("10.31.0.1"),)),
    DefaultRoute(Family.IPV4, 200, (ETH1,), (ip_address("172.30.0.254"),)),
)
ON = Configured(NodeAgentConfig(interfaces=("eth1",), return_path=ReturnPath()))
OFF = Configured(NodeAgentConfig(interfaces=("eth1",)))
LAN = ip_network("172.30.0.0/24")


@pytest.fixture
def core() -> Core:
    """On a node with two NICs."""
    made = Core("w11", Version())
    links = link(ETH0, "eth0"), link(ETH1, "eth1")
    made.start(NOW, Dump(links, (own(ETH0, "10.31.188.11/16"), own(ETH1, "172.30.0.11/24")), ROUTES))
    return made


def said(core: Core) -> list[list[str]]:
    """The subnets of each set of ways."""
    return [[str(way.network) for way in output.ways] for output in core.outputs() if isinstance(output, ReturnWays)]


def hears(core: Core, *changes: Change) -> list[list[str]]:
    core.kernel(NOW, changes)
    return said(core)


def test_before_the_configuration_is_known_nothing_is_said_so_that_an_earlier_run_is_left_alone(core: Core) -> None:
    assert hears(core, LinkSeen(link(ETH1, "eth1", has_carrier=False))) == []


def test_switched_off_the_first_configuration_says_that_there_is_none(core: Core) -> None:
    core.told(NOW, OFF)

    assert said(core) == [[]]


def test_it_is_said_with_each_configuration_and_when_the_control_plane_begins_anew(core: Core) -> None:
    for told, ways in ((ON, [[str(LAN)]]), (ON, [[str(LAN)]]), (Begun(), [[str(LAN)]]), (OFF, [[]])):
        core.told(NOW, told)
        assert said(core) == ways


def test_it_follows_cables_and_default_routes(core: Core) -> None:
    core.told(NOW, ON)
    said(core)

    assert hears(core, LinkSeen(link(ETH1, "eth1", has_carrier=False))) == [[]]
    assert hears(core, LinkSeen(link(ETH1, "eth1"))) == [[str(LAN)]]
    assert hears(core, RoutesRead(ROUTES[:1])) == [[]]
    assert hears(core, RoutesRead(ROUTES)) == [[str(LAN)]]
    assert hears(core, RoutesRead(ROUTES)) == [], "it is no news"
