"""``support-bundle``: what a report of a mistake needs, in one archive of this machine, without secrets.

What can't be had (a right, a pod that is gone) is noted in the archive, and all else is in it.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kubectl_purelb.answers import Answer, Table, Text, Tone
from kubectl_purelb.redaction import redacted, redacted_text
from purelb.errors import PureLBError, SettingsError

LARGEST_LOG: Final = 4 * 1024 * 1024
"""Characters of a log: its end."""
LARGEST: Final = 256 * 1024 * 1024
"""Characters of all logs, which are in memory until they are written: there may be a thousand agents."""
NOTE: Final = """Made by kubectl purelb support-bundle. Secrets were not read, and what looked like one elsewhere was
replaced by "(left out)". Names, addresses and annotations of your Services are in it: look through it before you give
it away.
"""


@dataclass(slots=True)
class Bundle:
    """The files of an archive, in memory, and why others aren't among them."""

    files: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    room: int = LARGEST
    """Characters of logs that it may yet take."""

    def put(self, name: str, document: Any) -> None:
        """A document, without secrets."""
        self.files[name] = json.dumps(redacted(document), indent=2, default=str) + "\n"

    def put_text(self, name: str, text: str) -> None:
        """A log, without secrets: its end, if it is too long; nothing of one that there is no room for any more."""
        end = redacted_text(text)[-LARGEST_LOG:]  # one that is cut isn't known for a secret
        if self.room < len(end):
            self.missing[name] = f"the logs before it are {LARGEST // 1024**2} MiB: kubectl logs has it"
            return
        self.room -= len(end)
        self.files[name] = end

    async def collect(self, name: str, read: Callable[[], Awaitable[Any]]) -> None:
        """A document or a text, if it can be had."""
        try:
            found = await read()
        except PureLBError as error:
            self.missing[name] = str(error)
            return
        if isinstance(found, str):
            self.put_text(name, found)
        else:
            self.put(name, found)

    def answered(self, name: str, answer: Callable[[], Answer]) -> None:
        """What another command answers."""
        try:
            self.put(f"answers/{name}.json", answer().document)
        except PureLBError as error:
            self.missing[f"answers/{name}.json"] = str(error)


def packed(files: Mapping[str, str], folder: str, at: float) -> bytes:
    """A tar.gz of one folder. ``at``: seconds since 1970, of its files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in sorted(files.items()):
            data = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), at, 0o600
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


def written(bundle: Bundle, path: Path, folder: str, at: float) -> Answer:
    """Write the archive, for its owner alone, and tell what is in it. Raises SettingsError."""
    files = {**bundle.files, "README": NOTE, "missing.json": json.dumps(bundle.missing, indent=2) + "\n"}
    data = packed(files, folder, at)
    try:
        with open(path, "xb", opener=_for_its_owner) as file:
            file.write(data)
    except OSError as error:
        raise SettingsError(f"{path} can't be written: {error.strerror}") from None
    rows = tuple((name, why) for name, why in sorted(bundle.missing.items()))
    told = f"{path}: {len(bundle.files)} files, {len(data) / 1024:.0f} KiB"
    parts: tuple[Table | Text, ...] = (Text(told, Tone.GOOD),)
    if rows:
        parts = (*parts, Text(f"{len(rows)} could not be had:", Tone.DOUBTFUL), Table(("", ""), rows))
    document = {"file": str(path), "files": sorted(bundle.files), "missing": dict(bundle.missing)}
    return Answer(parts, document)


def _for_its_owner(path: str, flags: int) -> int:
    """From the first moment: whoever has opened it before its mode changes reads on."""
    return os.open(path, flags, 0o600)
