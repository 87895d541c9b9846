"""Images that the lab runs programs of its own for: web servers, which say who answers, and plain Python. Pure.

Owns which images these are and what they run. PureLB's own images, and BIRD's, are `pods`' and `programs`' to know.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

from lab.kubelet.images import name_of

Object = dict[str, Any]

_WEB_SERVERS: Final = ("echo", "nginx")  # parts of an image's name
_PYTHON: Final = "python"
_DEFAULT_PORT: Final = 80


def is_lab_image(reference: str) -> bool:
    """Whether the lab has a program for an image of that reference."""
    name = name_of(reference)
    return name == _PYTHON or any(part in name for part in _WEB_SERVERS)


def lab_command(container: Object, node: str) -> list[str] | None:
    """What such a container runs on that node; None for other images. A manifest's own command counts as always."""
    reference = container.get("image", "")
    if not is_lab_image(reference) or container.get("command"):
        return None
    if name_of(reference) == _PYTHON:
        return [sys.executable, *(container.get("args") or ())]
    ports = [str(one["containerPort"]) for one in container.get("ports") or () if one.get("protocol", "TCP") == "TCP"]
    # Without site-packages it answers in a tenth of a second.
    program = Path(__file__).with_name("echo.py")
    return [sys.executable, "-I", "-S", str(program), node, *(ports or [str(_DEFAULT_PORT)])]
