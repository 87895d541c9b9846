"""ServiceGroup objects into one configuration, and what is to be said on each of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from allocator import wording
from allocator.ipam.groups import Groups, admit
from allocator.notice import Notice
from purelb.errors import SpecError
from purelb.servicegroups import ServiceGroup, parse_service_group

Json = Mapping[str, Any]


class GroupKey(NamedTuple):
    """A ServiceGroup object; for allocation its name alone counts."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a ServiceGroup is served, and why not."""

    key: GroupKey
    uid: str
    generation: int
    group: ServiceGroup | None
    """None if it can't be parsed."""
    trouble: str | None = None
    is_overlap: bool = False

    @property
    def notice(self) -> Notice:
        """The event for its owner."""
        return wording.parsed() if self.trouble is None else wording.not_served(self.trouble)


@dataclass(frozen=True, slots=True)
class Catalog:
    """A configuration, and the verdict on every ServiceGroup object."""

    groups: Groups
    verdicts: Mapping[GroupKey, Verdict]


def group_key(body: Json) -> GroupKey:
    """The key of a ServiceGroup object."""
    return GroupKey(body["metadata"].get("namespace", ""), body["metadata"]["name"])


def read_catalog(bodies: Iterable[Json], *, has_netbox_token: bool = False) -> Catalog:
    """Judge all ServiceGroups together. Of two that clash, the one created first is served."""
    parsed: list[ServiceGroup] = []
    broken: dict[str, str] = {}
    verdicts: dict[GroupKey, Verdict] = {}
    for body in sorted(bodies, key=_precedence):
        key, metadata = group_key(body), body["metadata"]
        group, trouble = None, None
        try:
            group = parse_service_group(body)
        except SpecError as error:
            broken[key.name] = str(error)
            trouble = wording.unparsable(str(error))
        except (TypeError, AttributeError, KeyError, ValueError) as error:
            # Only a CRD other than ours lets such a thing through.
            broken[key.name] = "the spec is malformed"
            trouble = wording.unparsable(f"the spec is malformed ({error!r})")
        else:
            parsed.append(group)
        verdicts[key] = Verdict(key, metadata.get("uid", ""), metadata.get("generation", 0), group, trouble)
    groups, refused = admit(parsed, broken, has_netbox_token=has_netbox_token)
    for refusal in refused:
        key = GroupKey(refusal.group.namespace, refusal.group.name)
        before = verdicts[key]
        verdicts[key] = Verdict(
            key, before.uid, before.generation, before.group, refusal.sentence, is_overlap=refusal.is_overlap
        )
    return Catalog(groups, verdicts)


def _precedence(body: Json) -> tuple[str, GroupKey]:
    return body["metadata"].get("creationTimestamp") or "", group_key(body)
