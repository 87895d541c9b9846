"""Real programs that manage a node's interfaces, run in namespaces with the files that ./prepare fetched.

Owns how they are started and what they are told: a shell script for each, ``scene.sh`` for a wire without PureLB,
``innode.sh`` for a node of the lab. They see no NIC but that namespace's. As a module it runs one of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

_HERE: Final = Path(__file__).parent
_SOFTWARE: Final = _HERE.parents[2] / ".software"


def command(script: str, *arguments: str, **environment: str) -> list[str]:
    """What runs a script beside no other process and with mounts of its own; all it starts ends with it."""
    variables = [
        f"{name}={value}" for name, value in {"SOFTWARE": str(_SOFTWARE), "SETTING": "", **environment}.items()
    ]
    namespaces = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"]
    return ["env", *variables, *namespaces, "bash", str(_HERE / script), *arguments]
