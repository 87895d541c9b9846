"""The LBNodeAgents as they change: which one applies, and what users are told of the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

from kubedouble import ApiServer
from lbnodeagent.kubernetes.configuration import Configuration
from lbnodeagent.messages import Configured
from lbnodeagent.tables import Surroundings
from purelb.events import EventRecorder
from purelb.kube import Kube, core_path
from purelb.metrics import AgentMetrics
from purelb.nodeagents import NodeAgentConfig

Act = Callable[["Scene"], None]


def agent(name: str, spec: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}, "spec": spec}


PLAIN = agent("default", {"local": {"localint": "default"}})
ON_SSD = {"matchLabels": {"disk": "ssd"}}
SPECIFIC = agent("ssd", {"nodeSelector": ON_SSD, "local": {"localInterface": "eth1"}})
BROKEN = agent("default", {"local": {"localint": "eth["}})


class Scene:
    """A configuration on the node ``w11``; what it tells the data plane, and the metrics page."""

    def __init__(self, kube: Kube) -> None:
        self.registry = CollectorRegistry()
        self.told: list[NodeAgentConfig] = []
        self.events = EventRecorder(kube, "purelb-lbnodeagent")
        self.configuration = Configuration("w11", self.events, AgentMetrics(self.registry))

    def hears(self, told: Configured | None) -> None:
        """What the data plane is told."""
        if told is not None:
            self.told.append(told.config)

    def sees(self, *bodies: dict[str, Any]) -> None:
        for body in bodies:
            self.hears(self.configuration.observe_agent(body, is_gone=False))

    def misses(self, body: dict[str, Any]) -> None:
        self.hears(self.configuration.observe_agent(body, is_gone=True))

    def troubles(self) -> dict[tuple[str, str], float]:
        """The metric of what is wrong, by object and reason."""
        return {
            (sample.labels["config"], sample.labels["reason"]): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "purelb_lbnodeagent_config_errors"
        }

    def state(self) -> list[str]:
        return [
            sample.labels["state"]
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == "purelb_lbnodeagent_selector_state" and sample.value
        ]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Act], list[tuple[str, str, str]]]:
    """Run a scene; returns the events: object, reason, message."""

    async def run(act: Act) -> list[tuple[str, str, str]]:
        server = ApiServer()
        await server.start()
        path = tmp_path / "kubeconfig"
        await asyncio.to_thread(path.write_text, yaml.safe_dump(server.kubeconfig()))
        try:
            async with Kube(path) as kube:
                scene = Scene(kube)
                act(scene)
                await scene.events.flush(5)
                found = (await kube.list(core_path("events", "default"))).items
                return sorted((one["involvedObject"]["name"], one["reason"], one["message"]) for one in found)
        finally:
            await server.stop()

    return lambda act: asyncio.run(run(act))


Play = Callable[[Act], list[tuple[str, str, str]]]


def test_before_everything_is_known_nothing_is_chosen(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(PLAIN)
        assert scene.told == []
        scene.hears(scene.configuration.synced())
        assert [config.name for config in scene.told] == ["default"]
        assert scene.state() == ["configured"]

    assert play(act) == []


def test_a_changed_label_chooses_again_and_the_one_that_stands_back_is_told(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(PLAIN, SPECIFIC)
        scene.hears(scene.configuration.synced())
        scene.hears(scene.configuration.set_labels({"disk": "ssd"}))
        assert scene.state() == ["configured"]
        scene.hears(scene.configuration.set_labels({}))
        assert [config.name for config in scene.told] == ["default", "ssd", "default"]
        assert scene.state() == ["configured"]

    text = "LBNodeAgent default/ssd takes precedence on node w11"
    assert play(act) == [("default", "ConfigIgnored", text)]


def test_a_wrong_change_leaves_in_force_what_was_right_and_is_told_until_it_is_mended(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(PLAIN)
        scene.hears(scene.configuration.synced())
        scene.sees(BROKEN)
        assert [config.local_interface for config in scene.told] == ["default"]
        assert scene.troubles() == {("default/default", "invalid"): 1.0}
        scene.sees(PLAIN)
        assert scene.troubles() == {}

    ((name, reason, message),) = play(act)
    assert (name, reason) == ("default", "ConfigError")
    assert message.startswith('invalid configuration: localInterface "eth[" is not a regular expression')
    assert message.endswith("node w11 goes on with what was right before")


def test_one_that_never_was_right_announces_nothing(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(BROKEN)
        scene.hears(scene.configuration.synced())
        assert [config.announces for config in scene.told] == [False]
        assert scene.state() == ["invalid"]
        scene.misses(BROKEN)
        assert scene.troubles() == {}
        assert scene.told[-1] == NodeAgentConfig()  # the built-in one

    ((_, _, message),) = play(act)
    assert message.endswith("node w11 is announcing nothing by it until this is fixed")


def test_a_selector_that_cannot_be_evaluated_has_a_reason_of_its_own(play: Play) -> None:
    selector = {"matchExpressions": [{"key": "disk", "operator": "Like", "values": ["x"]}]}

    def act(scene: Scene) -> None:
        scene.sees(PLAIN, agent("odd", {"nodeSelector": selector, "local": {}}))
        scene.hears(scene.configuration.synced())
        assert [config.name for config in scene.told] == ["default"]
        assert scene.troubles() == {("default/odd", "node_selector"): 1.0}

    ((name, reason, message),) = play(act)
    assert (name, reason) == ("odd", "InvalidNodeSelector")
    assert message == (
        'nodeSelector could not be evaluated (operator "Like" is none of In, NotIn, Exists, DoesNotExist); '
        "this LBNodeAgent applies to no node"
    )


def test_no_object_for_this_node_is_a_state_of_its_own(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(SPECIFIC)
        scene.hears(scene.configuration.synced())
        assert [config.announces for config in scene.told] == [False]
        assert scene.state() == ["deselected"]

    assert play(act) == []


def test_an_interface_that_is_not_there_is_told_once_and_measured_until_it_comes(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(agent("default", {"local": {"interfaces": ["bond0"]}}))
        scene.hears(scene.configuration.synced())
        for _ in range(2):
            scene.configuration.looked_around(Surroundings(("eth0",), ("bond0",)))
        assert scene.troubles() == {("default/default", "interface"): 1.0}
        scene.configuration.looked_around(Surroundings(("eth0", "bond0"), ()))
        assert scene.troubles() == {}

    assert play(act) == [("default", "ConfigError", 'node w11 has no interface that "bond0" stands for')]


def test_default_that_stands_for_no_interface_is_told_too(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(PLAIN)
        scene.hears(scene.configuration.synced())
        scene.configuration.looked_around(Surroundings((), ("default",)))

    ((_, reason, text),) = play(act)
    assert reason == "ConfigError"
    assert text == (
        'node w11 has no interface that "default" stands for: there is no default route in the main table, and no NIC '
        "with an address in a subnet"
    )


def test_what_an_earlier_configuration_named_in_vain_is_not_told_of_the_next(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.hears(scene.configuration.synced())
        scene.configuration.looked_around(Surroundings(("eth0",), ("bond0",)))
        scene.sees(PLAIN)
        assert scene.troubles() == {}

    assert play(act) == []


def test_answers_that_leave_by_another_nic_are_told_of_once_and_measured_until_they_do_not(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(agent("default", {"local": {"returnPath": {"enabled": True}}}))
        scene.hears(scene.configuration.synced())
        for _ in range(2):
            scene.configuration.answers_astray(("no router is known",))
        assert scene.troubles() == {("default/default", "return_path"): 1.0}
        scene.configuration.answers_astray(())
        assert scene.troubles() == {}

    text = "node w11 has no return path (local.returnPath): no router is known"
    assert play(act) == [("default", "ConfigError", text)]


def test_what_was_said_of_answers_by_an_earlier_configuration_is_not_told_of_the_next(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(agent("default", {"local": {"returnPath": {"enabled": True}}}))
        scene.hears(scene.configuration.synced())
        scene.configuration.answers_astray(("no router is known",))
        scene.sees(agent("default", {"local": {}}))
        assert scene.troubles() == {}
        scene.configuration.answers_astray(("no router is known",))
        assert scene.troubles() == {}

    assert len(play(act)) == 1


def test_lbnodeagents_by_which_no_node_announces_are_told_so_once_each(play: Play) -> None:
    def act(scene: Scene) -> None:
        scene.sees(SPECIFIC, agent("empty", {}))
        scene.hears(scene.configuration.synced())
        for _ in range(2):
            scene.configuration.announces_nowhere()

    assert sorted(play(act)) == [
        ("empty", "ConfigError", "no node announces anything: this LBNodeAgent has no local block"),
        ("ssd", "ConfigError", "no node announces anything: this LBNodeAgent has a nodeSelector that matches no node"),
    ]
