"""manifests/networkd: the agents find systemd-networkd's files where they look for them, and may only read."""

from __future__ import annotations

import os
from pathlib import Path

import yaml

from lbnodeagent.checkup.networkd import state_of
from manifests.build import ROOT, build


def test_the_nodes_folders_are_where_the_agent_looks(tmp_path: Path) -> None:
    above = os.path.relpath(ROOT / "manifests", tmp_path.resolve())
    kustomization = {"resources": [f"{above}/base"], "components": [f"{above}/networkd"]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    objects = [one for one in yaml.safe_load_all(build(tmp_path)) if one]
    (pod,) = [one["spec"]["template"]["spec"] for one in objects if one["kind"] == "DaemonSet"]

    of_node = {one["name"]: one["hostPath"]["path"] for one in pod["volumes"] if "hostPath" in one}
    mounts = [one for one in pod["containers"][0]["volumeMounts"] if one["name"].startswith("networkd-")]
    assert {of_node[one["name"]] for one in mounts} == {one["mountPath"] for one in mounts}
    assert all(one["readOnly"] for one in mounts)
    assert {str(state_of(3).parents[1]), "/run/systemd/network", "/etc/systemd/network"} == {
        one["mountPath"] for one in mounts
    }
