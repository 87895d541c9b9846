"""What somebody meets who wants to take part: make's help, the workflows, the pages; they speak of what is there."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.site.links import anchor

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "CODE_OF_CONDUCT.md"]
PAGES += [str(page.relative_to(ROOT)) for page in sorted((ROOT / "docs").rglob("*.md"))]
PAGES += ["charts/purelb/README.md"]
PARTS_OF_TARGETS = {"unit-kubectl_purelb", "unit-purelb", "unit-memberlist", "unit-lab"}


def targets() -> set[str]:
    (line,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    return set(line.split())


def test_make_alone_says_what_there_is_and_starts_nothing() -> None:
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)

    listed = {
        name for names in re.findall(r"^  make ([a-z -]+?)  ", done.stdout, re.MULTILINE) for name in names.split()
    }
    assert listed == targets() - PARTS_OF_TARGETS


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github" / "workflows").glob("*.yml")), ids=lambda file: file.name)
def test_a_workflow_does_nothing_but_make_targets(workflow: Path) -> None:
    body: dict[str, Any] = yaml.safe_load(workflow.read_text())

    commands = [step["run"] for job in body["jobs"].values() for step in job["steps"] if "run" in step]
    ours = [command for command in commands if not command.startswith("apt-get ")]
    assert ours
    for command in ours:
        assert re.fullmatch(r"(sudo )?make [a-z -]+", command)
        assert set(command.split()) - {"sudo", "make"} <= targets()
    assert body["permissions"] == {"contents": "read"}


def test_what_runs_before_a_commit_is_there() -> None:
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]

    for hook in repository["hooks"]:
        command, *words = hook["entry"].split()
        assert command == ".venv/bin/pytest" or words[0] in targets()
        assert [word for word in words if word.startswith("tests/") and not (ROOT / word).is_file()] == []


def anchors(text: str) -> set[str]:
    """What can be linked to: headings as forges name them, and names of our own."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return set(map(anchor, plain)) | set(re.findall(r'<a id="([^"]+)"', text))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_links_to_what_is_there(page: str) -> None:
    text = (ROOT / page).read_text()

    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, place = target.partition("#")
        file = (ROOT / page).parent / path if path else ROOT / page
        assert file.exists(), f"{page}: {target}"
        assert not place or place in anchors(file.read_text()), f"{page}: {target}"


def test_the_changelog_speaks_of_the_version_that_files_have() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert version in (ROOT / "CHANGELOG.md").read_text()
    chart = yaml.safe_load((ROOT / "charts" / "purelb" / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_what_is_kept_pinned_is_there() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]

    folders = [folder for one in updates for folder in one.get("directories", [one.get("directory")])]
    assert [folder for folder in folders if not (ROOT / folder.strip("/")).is_dir()] == []


def test_the_notice_names_packages_that_the_images_have() -> None:
    installed = "".join(
        (ROOT / "requirements" / f"{program}.txt").read_text() for program in ("allocator", "lbnodeagent")
    )

    named = re.findall(r"([\w-]+(?: and [\w-]+)?) \((?:offered|Apache|MIT|BSD)", (ROOT / "NOTICE").read_text())
    names = [name for one in named for name in one.split(" and ")]
    assert len(names) == 11
    for name in names:
        assert re.search(rf"^{name}==", installed, re.MULTILINE | re.IGNORECASE), name
