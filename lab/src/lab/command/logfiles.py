"""Which log files a lab has, and whose they are.

Owns how a lab's folder names them; who writes them is each program's keeper.
"""

from __future__ import annotations

from pathlib import Path


def log_names(folder: Path) -> dict[str, list[Path]]:
    """Log files by program: `supervisor`, `apiserver`, `echo`, and NAMESPACE_POD/CONTAINER."""
    result = {file.stem: [file] for file in [*folder.glob("*.log"), *folder.glob("logs/*.log")]}
    for container in folder.glob("logs/pods/*/*"):
        name = f"{container.parent.name.rpartition('_')[0]}/{container.name}"
        result[name] = sorted(container.glob("*.log"), key=lambda file: int(file.stem))
    return result


def find_logs(folder: Path, program: str) -> list[Path]:
    """The log files of the programs whose name contains that text, oldest start first."""
    return [file for name, files in sorted(log_names(folder).items()) if program in name for file in files]
