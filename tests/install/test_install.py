"""One apply of one file installs all, the first time; what comes after it applies too."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.install.conftest import Kubectl

MANIFESTS = Path(__file__).parents[2] / "manifests"
COMPLETE = MANIFESTS / "purelb-complete.yaml"


def test_an_empty_cluster_takes_it_once_and_it_is_all_there(kubectl: Kubectl) -> None:
    done = kubectl("apply", "-f", str(COMPLETE))

    assert done.returncode == 0, done.stderr
    objects = [body for body in yaml.safe_load_all(COMPLETE.read_text()) if body]
    assert [line.rsplit(" ", 1)[1] for line in done.stdout.splitlines()] == ["created"] * len(objects)
    assert done.stderr == ""


def test_the_articles_files_apply_after_it(kubectl: Kubectl) -> None:
    for file in sorted((MANIFESTS / "samples").glob("*.yaml")):
        done = kubectl("apply", "-f", str(file))

        assert done.returncode == 0, done.stderr
    groups = kubectl("get", "--namespace=purelb", "servicegroups.purelb.io", "-o", "name").stdout.split()
    assert groups == ["servicegroup.purelb.io/bgp-ippool", "servicegroup.purelb.io/layer2-ippool"]


def test_what_users_look_at_after_the_install_is_as_in_the_article(kubectl: Kubectl) -> None:
    listed = [
        line.split() for line in kubectl("api-resources", "--api-group=purelb.io", "--no-headers").stdout.splitlines()
    ]

    assert {(row[0], row[1], row[3]) for row in listed} == {
        ("lbnodeagents", "lbna,lbnas", "true"),
        ("memberships", "plbm", "true"),
        ("servicegroups", "sg,sgs", "true"),
    }
    first_version = kubectl("get", "servicegroups.v1.purelb.io", "-A").stdout.splitlines()[0]
    assert first_version.split() == ["NAMESPACE", "NAME", "AGE"]


@pytest.mark.parametrize("arguments", [("-f", COMPLETE), ("-k", MANIFESTS / "overlays" / "layer2")], ids=["-f", "-k"])
def test_applying_it_again_changes_nothing(kubectl: Kubectl, arguments: tuple[str, Path]) -> None:
    done = kubectl("apply", *map(str, arguments))

    assert done.returncode == 0, done.stderr
    changed = [line for line in done.stdout.splitlines() if not line.endswith(" unchanged")]
    # kubectl says so of every PodDisruptionBudget, whose spec it replaces as a whole (patchStrategy).
    assert changed in ([], ["poddisruptionbudget.policy/allocator configured"])


def test_a_server_side_apply_takes_it_over(kubectl: Kubectl) -> None:
    done = kubectl("apply", "--server-side", "--force-conflicts", "-f", str(COMPLETE))

    assert done.returncode == 0, done.stderr


def test_the_file_for_older_servers_applies_too(kubectl: Kubectl) -> None:
    done = kubectl("apply", "-f", str(MANIFESTS / "purelb-complete-legacy.yaml"))

    assert done.returncode == 0, done.stderr


def test_deleting_it_leaves_nothing(kubectl: Kubectl) -> None:
    done = kubectl("delete", "--wait=false", "--ignore-not-found", "-f", str(COMPLETE))

    assert done.returncode == 0, done.stderr
