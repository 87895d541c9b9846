"""Imports parts of a library without what it imports beside them: for the modules ``light_*``.

For the time of an import something stands in for a package: the package itself, without its ``__init__`` having run,
which would import all that its users may need; or nothing, for one that is looked for in vain. Whoever imports it later
gets the whole, with the parts that are there already.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec, module_from_spec


@contextmanager
def bare(package: str) -> Iterator[None]:
    """Its parts can be imported from where they are. One that is there already, or can't be found, stays so."""
    spec = None if package in sys.modules else find_spec(package)
    if spec is None:
        yield
        return
    sys.modules[package] = module_from_spec(spec)
    try:
        yield
    finally:
        del sys.modules[package]


@contextmanager
def absent(package: str) -> Iterator[None]:
    """It can't be imported, unless it was already."""
    if package in sys.modules:
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # how Python marks one that can't be
    try:
        yield
    finally:
        del sys.modules[package]
