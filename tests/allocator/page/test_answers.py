"""How the page answers, and what its own files may not do."""

from __future__ import annotations

import re

import pytest

from allocator.page.answers import FILES, FOLDER, HEADERS, asked_for_by


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:7474", "127.0.0.1:7474", "10.1.2.3", "[::1]:7474", "[fd00::1]", "Page.example:80"]
)
def test_the_page_is_known_by_addresses_localhost_and_the_names_that_it_is_told(host: str) -> None:
    assert asked_for_by(host, {"page.example"})


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:7474", "127.0.0.1.evil.example", "", "localhost.evil.example"]
)
def test_a_strangers_name_that_leads_here_is_not_answered(host: str) -> None:
    assert not asked_for_by(host, {"page.example"})


def test_the_folder_has_what_is_served_and_nothing_else() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {name for name, _ in FILES.values()}


@pytest.mark.parametrize("name", sorted({name for name, _ in FILES.values()}))
def test_no_file_asks_for_anything_from_elsewhere(name: str) -> None:
    text = (FOLDER / name).read_text().replace("http://www.w3.org/2000/svg", "")

    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", text)


@pytest.mark.parametrize("name", [name for name, _ in FILES.values() if name.endswith(".js")])
def test_no_script_makes_html_or_code_of_text(name: str) -> None:
    text = (FOLDER / name).read_text()

    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser", text
    )
    assert "createContextualFragment" not in text


def test_the_html_has_no_script_or_style_of_its_own() -> None:
    text = (FOLDER / "page.html").read_text()

    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", text)


def test_the_policy_of_content_lets_in_nothing_but_our_files() -> None:
    policy = dict(part.strip().split(" ", 1) for part in HEADERS["Content-Security-Policy"].split(";"))

    assert policy["default-src"] == "'none'"
    assert {policy[f"{kind}-src"] for kind in ("script", "style", "img", "connect")} == {"'self'"}
    assert {policy[kind] for kind in ("base-uri", "form-action", "frame-ancestors")} == {"'none'"}
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
