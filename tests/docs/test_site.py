"""What the pages become on the web site: links, navigation, the first page's table."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from docs.site.links import anchor, rewritten
from docs.site.navigation import expanded

ROOT = Path(__file__).parents[2]
PAGES = {
    "docs/lab.md": "lab.md",
    "docs/runbooks/a.md": "runbooks/a.md",
    "CHANGELOG.md": "changelog.md",
    "lab/README.md": "lab-library.md",
}


def test_a_link_to_a_page_that_lies_elsewhere_leads_to_where_it_is_on_the_site() -> None:
    assert (
        rewritten("[what changed](../CHANGELOG.md#added)", "docs/lab.md", PAGES) == "[what changed](changelog.md#added)"
    )
    assert rewritten("[docs](../docs/lab.md)", "lab/README.md", PAGES) == "[docs](lab.md)"
    assert rewritten("[up](../../CHANGELOG.md)", "docs/runbooks/a.md", PAGES) == "[up](../changelog.md)"


def test_a_link_to_a_file_that_is_no_page_leads_to_the_repository_or_is_words() -> None:
    text = "[a sample](../manifests/samples)"

    assert rewritten(text, "docs/lab.md", PAGES) == "a sample"
    assert (
        rewritten(text, "docs/lab.md", PAGES, "https://git.example/x/")
        == "[a sample](https://git.example/x/manifests/samples)"
    )


def test_pictures_web_pages_and_places_on_the_page_itself_stay() -> None:
    for text in ("![a picture](img/a.svg)", "[web](https://example.com)", "[above](#above)"):
        assert rewritten(text, "docs/lab.md", PAGES) == text


def test_what_stands_in_a_block_of_code_is_no_link() -> None:
    text = "```sh\necho '[a](../CHANGELOG.md)'\n```\n[a](../CHANGELOG.md)"

    assert rewritten(text, "docs/lab.md", PAGES).endswith("```\n[a](changelog.md)")
    assert "(../CHANGELOG.md)'" in rewritten(text, "docs/lab.md", PAGES)


def test_a_heading_is_linked_to_as_on_a_forge() -> None:
    assert (
        anchor("ServiceGroup (sg, sgs; purelb.io/v1 and purelb.io/v2)")
        == "servicegroup-sg-sgs-purelbiov1-and-purelbiov2"
    )
    assert anchor("My Service stays <pending>") == "my-service-stays-pending"


def test_a_pattern_stands_for_the_pages_that_nothing_names() -> None:
    nav = ["index.md", {"Use": ["doctor*.md", "lab.md", {"Alerts": ["runbooks/*.md"]}]}, {"Rest": ["*.md"]}]

    assert expanded(nav, ["index.md", "lab.md", "runbooks/b.md", "runbooks/a.md", "odd.md"]) == [
        "index.md",
        {"Use": ["lab.md", {"Alerts": ["runbooks/a.md", "runbooks/b.md"]}]},
        {"Rest": ["odd.md"]},
    ]


def test_a_section_without_pages_is_left_out() -> None:
    assert expanded([{"Alerts": ["runbooks/*.md"]}, "a.md"], ["a.md"]) == ["a.md"]


def test_the_site_fetches_nothing_from_elsewhere() -> None:
    site = yaml.safe_load((ROOT / "mkdocs.yml").read_text())

    assert site["theme"]["font"] is False
    assert not {"extra_javascript", "extra_css", "extra"} & set(site)


def test_each_cell_of_the_comparison_names_its_source() -> None:
    text = (ROOT / "docs" / "index.md").read_text()
    table = text.partition("| | this |")[2].partition("\n\n")[0].splitlines()[2:]
    cells = [cell.strip() for row in table for cell in row.strip("|").split("|")[1:]]

    assert len(cells) >= 50
    assert [cell for cell in cells if not re.search(r"\]\([^)]+\)", cell)] == []


def test_what_is_said_to_be_measured_is_in_the_figures() -> None:
    row = next(
        line for line in (ROOT / "docs" / "index.md").read_text().splitlines() if line.startswith("| a node dies")
    )
    figures, gossip = ((ROOT / "docs" / page).read_text() for page in ("failover.md", "gossip.md"))

    (median, worst) = re.findall(r"\[0\.(\d+) s, worst 0\.(\d+) s", row)[0]
    ours = re.search(r"321 / 506 ms \| keepalived 2,640 / 3,030 ms; with adverts each 0.1 s 267 /", figures)
    assert ours, "docs/failover.md has other figures: docs/index.md, README.md and docs/drawings tell the old ones"
    assert (median, worst) == ("32", "51")
    assert "[2.6 s; with adverts each 0.1 s 0.27 s" in row
    assert "| serf, LAN profile | 6.13 s |" in gossip
    assert "[6.1 s of its library" in row
