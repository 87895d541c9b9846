"""Who is there, from what three kinds of objects say: the Membership, the Nodes' labels, the LBNodeAgents. Pure.

It owns what was last seen of them, and whether that can be believed. What follows from it is the planner's. Times are
monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from allocator.placement.values import Node
from allocator.reconcile.clusterobjects import Reading
from purelb import names
from purelb.addresses import excerpt
from purelb.errors import SpecError
from purelb.membership import STALE, MemberNode, Standing, parse_membership
from purelb.nodeagents import NodeAgentConfig, parse_node_agent
from purelb.ordering import Changed, Deleted, News, ObjectKey, changes
from purelb.preferences import Placement
from purelb.selection import choose_config
from purelb.selectors import Selector

SUDDEN: Final = 10.0
"""Seconds for which a Membership must have said the same that has lost more than half of those who served: it may be
that of a few nodes which the network has cut off, and others' may follow."""


class Said(NamedTuple):
    """A Membership object: its resourceVersion, and who is there."""

    version: str
    nodes: Mapping[str, MemberNode]
    asked: str = ""
    """When an operator asked last that all be even now, or whatever else he wrote there."""


@dataclass(frozen=True, slots=True)
class AgentRule:
    """What an LBNodeAgent says of placement, and how it stands."""

    announces: bool
    config: NodeAgentConfig | None = None
    """None: it can't be read."""
    trouble: str = ""
    """Why it can't."""
    version: str = ""
    generation: int = 0
    status: Mapping[str, Any] = field(default_factory=dict)


class Agents(NamedTuple):
    """What a node's configuration follows from."""

    rules: Mapping[ObjectKey, AgentRule]
    labels: Mapping[str, Mapping[str, str]]
    """Of each Node, by its name."""
    revision: int
    """Another one whenever one of them may have changed."""


class Fleet:
    """The nodes that take part, and by which rule VIPs are placed where their group doesn't say."""

    def __init__(self) -> None:
        self._said: Said | None = None
        self._seen_at = 0.0
        self._labels: dict[str, Mapping[str, str]] = {}
        self._rules: dict[ObjectKey, AgentRule] | None = None
        self._configs: dict[ObjectKey, NodeAgentConfig] = {}
        """What each of them said when it could be read last, as agents go by that."""
        self._rule: Placement | None = None
        self._revision = 0
        self._chosen: dict[Selector, list[str]] = {}
        self._believed: list[Node] | None = None
        self._is_stale = False
        self._doubted_since: float | None = None
        self._is_hastened = False

    @property
    def rule(self) -> Placement | None:
        """``even`` where all LBNodeAgents that announce say so; None: they weren't seen yet.

        While there is none, it is what was said last: one that is replaced is gone for a moment, in which all VIPs
        would move; and an allocator that starts without any makes one.
        """
        return self._rule

    def take_members(self, news: News[Said], now: float) -> None:
        """News of the Membership object. One that is gone, or has nobody, says nothing: what was said before stands."""
        for change in changes(news, ()):
            match change:
                case Changed(_, said) if said.nodes and said != self._said:
                    is_renewal = self._said is not None and self._said.nodes == said.nodes
                    # What was asked before anybody here listened was for whoever led then.
                    if self._said is not None and said.asked not in ("", self._said.asked):
                        self._is_hastened = True
                    self._said, self._seen_at = said, now
                    self._is_stale = self._is_stale or not is_renewal
                case _:
                    continue

    def take_nodes(self, news: News[Reading]) -> None:
        """News of the Nodes: their labels."""
        for change in changes(news, [ObjectKey("", name) for name in self._labels]):
            match change:
                case Changed(key, reading) if self._labels.get(key.name) != reading.labels:
                    self._labels[key.name] = reading.labels
                    self._relabelled()
                case Deleted(key) if key.name in self._labels:
                    del self._labels[key.name]
                    self._relabelled()

    def _relabelled(self) -> None:
        self._is_stale = True
        self._revision += 1
        self._chosen.clear()

    def take_rules(self, news: News[AgentRule]) -> None:
        """News of the LBNodeAgents."""
        rules = {} if self._rules is None else self._rules
        for change in changes(news, rules):
            match change:
                case Changed(key, rule):
                    rules[key] = rule
                case Deleted(key):
                    rules.pop(key, None)
        if rules or self._rules is None:
            before, self._configs = self._configs, self._last_said(rules)
            self._is_stale = self._is_stale or before != self._configs  # weights
            said = {config.placement for config in self._configs.values() if config.announces}
            self._rule = "even" if said == {"even"} and len(self._configs) == len(rules) else "hash"
        self._rules = rules
        self._revision += 1

    def _last_said(self, rules: Mapping[ObjectKey, AgentRule]) -> dict[ObjectKey, NodeAgentConfig]:
        said = {key: rule.config or self._configs.get(key) for key, rule in rules.items()}
        return {key: config for key, config in said.items() if config is not None}

    def agents(self) -> Agents | None:
        """The LBNodeAgents, and the labels of each Node; None while one of the two wasn't seen."""
        if self._rules is None or not self._labels:
            return None
        return Agents(self._rules, self._labels, self._revision)

    def is_current(self, now: float) -> bool:
        """Whether somebody says who is there: the object's writer renews it as long as it lives."""
        return self._said is not None and now - self._seen_at < STALE

    def take_haste(self) -> bool:
        """Whether an operator has asked, since this was asked last, to have all even now."""
        is_hastened, self._is_hastened = self._is_hastened, False
        return is_hastened

    def repeat(self) -> None:
        """Whoever was told who is there begins anew."""
        self._is_stale = True

    def nodes(self, now: float) -> list[Node] | None:
        """Who is there, if that is news and can be believed."""
        if not self._is_stale or self._said is None:
            return None
        nodes = [self._node(member) for member in self._said.nodes.values() if self._takes_part(member)]
        if self._believed is not None and 2 * _serving(nodes) < _serving(self._believed):
            if self._doubted_since is None:
                self._doubted_since = now
            if now - self._doubted_since < SUDDEN:
                return None
        self._doubted_since, self._is_stale, self._believed = None, False, nodes
        return nodes

    @property
    def believed_at(self) -> float | None:
        """When what is doubted now will be believed."""
        return None if self._doubted_since is None else self._doubted_since + SUDDEN

    @property
    def stale_at(self) -> float | None:
        """When what was seen isn't current any more, unless it is renewed."""
        return None if self._said is None else self._seen_at + STALE

    @property
    def members(self) -> Mapping[str, MemberNode] | None:
        """Who takes part, as last said, whether that is believed or not; None: nobody has said."""
        return None if self._said is None else self._said.nodes

    @property
    def names(self) -> frozenset[str]:
        """Of the cluster's Nodes."""
        return frozenset(self._labels)

    @property
    def dummies(self) -> tuple[str, ...]:
        """The interfaces on which the LBNodeAgents want addresses that are routed."""
        return tuple(sorted({config.dummy_interface for config in self._configs.values() if config.announces}))

    def serving(self) -> set[str]:
        """The names of those who serve, as last said."""
        nodes = self._said.nodes.values() if self._said is not None else ()
        return {node.name for node in nodes if node.standing is Standing.SERVING}

    def chosen(self, selector: Selector) -> list[str] | None:
        """The names of the Nodes that a selector chooses, in their order; None: no Node was seen yet."""
        if not self._labels:
            return None
        if selector not in self._chosen:
            self._chosen[selector] = sorted(name for name, labels in self._labels.items() if selector.matches(labels))
        return self._chosen[selector]

    def _takes_part(self, member: MemberNode) -> bool:
        """Not those that call themselves agents of ours on nodes that the cluster hasn't."""
        return member.name in self._labels or not member.speaks

    def _node(self, member: MemberNode) -> Node:
        labels = self._labels.get(member.name, {})
        weight = self._weight(labels)
        return Node(
            member.name, member.standing, member.subnets, weight, labels, member.speaks, is_behind=member.is_behind
        )

    def _weight(self, labels: Mapping[str, str]) -> int:
        """Of a node with these labels."""
        return choose_config(self._configs.values(), labels).config.weight


def _serving(nodes: list[Node]) -> int:
    return sum(node.standing is Standing.SERVING for node in nodes)


def read_membership(body: Mapping[str, Any]) -> Said:
    """What a Membership object says; nobody is there where that can't be read."""
    metadata = body["metadata"]
    asked = str((metadata.get("annotations") or {}).get(names.REBALANCE, ""))
    return Said(str(metadata.get("resourceVersion", "")), parse_membership(body), excerpt(asked))


def read_rule(body: Mapping[str, Any]) -> AgentRule:
    """What an LBNodeAgent says; one that can't be read says nothing of it."""
    metadata, status = body["metadata"], body.get("status") or {}
    version, generation = str(metadata.get("resourceVersion", "")), int(metadata.get("generation") or 0)
    try:
        parsed = parse_node_agent(body)
    except SpecError as error:
        return AgentRule(True, None, str(error), version, generation, status)
    return AgentRule(parsed.announces, parsed, "", version, generation, status)
