"""Flags and environment, with PureLB's names."""

from __future__ import annotations

from pathlib import Path

import pytest

from purelb.errors import SettingsError
from purelb.settings import AgentSettings, AllocatorSettings, HostPort, PageSettings
from purelb.tempo import Tempo

AGENT = {"PURELB_NODE_NAME": "node-1", "PURELB_HOST": "10.0.0.1", "PURELB_NAMESPACE": "lb"}


def test_the_agent_reads_its_environment() -> None:
    settings = AgentSettings.from_environment({**AGENT, "ML_GROUP": "8sb7ikA5qHwQQqxc"}, [])

    assert (settings.node_name, settings.common.host, settings.common.port) == ("node-1", "10.0.0.1", 7472)
    assert (settings.gossip_namespace, settings.gossip_port) == ("lb", 7934)
    assert settings.gossip_key == b"8sb7ikA5qHwQQqxc"


def test_a_flag_wins_over_its_variable() -> None:
    settings = AgentSettings.from_environment(AGENT, ["--node-name", "node-2", "--port", "9", "--memberlist-ns", "ml"])

    assert (settings.node_name, settings.common.port, settings.gossip_namespace) == ("node-2", 9, "ml")


def test_the_agent_asks_a_bird_only_when_it_is_told_where() -> None:
    told = AgentSettings.from_environment({**AGENT, "PURELB_BIRD_SOCKET": "/run/bird/bird.ctl"}, [])

    assert told.bird_socket == Path("/run/bird/bird.ctl")
    assert AgentSettings.from_environment(AGENT, []).bird_socket is None


def test_an_agent_without_a_node_name_says_so() -> None:
    with pytest.raises(SettingsError, match="PURELB_NODE_NAME"):
        AgentSettings.from_environment({}, [])


def test_a_gossip_key_of_a_wrong_size_is_refused() -> None:
    with pytest.raises(SettingsError, match="has 5 bytes, but a gossip key has 16, 24 or 32"):
        AgentSettings.from_environment({**AGENT, "ML_GROUP": "short"}, [])


def test_an_unknown_log_level_is_refused() -> None:
    with pytest.raises(SettingsError, match='PURELB_LOG_LEVEL "loud"'):
        AgentSettings.from_environment({**AGENT, "PURELB_LOG_LEVEL": "loud"}, [])


@pytest.mark.parametrize(("value", "ours"), [("PureLB", True), ("purelb", False), (None, False)])
def test_services_without_a_class_are_ours_where_the_announcer_says_so(value: str | None, ours: bool) -> None:
    environ = {"DEFAULT_ANNOUNCER": value} if value is not None else {}

    assert AllocatorSettings.from_environment(environ, []).default_announcer is ours


def test_the_first_file_of_kubeconfig_is_used() -> None:
    settings = AllocatorSettings.from_environment({"KUBECONFIG": "/a:/b"}, [])

    assert settings.common.kubeconfig == Path("/a")


def test_what_an_operator_forbids_is_read_and_garbage_refused() -> None:
    environ = {"PURELB_FORBIDDEN_ADDRESSES": "10.31.255.254, 10.31.0.1-10.31.0.9,10.32.0.0/24 fd00::1"}

    settings = AllocatorSettings.from_environment(environ, [])

    assert settings.forbidden == ("10.31.255.254", "10.31.0.1-10.31.0.9", "10.32.0.0/24", "fd00::1")
    assert AllocatorSettings.from_environment({"PURELB_FORBIDDEN_ADDRESSES": " "}, []).forbidden == ()
    with pytest.raises(SettingsError, match='PURELB_FORBIDDEN_ADDRESSES: "gateway" is neither'):
        AllocatorSettings.from_environment({"PURELB_FORBIDDEN_ADDRESSES": "gateway"}, [])


def test_policy_local_is_kept_unless_agents_are_told_to_reset_it() -> None:
    node = {"PURELB_NODE_NAME": "n"}

    assert AgentSettings.from_environment(node, []).local_policy == "keep"
    assert AgentSettings.from_environment({**node, "PURELB_LOCAL_POLICY": "reset"}, []).local_policy == "reset"
    with pytest.raises(SettingsError, match='PURELB_LOCAL_POLICY "cluster" is neither keep nor reset'):
        AgentSettings.from_environment({**node, "PURELB_LOCAL_POLICY": "cluster"}, [])


def test_an_agent_needs_no_peers_to_be_ready_unless_it_is_said() -> None:
    assert not AgentSettings.from_environment(AGENT, []).requires_peers
    assert AgentSettings.from_environment({**AGENT, "PURELB_REQUIRE_PEERS": "true"}, []).requires_peers
    with pytest.raises(SettingsError, match="PURELB_REQUIRE_PEERS"):
        AgentSettings.from_environment({**AGENT, "PURELB_REQUIRE_PEERS": "yes"}, [])


def test_the_wire_is_asked_for_new_addresses_unless_that_is_turned_off() -> None:
    assert AgentSettings.from_environment(AGENT, []).asks_first
    assert not AgentSettings.from_environment({**AGENT, "PURELB_ASK_FIRST": "false"}, []).asks_first


def test_connections_outlive_no_move_unless_that_is_turned_on() -> None:
    assert not AgentSettings.from_environment(AGENT, []).keeps_flows
    assert AgentSettings.from_environment({**AGENT, "PURELB_KEEP_FLOWS": "true"}, []).keeps_flows


def test_a_lease_is_published_unless_that_is_turned_off() -> None:
    assert AgentSettings.from_environment(AGENT, []).publishes_lease
    assert not AgentSettings.from_environment({**AGENT, "PURELB_NODE_LEASE": "false"}, []).publishes_lease
    with pytest.raises(SettingsError, match='PURELB_NODE_LEASE "off" is neither true nor false'):
        AgentSettings.from_environment({**AGENT, "PURELB_NODE_LEASE": "off"}, [])


def test_kube_proxys_health_is_asked_for_unless_that_is_turned_off() -> None:
    def told(text: str) -> HostPort | None:
        return AgentSettings.from_environment({**AGENT, "PURELB_KUBE_PROXY_HEALTH": text}, []).kube_proxy

    assert AgentSettings.from_environment(AGENT, []).kube_proxy == HostPort("", 10256)
    assert told("off") is None
    assert told("10300") == HostPort("", 10300)
    assert told("[fd00::1]:10256") == HostPort("fd00::1", 10256)
    with pytest.raises(SettingsError, match='PURELB_KUBE_PROXY_HEALTH "no" is neither a port, nor host:port, nor off'):
        told("no")


def test_the_gate_tries_no_service_unless_one_is_named() -> None:
    def told(text: str) -> HostPort | None:
        return AgentSettings.from_environment({**AGENT, "PURELB_GATE_PROBE": text}, []).gate_probe

    assert told("") is None
    assert told("10.96.0.1:443") == HostPort("10.96.0.1", 443)
    for wrong in ("10.96.0.1", ":443", "kubernetes:443", "10.96.0.1:0"):
        with pytest.raises(SettingsError, match="PURELB_GATE_PROBE"):
            told(wrong)


def test_logs_are_json_unless_people_are_to_read_them() -> None:
    assert AgentSettings.from_environment(AGENT, []).common.log_format == "json"
    assert AllocatorSettings.from_environment({"PURELB_LOG_FORMAT": "text"}, []).common.log_format == "text"
    assert AgentSettings.from_environment(AGENT, ["--log-format", "text"]).common.log_format == "text"
    with pytest.raises(SettingsError, match='PURELB_LOG_FORMAT "xml" is neither json nor text'):
        AllocatorSettings.from_environment({"PURELB_LOG_FORMAT": "xml"}, [])


def test_metrics_can_be_told_apart_from_the_probes_only_where_those_have_an_address() -> None:
    host = {"PURELB_HOST": "10.31.188.11", "PURELB_METRICS_HOST": "127.0.0.1"}

    assert AgentSettings.from_environment(AGENT, []).metrics_host is None
    assert AgentSettings.from_environment({**AGENT, **host}, []).metrics_host == "127.0.0.1"
    with pytest.raises(SettingsError, match="PURELB_METRICS_HOST needs PURELB_HOST"):
        AgentSettings.from_environment({"PURELB_NODE_NAME": "n", "PURELB_METRICS_HOST": "127.0.0.1"}, [])


def test_placement_is_even_and_steady_unless_told_otherwise() -> None:
    told = {"PURELB_PLACEMENT": "hash", "PURELB_PLACEMENT_HOLD_DOWN": "5", "PURELB_PLACEMENT_MOVES": "2"}

    default, other = (AllocatorSettings.from_environment(environ, []) for environ in ({}, told))

    assert (default.placement, default.tempo) == ("even", Tempo())
    assert (other.placement, other.tempo) == ("hash", Tempo(hold_down=5.0, moves=2))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("PURELB_PLACEMENT", "odd", "neither even nor hash"),
        ("PURELB_PLACEMENT_HOLD_DOWN", "1m", "is not a number from 0 to 3600"),
        ("PURELB_PLACEMENT_MOVES", "0", "is not a number from 1 to 1000"),
        ("PURELB_PLACEMENT_INTERVAL", "nan", "is not a number from 0.1 to 3600"),
    ],
)
def test_a_placement_setting_that_makes_no_sense_ends_the_start(name: str, text: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        AllocatorSettings.from_environment({name: text}, [])


def test_a_gossip_profile_that_is_none_ends_the_start() -> None:
    assert AgentSettings.from_environment(AGENT, []).gossip_profile == "steady"
    assert AgentSettings.from_environment({**AGENT, "PURELB_GOSSIP_PROFILE": "lan"}, []).gossip_profile == "lan"
    with pytest.raises(SettingsError, match='PURELB_GOSSIP_PROFILE "quick" is none of steady, fast, lan'):
        AgentSettings.from_environment({**AGENT, "PURELB_GOSSIP_PROFILE": "quick"}, [])


def test_metrics_are_over_tls_only_if_a_certificate_s_folder_is_named() -> None:
    assert AgentSettings.from_environment(AGENT, []).common.metrics_tls is None

    said = {**AGENT, "PURELB_METRICS_TLS": "/tls", "PURELB_METRICS_TLS_PORT": "9443"}
    common = AgentSettings.from_environment(said, []).common
    assert (common.metrics_tls, common.metrics_tls_port) == (Path("/tls"), 9443)
    assert AllocatorSettings.from_environment({}, ["--metrics-tls", "/tls"]).common.metrics_tls_port == 7473


def test_there_is_no_status_page_unless_it_is_given_a_port() -> None:
    for text in ({}, {"PURELB_PAGE_PORT": ""}, {"PURELB_PAGE_PORT": "off"}):
        assert AllocatorSettings.from_environment({**text}, []).page is None

    environ = {"PURELB_PAGE_PORT": "7474"}
    assert AllocatorSettings.from_environment(environ, []).page == PageSettings(7474, "127.0.0.1", frozenset())
    more = {**environ, "PURELB_PAGE_HOST": "", "PURELB_PAGE_NAMES": "Page.example, other.example"}
    assert AllocatorSettings.from_environment(more, []).page == PageSettings(
        7474, "", frozenset({"page.example", "other.example"})
    )


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", "7474 "])
def test_a_port_that_is_none_is_refused_in_a_sentence(port: str) -> None:
    with pytest.raises(SettingsError, match=r"PURELB_PAGE_PORT .* is neither a port nor off"):
        AllocatorSettings.from_environment({"PURELB_PAGE_PORT": port}, [])
