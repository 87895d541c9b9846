"""Both images, built from the Dockerfiles, and the walkthrough with the programs in them, confined as manifests say."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import purelb
from lab.command.buildimages import DOCKERFILES, build_all, tree_size
from lab.command.hosts import Hosts
from lab.demo.scenario import Families, scenario
from lab.demo.transcript import Transcript
from lab.demo.walkthrough import Walkthrough
from lab.machine.namespaces import CAPABILITIES
from lab.machine.sandbox import MASKED
from tests.system.conftest import LabUnderTest

pytestmark = pytest.mark.timeout(600)

ALLOCATOR, AGENT = "/opt/purelb/bin/purelb-allocator", "/opt/purelb/bin/purelb-lbnodeagent"
MEGABYTES = {"purelb-allocator": 60, "purelb-lbnodeagent": 60}
"""What an image may add to its base."""
OF_EVERY_CONTAINER = {"/proc", "/dev", "/dev/shm", *(f"/dev/{name}" for name in ("null", "zero", "full", "random"))}
OF_EVERY_CONTAINER |= {"/dev/urandom", "/dev/tty", *MASKED}  # what is masked is /dev/null there
LEDGER = "/run/purelb"
"""Of the node: an agent's next pod finds there what this one placed."""


@dataclass(frozen=True)
class Process:
    """A program of a container, as the kernel shows it."""

    pid: int
    program: str

    def status(self) -> dict[str, str]:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    def capabilities(self, field: str = "CapEff") -> set[str]:
        mask = int(self.status()[field], 16)
        return {name for number, name in enumerate(CAPABILITIES) if mask >> number & 1}

    def writable_mounts(self) -> set[str]:
        """Mount points without `ro`, of the mount itself or of what is mounted (proc_pid_mountinfo(5))."""
        found = set()
        for line in Path(f"/proc/{self.pid}/mountinfo").read_text().splitlines():
            fields, _, of_super = line.partition(" - ")
            point, options = fields.split()[4:6]
            if "ro" not in options.split(",") and "ro" not in of_super.split()[2].split(","):
                found.add(point)
        return found

    def root(self, path: str) -> Path:
        return Path(f"/proc/{self.pid}/root{path}")


def programs(lab: LabUnderTest) -> list[Process]:
    """The programs that run from images in this lab; their own layer lies in its folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            is_ours = f"upperdir={lab.folder}/pods/".encode() in (entry / "mountinfo").read_bytes()
        except OSError:
            continue  # it ended meanwhile
        names = [word.decode() for word in words[:2]]
        if is_ours and (program := next((one for one in names if one in (ALLOCATOR, AGENT)), "")):
            found.append(Process(int(entry.name), program))
    return found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    build_all(folder)
    return folder


@dataclass
class Walked:
    lab: LabUnderTest
    transcript: Transcript
    text: str


@pytest.fixture(scope="module")
def walked(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walked]:
    """A lab whose programs come from the images, after the walkthrough."""
    lab = LabUnderTest(tmp_path_factory.mktemp("lab"))
    try:
        lab.must("up", "--images", str(images), timeout=150)
        text = io.StringIO()
        transcript = Transcript(text)
        with Hosts(lab.folder) as hosts:
            Walkthrough(hosts, scenario(Families.IPV4), transcript).run()
        yield Walked(lab, transcript, text.getvalue())
    finally:
        lab.down()


@pytest.mark.parametrize("name", DOCKERFILES)
def test_an_image_holds_its_program_and_little_else(images: Path, name: str) -> None:
    installed = images / name / "rootfs" / "opt" / "purelb"
    packages = next((installed / "lib").glob("python3.*/site-packages"))
    ours = {path.name for path in packages.iterdir() if (path / "py.typed").exists()} & {
        "allocator", "lbnodeagent", "memberlist", "purelb", "lab", "tests", "bench",
    }  # fmt: skip
    present = {path.name for path in packages.iterdir()}

    wanted = {"purelb", "allocator"} if name == "purelb-allocator" else {"purelb", "memberlist", "lbnodeagent"}
    assert ours == wanted
    assert not present & {"pip", "setuptools", "pytest", "celpy", "mypy"}
    assert ("grpc" in present) is (name == "purelb-allocator")
    assert ("cryptography" in present) is (name == "purelb-lbnodeagent")
    assert tree_size(installed) < MEGABYTES[name] * 1e6
    assert list(packages.glob("purelb/__pycache__/*.pyc")), "bytecode that nobody could write later"


def test_the_images_say_who_runs_and_what(images: Path) -> None:
    def config(name: str) -> dict[str, object]:
        loaded: dict[str, object] = json.loads((images / name / "config.json").read_text())
        return loaded

    assert config("purelb-allocator")["User"] == "65534:65534"
    assert config("purelb-allocator")["Entrypoint"] == ["purelb-allocator"]
    assert config("purelb-lbnodeagent")["Entrypoint"] == ["purelb-lbnodeagent"]
    for name in DOCKERFILES:
        labels = config(name)["Labels"]
        assert isinstance(labels, dict)
        assert labels["org.opencontainers.image.version"] == purelb.__version__
        assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize("name", DOCKERFILES)
def test_a_base_that_has_python_and_no_other_program_is_enough_to_run_on(
    images: Path, tmp_path: Path, name: str
) -> None:
    root = tmp_path / "rootfs"
    subprocess.run(["cp", "--archive", "--link", images / name / "rootfs", root], check=True)
    for file in [*(root / "usr" / "bin").iterdir(), *(root / "usr" / "sbin").iterdir()]:
        if not file.name.startswith("python3"):
            file.unlink()

    done = subprocess.run(["chroot", root, f"/opt/purelb/bin/{name}", "--help"], capture_output=True, text=True)

    assert done.stdout.startswith(f"usage: {name}"), done.stderr


def test_the_walkthrough_is_as_it_must_be(walked: Walked) -> None:
    assert walked.transcript.crosses == [], walked.text
    assert walked.transcript.ticks >= 30


def test_no_program_restarted_or_wrote_a_traceback(walked: Walked) -> None:
    found = walked.lab.hosts.get("pods", "-n", "purelb")["items"]

    assert {one["restartCount"] for pod in found for one in pod["status"]["containerStatuses"]} == {0}
    for program in ("allocator", "lbnodeagent"):
        assert "Traceback" not in walked.lab.must("logs", program)


def test_each_program_has_the_user_and_the_rights_of_its_manifest_and_no_others(walked: Walked) -> None:
    found = programs(walked.lab)

    pods = walked.lab.hosts.get("pods", "-n", "purelb")["items"]
    assert len(found) == len(pods)
    assert {one.program for one in found} == {ALLOCATOR, AGENT}
    for one in found:
        is_agent = one.program == AGENT
        status = one.status()
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"0" if is_agent else "65534"}
        assert one.capabilities() == ({"NET_ADMIN", "NET_RAW"} if is_agent else set())
        assert one.capabilities("CapBnd") == ({"NET_ADMIN", "NET_RAW"} if is_agent else set())
        assert status["NoNewPrivs"] == "1"
        assert status["NSpid"].split()[-1] == "1", "the first process of its container"


def test_no_program_can_write_anywhere_but_where_every_container_can_and_agents_in_their_ledger(walked: Walked) -> None:
    for one in programs(walked.lab):
        own = {LEDGER} if one.program == AGENT else set()
        assert one.writable_mounts() <= OF_EVERY_CONTAINER | own
        for path in ("/new", "/opt/purelb/new", "/tmp/new", "/etc/hosts", "/run/new"):
            with pytest.raises(OSError, match="Read-only file system"):
                os.close(os.open(one.root(path), os.O_WRONLY | os.O_CREAT))
        assert not one.root(str(Path(__file__))).exists(), "the machine's own files aren't in sight"
