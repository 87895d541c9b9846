"""Which LBNodeAgent applies to this node. Pure.

Of those whose nodeSelector matches the node: specific ones before those without a selector, then by namespace and
name; the first that has a ``local`` block (PureLB v0.17). Without any LBNodeAgent the built-in default applies. How
much the node weighs, a label of its own may say instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from purelb.nodeagents import NodeAgentConfig
from purelb.preferences import labelled_weight


@dataclass(frozen=True, slots=True)
class Choice:
    """The configuration of a node, and who had to stand back for it."""

    config: NodeAgentConfig
    ignored: tuple[NodeAgentConfig, ...] = ()
    """Those that match the node too, and would announce."""


def choose_config(
    configs: Collection[NodeAgentConfig], labels: Mapping[str, str], *, is_any_refused: bool = False
) -> Choice:
    """The configuration that applies to a node with these labels.

    ``is_any_refused``: there are others that can't be read; the built-in default doesn't stand in for them.
    """
    if not configs and not is_any_refused:
        return Choice(_weighed(NodeAgentConfig(), labels))
    matching = [config for config in configs if config.node_selector.matches(labels)]
    matching.sort(key=lambda config: (not config.node_selector.requirements, config.namespace, config.name))
    announcing = [config for config in matching if config.announces]
    if not announcing:
        return Choice(replace(NodeAgentConfig(), announces=False))
    return Choice(_weighed(announcing[0], labels), tuple(announcing[1:]))


def _weighed(config: NodeAgentConfig, labels: Mapping[str, str]) -> NodeAgentConfig:
    weight = labelled_weight(labels)
    return config if weight is None else replace(config, weight=weight)
