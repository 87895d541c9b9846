"""What a manifest says about a pod of ours, and what becomes of it on a machine without containers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.kubelet.confinement import capabilities_of
from lab.kubelet.environment import MissingReference
from lab.kubelet.pods import is_own
from lab.kubelet.programs import command_of, token_request
from lab.kubelet.volumes import SERVICE_ACCOUNT, network_files, own_mounts


def _pod(*images: str) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": f"c{i}", "image": image} for i, image in enumerate(images)]}}


@pytest.mark.parametrize(
    ("images", "own"),
    [
        (("purelb-allocator:0.1.0",), True),
        (("registry.example/purelb/lbnodeagent:v0.6.1",), True),
        (("purelb-lbnodeagent@sha256:0",), True),
        (("nginx:latest",), False),
        (("registry.example/purelb/nginx",), False),  # a namespace of a registry makes no program ours
        (("purelb-lbnodeagent", "redis:7"), False),
        (("registry.gitlab.com/purelb/bird_router:latest",), True),
    ],
)
def test_pods_of_our_images_run_for_real(images: tuple[str, ...], own: bool) -> None:
    assert is_own(_pod(*images)) is own


@pytest.mark.parametrize(
    ("container", "command"),
    [
        ({"image": "purelb/allocator:v0.13"}, ["purelb-allocator"]),
        ({"image": "x/lbnodeagent", "args": ["--port", "1"]}, ["purelb-lbnodeagent", "--port", "1"]),
        ({"image": "x", "command": ["/usr/bin/purelb-allocator"]}, ["purelb-allocator"]),
        ({"image": "purelb-x", "command": ["/bin/sh", "-c"], "args": ["true"]}, ["/bin/sh", "-c", "true"]),
    ],
)
def test_an_image_stands_for_its_program(container: dict[str, Any], command: list[str]) -> None:
    assert command_of(container) == command


def test_capabilities_are_what_the_security_context_leaves() -> None:
    def kept(**context: Any) -> set[str] | None:
        found = capabilities_of({"securityContext": context})
        return None if found is None else set(found)

    assert kept(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}) == {"NET_ADMIN"}
    assert kept(capabilities={"drop": ["ALL"]}) == set()
    assert "NET_RAW" in (kept() or set())
    assert "NET_RAW" not in (kept(capabilities={"drop": ["NET_RAW"]}) or set())
    assert "NET_ADMIN" not in (kept() or set())
    assert kept(privileged=True) is None


def test_volumes_below_run_become_folders_with_their_files(tmp_path: Path) -> None:
    container = {
        "volumeMounts": [
            {"name": "conf", "mountPath": "/run/conf"},
            {"name": "sock", "mountPath": "/var/run/purelb/"},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "token", "mountPath": SERVICE_ACCOUNT},
        ]
    }
    volumes = [
        {"name": "conf", "configMap": {"name": "words", "items": [{"key": "a", "path": "b"}]}},
        {"name": "sock", "emptyDir": {}},
        {"name": "tmp", "emptyDir": {}},
        {"name": "token", "projected": {}},
    ]

    mounts = own_mounts(
        container, {"spec": {"volumes": volumes}}, tmp_path, tmp_path / "node", lambda kind, name: {"a": "1", "z": "2"}
    )

    assert set(mounts) == {"/run/conf", "/var/run/purelb"}
    assert {file.name: file.read_text() for file in Path(mounts["/run/conf"].source).iterdir()} == {"b": "1"}
    assert list(Path(mounts["/var/run/purelb"].source).iterdir()) == []
    assert (mounts["/run/conf"].read_only, mounts["/var/run/purelb"].read_only) == (True, False)


def test_files_that_a_machine_has_no_place_for_are_refused(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "conf", "mountPath": "/etc/app"}]}
    pod = {"spec": {"volumes": [{"name": "conf", "configMap": {"name": "words"}}]}}

    with pytest.raises(MissingReference, match="/etc/app is neither below /run nor on this machine"):
        own_mounts(container, pod, tmp_path, tmp_path / "node", lambda kind, name: {})
    # An image has a place for everything.
    mounts = own_mounts(container, pod, tmp_path, tmp_path / "node", lambda kind, name: {"a": "1"}, anywhere=True)
    assert list(mounts) == ["/etc/app"]


def test_a_folder_of_the_node_is_the_same_for_all_its_pods(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "run", "mountPath": "/run/bird"}]}
    pod = {"spec": {"volumes": [{"name": "run", "hostPath": {"path": "/run/purelb-bird"}}]}}

    found = {
        own_mounts(container, pod, tmp_path / one, tmp_path / "node", lambda kind, name: {})["/run/bird"].source
        for one in ("bird", "agent")
    }

    assert found == {str(tmp_path / "node/run/purelb-bird")}


def test_a_volume_covers_a_folder_that_the_machine_has(tmp_path: Path) -> None:
    container = {"volumeMounts": [{"name": "conf", "mountPath": str(tmp_path)}]}
    pod = {"spec": {"volumes": [{"name": "conf", "configMap": {"name": "words"}}]}}

    mounts = own_mounts(container, pod, tmp_path / "pod", tmp_path / "node", lambda kind, name: {"a": "1"})

    assert (Path(mounts[str(tmp_path)].source) / "a").read_text() == "1"


def test_a_pod_knows_its_own_name_and_waits_for_no_dns() -> None:
    files = network_files("allocator-1", ("10.0.2.40", "fd00:10:0:2::40"))

    assert "10.0.2.40 allocator-1" in files["hosts"]
    assert files["resolv.conf"].startswith("nameserver 127.0.0.1\n")


def test_a_token_is_bound_to_its_pod() -> None:
    pod = {"metadata": {"name": "a", "namespace": "x", "uid": "1"}, "spec": {"serviceAccountName": "allocator"}}

    account, body = token_request(pod)

    assert account == "allocator"
    assert body["spec"]["boundObjectRef"] == {"apiVersion": "v1", "kind": "Pod", "name": "a", "uid": "1"}


def test_a_pod_that_names_no_account_gets_the_default_ones_token() -> None:
    """Bound to the pod it would be refused, where no admission wrote the account's name into the pod."""
    pod: dict[str, Any] = {"metadata": {"name": "a", "namespace": "x", "uid": "1"}, "spec": {}}

    account, body = token_request(pod)

    assert account == "default"
    assert "boundObjectRef" not in body["spec"]
