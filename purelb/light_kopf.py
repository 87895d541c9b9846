"""kopf's frame of a program, imported without the rest of it: ``from purelb.light_kopf import spawn_tasks`` and others.

kopf as a whole imports what its users may need, and we don't: webhooks with aiohttp's framework for sites, helpers for
handlers that make objects, and where it is installed the official Kubernetes client, to know its model classes, which
takes 19 MB of memory and half a second. So its parts are imported from where they are (imports.py). A release that has
them elsewhere is imported as a whole.

YAML, which it reads kubeconfigs with, JSON patches and aiohttp's framework come in when somebody first uses them
(importlib.util.LazyLoader). aiohttp itself is to come in by light_aiohttp.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Final

import purelb.light_aiohttp  # noqa: F401
from purelb.imports import absent, bare

_LATER: Final = frozenset(("aiohttp.web", "jsonpatch", "yaml"))


class _Later:
    """Finds these alone, and leaves it to their first use to execute them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As importlib.abc.MetaPathFinder."""
        spec = PathFinder.find_spec(name, path, target) if name in _LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


sys.meta_path.insert(0, _Later)
try:
    with absent("kubernetes"):
        try:
            with bare("kopf"):
                from kopf import on as on
                from kopf._cogs.configs.configuration import OperatorSettings as OperatorSettings
                from kopf._cogs.structs.credentials import ConnectionInfo as ConnectionInfo
                from kopf._core.intents.registries import OperatorRegistry as OperatorRegistry
                from kopf._core.reactor.running import spawn_tasks as spawn_tasks
        except ImportError:
            from kopf import ConnectionInfo as ConnectionInfo
            from kopf import OperatorRegistry as OperatorRegistry
            from kopf import OperatorSettings as OperatorSettings
            from kopf import on as on
            from kopf import spawn_tasks as spawn_tasks
finally:
    sys.meta_path.remove(_Later)
