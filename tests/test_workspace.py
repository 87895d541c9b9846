"""The distributions of this repository fit together, and each is installed with no more than its own."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import purelb

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "purelb": ".",
    "memberlist": "memberlist",
    "kubedouble": "kubedouble",
    "kubectl-purelb": "kubectl_purelb",
    "purelb-lab": "lab",
}


def described(name: str) -> dict[str, Any]:
    file: dict[str, Any] = tomllib.loads((ROOT / FOLDERS[name] / "pyproject.toml").read_text())
    return file


def project(name: str) -> dict[str, Any]:
    found: dict[str, Any] = described(name)["project"]
    return found


def names(lines: list[str]) -> set[str]:
    return {re.split(r"[<>=\[]", line)[0] for line in lines}


@pytest.mark.parametrize("name", FOLDERS)
def test_all_have_one_version_and_one_oldest_python(name: str) -> None:
    assert project(name)["name"] == name
    assert project(name)["version"] == project("purelb")["version"] == purelb.__version__
    assert project(name)["requires-python"] == project("purelb")["requires-python"]
    assert project(name)["license"] == project("purelb")["license"]


@pytest.mark.parametrize("name", FOLDERS)
def test_each_has_a_page_and_tests(name: str) -> None:
    folder = ROOT / FOLDERS[name]

    assert (folder / "README.md").read_text().count("\n") <= 160
    assert list((folder / "tests").rglob("test_*.py"))


def test_purelb_installs_no_lab_no_double_and_no_plugin() -> None:
    told = project("purelb")

    assert not {"kubectl-purelb", "purelb-lab"} & told["scripts"].keys()
    assert described("purelb")["tool"]["setuptools"]["packages"]["find"]["include"] == [
        "allocator*", "lbnodeagent*", "purelb*",
    ]  # fmt: skip
    for extra, lines in told["optional-dependencies"].items():
        if extra != "dev":
            assert not names(lines) & {"kubectl-purelb", "kubedouble", "purelb-lab"}
    assert not names(told["dependencies"]) & FOLDERS.keys()


def test_no_image_has_the_plugin() -> None:
    for file in (
        "Dockerfile.agent",
        "Dockerfile.allocator",
        "requirements/allocator.txt",
        "requirements/lbnodeagent.txt",
    ):
        assert not re.search(r"kubectl.purelb|^rich\b", (ROOT / file).read_text(), re.MULTILINE)
    assert "kubectl_purelb" in (ROOT / ".dockerignore").read_text().split()


def test_the_libraries_depend_on_none_of_us() -> None:
    for name in ("memberlist", "kubedouble"):
        told = project(name)
        extras = [line for lines in told["optional-dependencies"].values() for line in lines]
        assert not names([*told["dependencies"], *extras]) & (FOLDERS.keys() - {name})


def test_what_several_distributions_need_they_need_in_the_same_versions() -> None:
    said: dict[str, set[str]] = {}
    for name in FOLDERS:
        told = project(name)
        for line in [
            *told["dependencies"],
            *(one for lines in told["optional-dependencies"].values() for one in lines),
        ]:
            (package,) = names([line])
            if package not in FOLDERS:
                said.setdefault(package.lower(), set()).add(line)

    assert {package: lines for package, lines in said.items() if len(lines) > 1} == {}
