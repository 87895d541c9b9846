"""kubectl purelb as krew installs it: an archive, its manifest, and a launcher that sets it up."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from manifests.krew import PROGRAMS, archive, main, manifest

WHEELS = {"purelb-0.1.0-py3-none-any.whl": b"one", "kubectl_purelb-0.1.0-py3-none-any.whl": b"two"}
OTHERS = {**WHEELS, "purelb-0.1.0-py3-none-any.whl": b"other"}
PYTHON = """#!/bin/sh
echo "$@" >> "$CALLS"
case "$2" in
  "import os"*) realpath "$0" ;;
  venv) mkdir -p "$3/bin"; ln -s "$0" "$3/bin/python" ;;
  pip) echo waits >> "$CALLS"; sleep ${SLOW:-0}; exit ${PIP:-0} ;;
esac
"""
"""A stand-in for Python: it writes down what it is asked."""


def unpack(folder: Path, wheels: dict[str, bytes]) -> None:
    """As krew does it."""
    folder.mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(archive(wheels))) as tar:
        for entry in tar:
            file = tar.extractfile(entry)
            assert file is not None
            (folder / entry.name).write_bytes(file.read())
            (folder / entry.name).chmod(entry.mode)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """As krew installs it, with a link in a folder of the PATH."""
    unpack(tmp_path / "store", WHEELS)
    (tmp_path / "bin").mkdir()
    for name in PROGRAMS:
        (tmp_path / "bin" / name).symlink_to(tmp_path / "store" / name)
    python = tmp_path / "bin" / "python3"
    python.write_text(PYTHON)
    python.chmod(0o755)
    return tmp_path


def environment_of(installed: Path) -> dict[str, str]:
    return {
        "PATH": f"{installed / 'bin'}:/usr/bin:/bin",
        "HOME": str(installed / "home"),
        "CALLS": str(installed / "calls"),
    }


def run(installed: Path, program: str, *words: str, **environ: str) -> tuple[int, list[str], str]:
    """Exit code, what Python was asked, and what was told."""
    calls = installed / "calls"
    calls.unlink(missing_ok=True)
    environment = {**environment_of(installed), **environ}
    done = subprocess.run(
        [str(installed / "bin" / program), *words], env=environment, text=True, capture_output=True, check=False
    )
    asked = calls.read_text().splitlines() if calls.exists() else []
    return done.returncode, asked, done.stdout + done.stderr


def test_it_sets_itself_up_once_and_then_only_runs(installed: Path) -> None:
    code, asked, told = run(installed, "kubectl-purelb", "status", "-o", "json")

    assert (code, asked[-1]) == (0, "-m kubectl_purelb status -o json"), told
    (pip,) = [call for call in asked if call.startswith("-m pip install")]
    assert all(wheel in pip for wheel in WHEELS)
    assert f"-c {installed / 'store' / 'constraints.txt'}" in pip
    assert run(installed, "kubectl-purelb", "nodes")[1] == ["-m kubectl_purelb nodes"]
    assert run(installed, "kubectl_complete-purelb", "")[1] == ["-m kubectl_purelb.completing "]
    assert len(list((installed / "home" / ".cache" / "kubectl-purelb").iterdir())) == 1


def test_another_version_takes_the_place_of_the_one_before(installed: Path) -> None:
    run(installed, "kubectl-purelb", "status")
    environments = installed / "home" / ".cache" / "kubectl-purelb"
    (before,) = environments.iterdir()
    unpack(installed / "store", OTHERS)
    being_made = environments / f"{(installed / 'store' / 'version').read_text().strip()}.4711"
    being_made.mkdir()

    assert run(installed, "kubectl-purelb", "status")[0] == 0
    assert before not in environments.iterdir()
    assert being_made in environments.iterdir(), "by somebody else, at the same time"


def test_what_could_not_be_set_up_leaves_nothing_behind_and_is_tried_again(installed: Path) -> None:
    code, _, told = run(installed, "kubectl-purelb", "status", PIP="1")

    assert (code, "could not be set up" in told) == (2, True)
    assert list((installed / "home" / ".cache" / "kubectl-purelb").iterdir()) == []
    assert run(installed, "kubectl-purelb", "status")[0] == 0


def test_a_python_that_was_upgraded_has_it_set_up_again(installed: Path) -> None:
    """python3 is a link to it, as in a distribution."""
    before, now = installed / "bin" / "python3.11", installed / "bin" / "python3.12"
    (installed / "bin" / "python3").rename(before)
    (installed / "bin" / "python3").symlink_to(before)
    assert run(installed, "kubectl-purelb", "status")[0] == 0
    before.rename(now)
    (installed / "bin" / "python3").unlink()
    (installed / "bin" / "python3").symlink_to(now)
    code, asked, told = run(installed, "kubectl-purelb", "status")

    assert (code, asked[-1]) == (0, "-m kubectl_purelb status"), told
    assert any(call.startswith("-m pip install") for call in asked)
    assert run(installed, "kubectl-purelb", "nodes")[1] == ["-m kubectl_purelb nodes"]
    assert len(list((installed / "home" / ".cache" / "kubectl-purelb").iterdir())) == 1


def test_who_breaks_it_off_leaves_nothing_behind(installed: Path) -> None:
    environment = {**environment_of(installed), "SLOW": "60"}
    calls = installed / "calls"
    command = [str(installed / "bin" / "kubectl-purelb"), "status"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL, start_new_session=True) as setting_up:
        while not (calls.exists() and "waits" in calls.read_text()):
            time.sleep(0.01)
        os.killpg(setting_up.pid, signal.SIGTERM)

    assert list((installed / "home" / ".cache" / "kubectl-purelb").iterdir()) == []


def test_a_shell_that_completes_does_not_wait_for_that(installed: Path) -> None:
    assert run(installed, "kubectl_complete-purelb", "st") == (0, [], ":4\n")


def test_without_a_python_that_is_new_enough_it_says_so(installed: Path) -> None:
    python = installed / "bin" / "python3"
    python.write_text("#!/bin/sh\nexit 1\n")
    for version in range(11, 15):
        os.link(python, installed / "bin" / f"python3.{version}")
    code, _, told = run(installed, "kubectl-purelb", "status")

    assert (code, "needs Python 3.11 or newer" in told) == (2, True)


def test_the_manifest_is_of_this_very_archive() -> None:
    first, again = archive(WHEELS), archive(dict(reversed(WHEELS.items())))
    told = manifest(hashlib.sha256(first).hexdigest(), "https://example.org/kubectl-purelb.tar.gz")
    (platform,) = told["spec"]["platforms"]

    assert first == again
    assert platform["sha256"] == hashlib.sha256(again).hexdigest()
    assert (platform["uri"], platform["bin"]) == ("https://example.org/kubectl-purelb.tar.gz", "kubectl-purelb")
    assert len(told["spec"]["shortDescription"]) <= 50
    assert told["spec"]["version"].startswith("v")


def test_other_wheels_are_another_environment() -> None:
    def version(wheels: dict[str, bytes]) -> str:
        with tarfile.open(fileobj=io.BytesIO(archive(wheels))) as tar:
            file = tar.extractfile("version")
            assert file is not None
            return file.read().decode()

    assert version(WHEELS) != version(OTHERS)


def test_wheels_that_were_built_before_are_one_of_each_or_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release would otherwise be of others than those that it publishes."""
    monkeypatch.setattr("sys.argv", ["krew", str(tmp_path / "out"), "--wheels", str(tmp_path)])
    with pytest.raises(SystemExit):
        main()
    for name, data in WHEELS.items():
        (tmp_path / name).write_bytes(data)
    main()

    assert "must have one wheel of each" in capsys.readouterr().err
    assert (tmp_path / "out" / "kubectl-purelb.tar.gz").read_bytes() == archive(WHEELS)
