"""kopf, imported without what only others of its users need: always ``from purelb.light_kopf import kopf``.

Where the official Kubernetes client is installed, kopf imports it to know its model classes, which we never hand over.
That takes 19 MB of memory and half a second. It imports YAML to read kubeconfigs, and JSON patches for handlers that
change objects: 1.3 MB, which come in once somebody uses them (importlib.util.LazyLoader). aiohttp, which it imports
too, is to come in by light_aiohttp.py.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Final

import purelb.light_aiohttp  # noqa: F401

_NAME: Final = "kubernetes"
_LATER: Final = frozenset(("jsonpatch", "yaml"))


class _Later:
    """Finds these alone, and leaves it to their first use to execute them."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        """As importlib.abc.MetaPathFinder."""
        spec = PathFinder.find_spec(name, path, target) if name in _LATER else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


_is_absent = _NAME not in sys.modules
if _is_absent:
    sys.modules[_NAME] = None  # type: ignore[assignment]  # how Python marks a module that can't be imported
sys.meta_path.insert(0, _Later)
try:
    import kopf as kopf
finally:
    sys.meta_path.remove(_Later)
    if _is_absent:
        del sys.modules[_NAME]
