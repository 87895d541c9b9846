"""Files of a pod on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab.kubelet.volumes import write_files


def test_containers_of_one_pod_may_write_its_files_at_the_same_time(tmp_path: Path) -> None:
    files = {"token": "a" * 2000, "ca.crt": "b" * 2000}

    with ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(write_files, tmp_path / "account", files) for _ in range(200)]:
            done.result()

    assert {file.name: file.read_text() for file in (tmp_path / "account").iterdir()} == files
    assert {file.stat().st_mode & 0o777 for file in (tmp_path / "account").iterdir()} == {0o644}
