"""Whether systemd-networkd leaves addresses alone that it didn't add, by the files that a NIC is configured by.

Owns reading them, where they are to be had: an agent in a pod has them if the node's folders are mounted where they are
on the node (manifests/networkd). What can't be read is no finding. Of NetworkManager there is nothing to be read: no
setting has it manage a NIC and leave addresses alone (docs/failover.md).
Source: systemd.network(5), KeepConfiguration= and drop-ins; sd-network, which reads the same state file.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

_STATE: Final = "run/systemd/netif/links"
_FOLDERS: Final = ("etc", "run", "usr/local/lib", "usr/lib", "lib")
"""Whose ``systemd/network`` it reads; a file in the first hides those of its name in the others."""
_LONGEST: Final = 64 * 1024
"""Characters of a file that are read."""
_MOST: Final = 64
"""Drop-ins that are read."""
_TRUE: Final = frozenset({"yes", "true", "on", "1", "y", "t"})


def state_of(index: int, root: Path = Path("/")) -> Path:
    """Where networkd notes by which file it has configured the NIC with this index."""
    return root / _STATE / str(index)


def harmful_file(index: int, root: Path = Path("/")) -> str:
    """The ``.network`` file of a NIC, if by it addresses go; empty: they stay, it has none, or none can be read."""
    name = _network_file(_text(state_of(index, root)) or "")
    path = root / name.lstrip("/")
    if not name or path.parent not in {root / folder / "systemd/network" for folder in _FOLDERS}:
        return ""
    own = _text(path)
    if own is None:
        return ""
    texts = (own, *(text for file in _dropins(path.name, root) if (text := _text(file)) is not None))
    return "" if keeps(texts) else name


def keeps(texts: Iterable[str]) -> bool:
    """Whether the last word of these files is ``KeepConfiguration=yes``: ``static`` takes what has a lifetime."""
    found, section = "", ""
    for text in texts:
        section = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1]
            elif section == "Network" and line.partition("=")[0].strip() == "KeepConfiguration":
                found = line.partition("=")[2].strip().lower()
    return found in _TRUE


def _network_file(state: str) -> str:
    lines = (line.partition("=") for line in state.splitlines())
    return next((value for key, _, value in lines if key == "NETWORK_FILE"), "")


def _dropins(name: str, root: Path) -> list[Path]:
    """Those of a file, in the order in which they count."""
    found: dict[str, Path] = {}
    for folder in reversed(_FOLDERS):
        there = sorted((root / folder / "systemd/network" / f"{name}.d").glob("*.conf"))[:_MOST]
        found |= {file.name: file for file in there}
    return [found[name] for name in sorted(found)][:_MOST]


def _text(file: Path) -> str | None:
    try:
        with file.open(errors="replace") as text:
            return text.read(_LONGEST)
    except OSError:
        return None
