"""Everything that is wrong with a configuration, the causes before what follows from them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubectl_purelb.validation.objects import CONFIGS, SERVICES, Flaw, Level, Objects, metadata_of
from kubectl_purelb.validation.pools import REPAIR, flaws_of_groups, read_groups
from purelb.addresses import listed
from purelb.annotations import meaningless
from purelb.errors import SpecError
from purelb.names import ADDRESSES, DEFAULT_GROUP, SERVICE_GROUP
from purelb.nodeagents import NodeAgentConfig, parse_node_agent
from purelb.preferences import misread
from purelb.servicegroups import ServiceGroup, default_of

NAMED = 4


def flaws(objects: Objects) -> tuple[Flaw, ...]:
    """All of them."""
    read = read_groups(objects)
    return (
        *read.flaws,
        *flaws_of_groups(read.groups, objects),
        *_of_configs(objects),
        *_of_services(read.groups, objects, has_broken=bool(read.flaws)),
    )


def _of_configs(objects: Objects) -> Iterator[Flaw]:
    configs = list[NodeAgentConfig]()
    for body in objects[CONFIGS]:
        about = f"LBNodeAgent {metadata_of(body).get('name') or '(without a name)'}"
        try:
            configs.append(parse_node_agent({**body, "metadata": {"name": "", **metadata_of(body)}}))
        except SpecError as error:
            yield Flaw(Level.ERROR, about, str(error), REPAIR)
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            yield Flaw(Level.ERROR, about, f"the spec is malformed ({error!r})", REPAIR)
    announcing = [config for config in configs if config.announces]
    if configs and not announcing:
        told = "none of them has a local block: no agent announces anything"
        yield Flaw(Level.ERROR, "LBNodeAgents", told, "give one of them spec.local")
    even = [config.name for config in announcing if config.placement == "even"]
    if even and len(even) < len(announcing):
        others = listed([config.name for config in announcing if config.name not in even], NAMED)
        told = f"placement is even only if all say so, and {others} doesn't"
        yield Flaw(Level.WARNING, f"LBNodeAgent {even[0]}", told, "say placement: even in each, or in none")


def _of_services(groups: tuple[ServiceGroup, ...], objects: Objects, *, has_broken: bool) -> Iterator[Flaw]:
    """Those of type LoadBalancer: what they ask for in vain."""
    known = {group.name for group in groups}
    is_known = bool(known) and not has_broken
    for body in objects[SERVICES]:
        metadata, spec = metadata_of(body), body.get("spec")
        annotations = metadata.get("annotations")
        if not isinstance(spec, dict) or spec.get("type") != "LoadBalancer":
            continue
        said = {str(key): str(value) for key, value in annotations.items()} if isinstance(annotations, dict) else {}
        namespace = str(metadata.get("namespace") or "default")
        about = f"Service {namespace}/{metadata.get('name')}"
        named = said.get(SERVICE_GROUP)
        own = default_of([group for group in groups if namespace in (group.namespaces or ())])
        remedy = f"name one that there is ({listed(sorted(known), NAMED)}) in {SERVICE_GROUP}"
        if is_known and named is not None and named not in known:
            yield Flaw(Level.ERROR, about, f"there is no ServiceGroup {named}", remedy)
        elif is_known and named is None and own is None and DEFAULT_GROUP not in known and ADDRESSES not in said:
            told = f"it names no ServiceGroup, and there is none called {DEFAULT_GROUP}"
            yield Flaw(Level.ERROR, about, told, remedy)
        for sentence in (*meaningless(said), *misread(said)):
            yield Flaw(Level.WARNING, about, sentence)
