"""The ServiceGroups as last seen, and the configuration made of them: put into force as a whole, never half.

It feeds the engine and returns what is to be said of the groups; it looks at no Service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from allocator import wording
from allocator.groups.catalog import Catalog, GroupKey, Verdict, group_key, read_catalog
from allocator.ipam.engine import Engine
from allocator.ipam.pools import NOTHING_BARRED
from allocator.notice import Notice
from purelb.forbidden import Barred, Forbidden
from purelb.ordering import Changed, Deleted, News, changes
from purelb.servicegroups import ServiceGroup


class Configuration:
    """ServiceGroup objects on one side, what the engine serves on the other."""

    def __init__(self, engine: Engine, *, has_netbox_token: bool) -> None:
        self._engine = engine
        self._has_netbox_token = has_netbox_token
        self._bodies: dict[GroupKey, Mapping[str, Any]] = {}
        self._stranded: dict[str, int] = {}
        self._warned: set[tuple[str, int]] = set()
        """Uid and generation of the groups that are known to contain what is never given."""
        self.catalog: Catalog | None = None
        """What is in force; None before the first."""
        self.is_stale = True
        """Whether something was seen that isn't in force yet, or nothing is in force."""
        self._barred = NOTHING_BARRED

    @property
    def bodies(self) -> Mapping[GroupKey, Mapping[str, Any]]:
        """The ServiceGroup objects as last seen."""
        return self._bodies

    @property
    def groups(self) -> Iterable[ServiceGroup]:
        """Those that are served."""
        return self.catalog.groups.served.values() if self.catalog is not None else ()

    def take(self, news: News[Mapping[str, Any]]) -> None:
        """News of ServiceGroups; a list replaces all that was known."""
        for change in changes(news, self._bodies):
            match change:
                case Changed(_, body):
                    self._set(body)
                case Deleted(key):
                    self._drop(GroupKey(*key))

    def written(self, body: Mapping[str, Any]) -> None:
        """The API server's answer to the status that we wrote; it brings back none that is gone or was made anew."""
        known = self._bodies.get(group_key(body))
        if known is not None and _uid(known) == _uid(body):
            self._set(body)

    def _set(self, body: Mapping[str, Any]) -> None:
        """A ServiceGroup is there, new or changed; its status is no change."""
        key = group_key(body)
        known = self._bodies.get(key)
        self._bodies[key] = body
        if known is None or known.get("spec") != body.get("spec") or _uid(known) != _uid(body):
            self.is_stale = True

    def _drop(self, key: GroupKey) -> None:
        """There is no such ServiceGroup."""
        if self._bodies.pop(key, None) is not None:
            self.is_stale = True

    def enforce(self) -> list[tuple[Verdict, Notice]]:
        """Put what was seen into force; returns what is new about which group. Without anything new it does nothing."""
        if not self.is_stale:
            return []
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

    def forbid(self, forbidden: Iterable[Forbidden]) -> bool:
        """Have none of these addresses given. False if that is no news."""
        self._barred = Barred(forbidden)
        return self._engine.forbid(self._barred)

    def tainted(self) -> list[tuple[Verdict, Notice]]:
        """Which groups contain what is forbidden, each once while its spec is the same.

        Nodes come and go, and so would a warning that names them all.
        """
        verdicts = self.catalog.verdicts.values() if self.catalog is not None else ()
        notices, warned = [], set[tuple[str, int]]()
        for verdict in verdicts:
            if verdict.trouble is not None or verdict.group is None:
                continue
            pools = [(pool.range, found) for pool in verdict.group.pools if (found := self._barred.within(pool.range))]
            if pools:
                warned.add((verdict.uid, verdict.generation))
                if (verdict.uid, verdict.generation) not in self._warned:
                    notices.append((verdict, wording.pool_contains(pools)))
        self._warned = warned
        return notices


def _uid(body: Mapping[str, Any]) -> str:
    return str(body["metadata"].get("uid", ""))
