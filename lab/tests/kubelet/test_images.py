"""Images as folders, and what a securityContext makes of a container of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.confinement import Confinement, confine
from lab.kubelet.environment import MissingReference
from lab.kubelet.images import BadUser, Image, MissingImage, load, name_of

PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65533:nobody:/:/bin/false\n"


def _write(folder: Path, name: str, **config: Any) -> None:
    (folder / name / "rootfs" / "etc").mkdir(parents=True)
    (folder / name / "rootfs" / "etc" / "passwd").write_text(PASSWD)
    (folder / name / "rootfs" / "etc" / "group").write_text("root:x:0:\nnogroup:x:65533:\n")
    (folder / name / "config.json").write_text(json.dumps(config))


def _image(folder: Path, user: str) -> Image:
    _write(folder, "app", User=user)
    return load(folder, "app")


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("purelb-allocator:0.1.0", "purelb-allocator"),
        ("registry.example:5000/purelb/allocator:v1", "allocator"),
        ("purelb/allocator@sha256:0", "allocator"),
    ],
)
def test_an_image_is_found_by_its_name_alone(reference: str, name: str) -> None:
    assert name_of(reference) == name


def test_an_image_is_a_file_system_and_a_configuration(tmp_path: Path) -> None:
    _write(tmp_path, "app", Env=["PATH=/opt/bin:/bin", "X=a=b"], Entrypoint=["run"], Cmd=["--all"], WorkingDir="/srv")

    image = load(tmp_path, "registry.example/app:1")

    assert image.root == tmp_path / "app" / "rootfs"
    assert image.environment == {"PATH": "/opt/bin:/bin", "X": "a=b"}
    assert image.folder == "/srv"


def test_command_and_args_take_the_place_of_entrypoint_and_cmd(tmp_path: Path) -> None:
    _write(tmp_path, "app", Entrypoint=["run"], Cmd=["--all"])
    image = load(tmp_path, "app")

    assert image.argv([], []) == ("run", "--all")
    assert image.argv([], ["--one"]) == ("run", "--one")
    assert image.argv(["sh"], []) == ("sh",)
    assert image.argv(["sh"], ["-c"]) == ("sh", "-c")


def test_an_image_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(MissingImage, match='Container image "app:1" is not present'):
        load(tmp_path, "app:1")


@pytest.mark.parametrize(
    ("user", "ids"),
    [("", (0, 0)), ("65534", (65534, 65533)), ("nobody", (65534, 65533)), ("7:8", (7, 8)), ("7:nogroup", (7, 65533))],
)
def test_users_of_an_image_are_numbers_or_names(tmp_path: Path, user: str, ids: tuple[int, int]) -> None:
    assert _image(tmp_path, user).ids() == ids


def test_a_user_that_the_image_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadUser, match="unable to find user purelb: no matching entries in passwd file"):
        _image(tmp_path, "purelb").ids()


def test_the_containers_context_wins_over_the_pods(tmp_path: Path) -> None:
    container = {
        "name": "c",
        "securityContext": {
            "runAsUser": 1000,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["NET_RAW"]},
        },
    }
    pod = {"securityContext": {"runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4]}}

    assert confine(container, pod, _image(tmp_path, "")) == Confinement(
        uid=1000, gid=2, groups=(3, 4), capabilities=("NET_RAW",), may_gain_privileges=False, read_only_root=True
    )


def test_without_a_context_the_image_says_who_runs_and_may_write(tmp_path: Path) -> None:
    found = confine({"name": "c"}, {}, _image(tmp_path, "65534"))

    assert (found.uid, found.gid, found.groups) == (65534, 65533, ())
    assert found.may_gain_privileges
    assert not found.read_only_root


def test_root_is_refused_where_it_is_ruled_out(tmp_path: Path) -> None:
    pod = {"securityContext": {"runAsNonRoot": True}}

    with pytest.raises(MissingReference, match="runAsNonRoot and image will run as root"):
        confine({"name": "c"}, pod, _image(tmp_path, ""))
