"""BIRD's manifests: that they are the article's, that BIRD takes their configuration, and that they ask for no more."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

MANIFESTS = Path(__file__).parents[1] / "manifests"
ADDRESSES = {"dual": "10.31.188.11,fd00:10:31::188:11", "ipv4": "10.31.188.11", "ipv6": "fd00:10:31::188:11"}


def built(folder: str) -> list[dict[str, Any]]:
    kubectl = Path(sys.executable).with_name("kubectl")
    done = subprocess.run([kubectl, "kustomize", MANIFESTS / folder], capture_output=True, check=True)
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def one(objects: list[dict[str, Any]], kind: str, name: str) -> dict[str, Any]:
    (found,) = [each for each in objects if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def container(objects: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = one(objects, "DaemonSet", name)["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def test_the_names_and_numbers_are_the_articles() -> None:
    objects = built("bird")
    environment = {each["name"]: each.get("value") for each in container(objects, "bird")["env"]}
    config = one(objects, "ConfigMap", "bird-cm")["data"]

    assert {each["metadata"]["namespace"] for each in objects} == {"purelb"}
    assert (environment["UPLINK"], environment["NODE_AS"], environment["INTERFACE"]) == (
        "10.31.254.251",
        "64515",
        "kube-lb0",
    )
    assert list(config) == ["bird.conf"]
    for line in ("protocol bgp uplink1 {", "import filter bgp_reject;", "bfd on;", "graceful restart on;"):
        assert line in config["bird.conf"]


def test_bird_stays_off_the_control_plane_unless_told() -> None:
    plain = one(built("bird"), "DaemonSet", "bird")["spec"]["template"]["spec"]
    everywhere = one(built("overlays/ecmp"), "DaemonSet", "bird")["spec"]["template"]["spec"]

    assert "tolerations" not in plain
    assert {each["key"] for each in everywhere["tolerations"]} == {
        "node-role.kubernetes.io/control-plane",
        "node-role.kubernetes.io/master",
    }


def test_the_agent_asks_the_very_socket_that_bird_has() -> None:
    objects = built("overlays/ecmp")
    agent = container(objects, "lbnodeagent")
    volumes = {
        name: {each["name"]: each for each in one(objects, "DaemonSet", name)["spec"]["template"]["spec"]["volumes"]}
        for name in ("bird", "lbnodeagent")
    }

    socket = next(each["value"] for each in agent["env"] if each["name"] == "PURELB_BIRD_SOCKET")
    (mount,) = [each for each in agent["volumeMounts"] if each["name"] == "bird"]

    assert Path(socket).parent == Path(mount["mountPath"])
    assert f"-s {socket}" in container(objects, "bird")["args"][0]
    assert volumes["bird"]["run"]["hostPath"] == volumes["lbnodeagent"]["bird"]["hostPath"]


def test_bird_gets_no_privileged_container_and_no_token() -> None:
    pod = one(built("bird"), "DaemonSet", "bird")["spec"]["template"]["spec"]
    context = pod["containers"][0]["securityContext"]

    assert pod["automountServiceAccountToken"] is False
    assert not context.get("privileged")
    assert context["readOnlyRootFilesystem"]
    assert context["capabilities"]["drop"] == ["ALL"]


@pytest.mark.parametrize("families", list(ADDRESSES))
@pytest.mark.parametrize("folder", ["bird", "samples/ospf"])
def test_bird_accepts_the_configuration_as_its_pod_writes_it(tmp_path: Path, folder: str, families: str) -> None:
    objects = built(folder)
    uplink = "fd00:10:31::254:251" if families == "ipv6" else "10.31.254.251"
    config = one(objects, "ConfigMap", "bird-cm")["data"]["bird.conf"].replace("/run/bird", str(tmp_path))
    (tmp_path / "bird.conf").write_text(config)
    script = container(objects, "bird")["args"][0].replace("/run/bird", str(tmp_path))
    script = script.replace("exec bird -f -R -c /etc/bird/bird.conf", f"exec bird -p -c {tmp_path}/bird.conf")
    environment = {
        "PATH": f"{os.environ['PATH']}:/usr/sbin",
        "UPLINK": uplink,
        "NODE_AS": "64515",
        "INTERFACE": "kube-lb0",
        "BFD_SECONDS": "0",
        "NODE_IPS": ADDRESSES[families],
    }

    done = subprocess.run(["sh", "-euc", script], env=environment, text=True, capture_output=True, check=False)

    assert done.returncode == 0, done.stderr
    assert 'interface "kube-lb0";' in (tmp_path / "interface.conf").read_text()
    assert f"define k8sipaddr = {ADDRESSES[families].split(',')[0]};" in (tmp_path / "node.conf").read_text()
