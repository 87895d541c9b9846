"""Settings and profiles."""

import dataclasses

import pytest

from memberlist.config import Config
from memberlist.errors import ConfigError


def test_the_lan_profile_is_memberlists() -> None:
    lan = Config.lan()

    assert (lan.probe_interval, lan.probe_timeout, lan.indirect_checks) == (1.0, 0.5, 3)
    assert (lan.suspicion_mult, lan.suspicion_max_timeout_mult, lan.awareness_max_multiplier) == (4, 6, 8)
    assert (lan.gossip_interval, lan.gossip_nodes, lan.gossip_to_the_dead_time) == (0.2, 3, 30)
    assert (lan.retransmit_mult, lan.push_pull_interval, lan.udp_buffer_size) == (4, 30, 1400)
    assert lan.confirmations_wanted == 2


def test_by_default_we_advertise_what_purelb_does() -> None:
    assert Config.lan().versions == bytes([1, 5, 2, 0, 0, 0])
    assert Config.fast().versions == bytes([1, 5, 2, 0, 0, 0])
    assert Config.lan(delegate_versions=(2, 5, 5)).versions == bytes([1, 5, 2, 2, 5, 5])


def test_in_the_quick_profiles_a_nack_comes_before_the_verdict() -> None:
    for profile in (Config.fast(), Config.steady()):
        assert 2 * profile.probe_timeout + 0.01 < (profile.probe_length or profile.probe_interval)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("probe_interval", 0.0),
        ("probe_timeout", 1.0),
        ("gossip_interval", -1.0),
        ("protocol_version", 0),
        ("protocol_version", 6),
        ("delegate_versions", (2, 5, 6)),
        ("delegate_versions", (2, 1, 1)),
        ("suspicion_mult", 0),
        ("udp_buffer_size", 100),
        ("probe_length", 0.5),
        ("probe_length", 1.5),
        ("suspicion_interval", -0.1),
        ("watch_turns", -1),
        ("watch_turns", 1),
    ],
)
def test_what_can_not_work_is_refused(setting: str, value: object) -> None:
    with pytest.raises(ConfigError):
        dataclasses.replace(Config(), **{setting: value})  # type: ignore[arg-type]


def test_the_other_profiles_of_memberlist() -> None:
    wan, local = Config.wan(), Config.local()

    assert (wan.tcp_timeout, wan.suspicion_mult, wan.push_pull_interval) == (30, 6, 60)
    assert (wan.probe_interval, wan.probe_timeout) == (5, 3)
    assert (wan.gossip_interval, wan.gossip_nodes, wan.gossip_to_the_dead_time) == (0.5, 4, 60)
    assert (local.tcp_timeout, local.indirect_checks, local.retransmit_mult, local.suspicion_mult) == (1, 1, 2, 3)
    assert (local.push_pull_interval, local.probe_interval, local.probe_timeout) == (15, 1, 0.2)
    assert (local.gossip_interval, local.gossip_nodes, local.gossip_to_the_dead_time) == (0.1, 3, 15)
