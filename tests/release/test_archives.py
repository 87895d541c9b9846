"""An archive is the same wherever it is made."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from release.archives import normalize

EPOCH = 1_700_000_000


def packed(folder: Path, files: dict[str, str], time: int, mode: int) -> Path:
    """A .tar.gz of these files, in their order."""
    folder.mkdir()
    archive = folder / "some.tar.gz"
    with tarfile.open(archive, "w:gz") as written:
        for name, text in files.items():
            file = folder / Path(name).name
            file.write_text(text)
            file.chmod(mode)
            os.utime(file, (time, time))
            written.add(file, name)
    return archive


def test_time_order_owner_and_mask_make_no_difference(tmp_path: Path) -> None:
    first = packed(tmp_path / "a", {"p/x.py": "1\n", "p/y.py": "2\n"}, 1, 0o600)
    second = packed(tmp_path / "b", {"p/y.py": "2\n", "p/x.py": "1\n"}, 2, 0o664)

    for archive in (first, second):
        normalize(archive, EPOCH)

    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as made:
        assert [(one.name, one.mode, one.mtime, one.uname) for one in made] == [
            ("p/x.py", 0o644, EPOCH, ""),
            ("p/y.py", 0o644, EPOCH, ""),
        ]
        content = made.extractfile("p/x.py")
        assert content is not None
        assert content.read() == b"1\n"


def test_a_link_has_no_place_in_a_release(tmp_path: Path) -> None:
    archive = tmp_path / "some.tar.gz"
    (tmp_path / "link").symlink_to("elsewhere")
    with tarfile.open(archive, "w:gz") as written:
        written.add(tmp_path / "link", "link")

    with pytest.raises(ValueError, match="neither a file nor a folder"):
        normalize(archive, EPOCH)
