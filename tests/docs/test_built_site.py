"""What is wrong with a built site: links to nowhere, files that aren't there, strangers who are asked, weight."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiohttp import web

from docs.site.built import HEAVIEST, elsewhere, faults, read, weighed
from docs.site.check import main, unanswered

HOME = read(
    '<link rel="stylesheet" href="a.css"><a href="lab/#up">up</a><img src="img/a.png"><a href="#top">^</a><p id="top">'
)
LAB = read('<a href="..">home</a><h2 id="up">Up</h2><a href="../lab/">again</a><a href="https://example.com/x">x</a>')
PAGES = {"index.html": HOME, "lab/index.html": LAB}
SIZES = {"index.html": 10, "lab/index.html": 20, "a.css": 300, "img/a.png": 4000}


def test_a_site_that_holds_together_has_no_faults() -> None:
    assert list(faults(PAGES, SIZES)) == []


@pytest.mark.parametrize(
    ("html", "sentence"),
    [
        ('<a href="../nowhere/">', "lab/index.html: ../nowhere/: is no page"),
        ('<a href="..#down">', "lab/index.html: ..#down: is no place on that page"),
        ('<a href="#down">', "lab/index.html: #down: is no place on that page"),
        ('<img src="img/a.png">', "lab/index.html: img/a.png: is no file"),
        ('<link rel="icon" href="../b.png">', "lab/index.html: ../b.png: is no file"),
        (
            '<script src="https://cdn.example/a.js">',
            "lab/index.html: https://cdn.example/a.js: is fetched from elsewhere",
        ),
        ('<script src="//cdn.example/a.js">', "lab/index.html: //cdn.example/a.js: is fetched from elsewhere"),
    ],
)
def test_what_is_not_there_is_said(html: str, sentence: str) -> None:
    assert list(faults({**PAGES, "lab/index.html": read(f'<p id="up">{html}')}, SIZES)) == [sentence]


@pytest.mark.parametrize(
    "html",
    [
        '<a href="/lab/">',
        '<a href="/img/a.png">',
        '<a href="mailto:a@example.com">',
        '<img src="data:image/png;base64,AAAA">',
        '<link rel="prev" href="https://example.com/">',
        '<a href="../#top">',
    ],
)
def test_what_is_there_or_asks_for_nothing_is_well(html: str) -> None:
    assert list(faults({**PAGES, "lab/index.html": read(f'<p id="up">{html}')}, SIZES)) == []


def test_a_page_weighs_what_a_browser_fetches_for_it_each_file_once() -> None:
    page = read('<img src="../img/a.png"><img src="../img/a.png"><a href="../a.css">')

    assert weighed("lab/index.html", page, SIZES) == 20 + 4000


def test_a_page_that_is_too_heavy_is_said() -> None:
    (sentence,) = faults(PAGES, {**SIZES, "img/a.png": HEAVIEST})

    assert sentence.startswith("index.html: 1500310 bytes are fetched for it")


def test_links_to_the_web_are_known_with_the_pages_that_have_them() -> None:
    assert elsewhere(PAGES) == {"https://example.com/x": ["lab/index.html"]}


def test_a_folder_is_judged_and_one_without_pages_is_no_site(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "index.html").write_text('<a href="lab/">')

    assert main([str(tmp_path)]) == 1
    assert capsys.readouterr().out.startswith("index.html: lab/: is no page\n1 links on 1 pages")
    assert main([str(tmp_path / "nowhere")]) == 1
    assert "has no pages" in capsys.readouterr().err


def test_who_is_asked_and_has_no_such_page_or_place_is_said() -> None:
    async def answer(request: web.Request) -> web.Response:
        match request.path:
            case "/here":
                return web.Response(text='<h2 id="user-content-up">', content_type="text/html")
            case "/shy":
                return web.Response(status=403)
            case _:
                return web.Response(status=404)

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/{name}", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        server = web.TCPSite(runner, "127.0.0.1", 0)
        await server.start()
        try:
            (address,) = runner.addresses
            here = f"http://127.0.0.1:{address[1]}"
            targets = [f"{here}/here", f"{here}/here#up", f"{here}/here#down", f"{here}/shy", f"{here}/gone"]

            assert await unanswered(targets) == {
                f"{here}/here#down": "has no place down",
                f"{here}/gone": "answers 404",
            }
            await server.stop()
            ((target, trouble),) = (await unanswered(targets[:1])).items()
            assert target == targets[0]
            assert trouble.startswith("doesn't answer: ")
        finally:
            await runner.cleanup()

    asyncio.run(run())
