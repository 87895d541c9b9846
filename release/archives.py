"""Archives that come out alike wherever they are made: sorted, of one time, of nobody."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path


def normalize(archive: Path, epoch: int) -> None:
    """Rewrite a .tar.gz in place: the same files, all as old as `epoch`, in seconds since 1970."""
    with tarfile.open(archive, "r:gz") as packed:
        members = sorted(packed.getmembers(), key=lambda member: member.name)
        for member in members:
            if not (member.isfile() or member.isdir()):
                raise ValueError(f"{archive.name}: {member.name} is neither a file nor a folder")
        contents = {member.name: packed.extractfile(member) for member in members}
        files = {name: content.read() for name, content in contents.items() if content is not None}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as written:
        for member in members:
            entry = tarfile.TarInfo(member.name)
            entry.type, entry.size, entry.mtime = member.type, member.size, epoch
            entry.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            written.addfile(entry, io.BytesIO(files[member.name]) if member.isfile() else None)
    with archive.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=epoch) as packed_again:
        packed_again.write(plain.getvalue())
