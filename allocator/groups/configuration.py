"""The ServiceGroups as last seen, and the configuration made of them: put into force as a whole, never half.

It feeds the engine and returns what is to be said of the groups; it looks at no Service.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from allocator import wording
from allocator.groups.catalog import Catalog, GroupKey, Verdict, group_key, read_catalog
from allocator.ipam.engine import Engine
from allocator.notice import Notice
from purelb.kube import Listing
from purelb.services import revision


class Configuration:
    """ServiceGroup objects on one side, what the engine serves on the other."""

    def __init__(self, engine: Engine, *, has_netbox_token: bool) -> None:
        self._engine = engine
        self._has_netbox_token = has_netbox_token
        self._bodies: dict[GroupKey, Mapping[str, Any]] = {}
        self._stranded: dict[str, int] = {}
        self.catalog: Catalog | None = None
        """What is in force; None before the first."""
        self.is_stale = False
        """Whether something was seen that isn't in force yet."""

    @property
    def bodies(self) -> Mapping[GroupKey, Mapping[str, Any]]:
        """The ServiceGroup objects as last seen."""
        return self._bodies

    def seen(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup is there, new or changed; its status is no change."""
        key = group_key(body)
        known = self._bodies.get(key)
        if known is not None and revision(_version(body)) < revision(_version(known)):
            return
        self._bodies[key] = body
        if known is None or known.get("spec") != body.get("spec") or _uid(known) != _uid(body):
            self.is_stale = True

    def gone(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup was deleted; ``body`` is its last state."""
        known = self._bodies.get(group_key(body))
        if known is None or (_uid(known) != _uid(body) and revision(_version(known)) > revision(_version(body))):
            return
        del self._bodies[group_key(body)]
        self.is_stale = True

    def listed(self, groups: Listing) -> None:
        """Take in a complete list."""
        present = {group_key(body) for body in groups.items}
        for body in groups.items:
            self.seen(body)
        for key, known in list(self._bodies.items()):
            if key not in present and revision(_version(known)) <= revision(groups.resource_version):
                self.gone(known)

    def enforce(self) -> list[tuple[Verdict, Notice]]:
        """Put what was seen into force; returns what is new about which group."""
        self.is_stale = False
        before = dict(self.catalog.verdicts) if self.catalog is not None else {}
        self.catalog = read_catalog(self._bodies.values(), has_netbox_token=self._has_netbox_token)
        self._engine.configure(self.catalog.groups)
        notices = [
            (verdict, verdict.notice) for key, verdict in self.catalog.verdicts.items() if before.get(key) != verdict
        ]
        stranded = self._engine.stranded()
        for verdict in (before | dict(self.catalog.verdicts)).values():
            count = stranded.get(verdict.key.name, 0)
            if count > self._stranded.get(verdict.key.name, 0):
                notices.append((verdict, wording.stranded(count)))
        self._stranded = stranded
        return notices


def _version(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("resourceVersion", ""))


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("uid", ""))
