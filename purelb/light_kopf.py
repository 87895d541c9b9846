"""kopf, imported without the official Kubernetes client: always ``from purelb.light_kopf import kopf``.

Where that client is installed, kopf imports it to know its model classes, which we never hand over. That takes 19 MB
of memory and half a second. aiohttp, which it imports too, is to come in by light_aiohttp.py.
"""

from __future__ import annotations

import sys

import purelb.light_aiohttp  # noqa: F401

_NAME = "kubernetes"

if _NAME in sys.modules:
    import kopf as kopf
else:
    sys.modules[_NAME] = None  # type: ignore[assignment]  # how Python marks a module that can't be imported
    try:
        import kopf as kopf
    finally:
        del sys.modules[_NAME]
