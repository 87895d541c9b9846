"""The allocator's status page in a browser: Debian's Chromium, a thousand addresses, hostile names, a restart."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp
from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright, expect

from allocator.__main__ import serve_until_stopped
from kubedouble.envtest import free_port
from purelb import names
from purelb.addresses import parse_network
from purelb.kube import custom_path, services_path
from purelb.membership import NAME, MemberNode, Standing, membership_status
from tests.allocator.builders import local, service_body
from tests.allocator.memberships import publish
from tests.allocator.stage import Stage, staged

CHROMIUM = "/usr/bin/chromium"
COUNT = 1000
SLOW = 30_000.0
"""Milliseconds after which a test gives up waiting for what it expects."""
HOSTILE = "<img src=x onerror='taken=1'><script>taken=1</script>"
NODES = ("w1", "w2", "w3")
LAN = frozenset({parse_network("10.1.0.0/22")})


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    confinement = ["--no-sandbox"] if os.geteuid() == 0 else []  # which root's Chromium can't have
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=confinement)
        try:
            yield browser
        finally:
            await browser.close()


class Reader:
    """A browser with the page open, and what it complained of and asked for."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        self.asked: set[str] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.add(request.url))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def open(self) -> None:
        async with asyncio.timeout(SLOW / 1000):
            while not await self._answers():
                await asyncio.sleep(0.05)
        await self.page.goto(self.url)
        await expect(self.page.locator("#live-text")).to_have_text("live")

    async def _answers(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(self.url) as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    async def counts(self, addresses: str) -> None:
        await expect(self.page.locator("#vips-aside")).to_have_text(addresses)


@asynccontextmanager
async def allocator(stage: Stage, identity: str, port: int) -> AsyncIterator[None]:
    """The program as it runs: one that loses its Lease on a busy machine begins again."""
    stop = asyncio.Event()
    settings = stage.settings(identity, PURELB_PAGE_PORT=str(port), PURELB_PLACEMENT="hash")
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(serve_until_stopped(settings, stop))
        try:
            yield
        finally:
            stop.set()


def have_services(stage: Stage) -> None:
    """As many as are to be shown, as an allocator and agents have left them: in the API before this one begins."""
    for number in range(COUNT):
        brand = {names.ALLOCATED_BY: names.BRAND, names.ALLOCATED_FROM: "default", names.POOL_TYPE: "local"}
        body = service_body(
            f"web-{number:04}",
            annotations={**brand, names.ANNOUNCING_IPV4: f"{NODES[number % 3]},eth0"},
            ingress=[f"10.1.{number // 256}.{number % 256}"],
            writer=names.ALLOCATOR_COMPONENT,
            clusterIPs=["10.188.0.7"],
            sessionAffinity="None",
        )
        del body["metadata"]["resourceVersion"]
        stage.api.store.put("/services", "default", body["metadata"]["name"], body)


async def announce(stage: Stage, name: str, where: str) -> None:
    body = {"metadata": {"annotations": {names.ANNOUNCING_IPV4: where}}}
    await stage.kube.patch(services_path("default", name, "status"), body)


async def nodes_are(stage: Stage, *nodes: MemberNode) -> None:
    status = membership_status({node.name: node for node in nodes}, vips=COUNT)
    await stage.kube.patch(custom_path(names.MEMBERSHIPS, "purelb", NAME, "status"), {"status": status})


def node(name: str, standing: Standing = Standing.SERVING, reason: str = "") -> MemberNode:
    return MemberNode(name, standing, reason, LAN, version="0.1.0")


async def look_at_a_thousand(stage: Stage, reader: Reader) -> None:
    page = reader.page
    await expect(page.locator("#verdict")).to_have_text(
        f"All {COUNT:,} addresses are where they should be", timeout=SLOW
    )
    await reader.counts(f"{COUNT:,}")
    await expect(page.locator("#pools-list .fill b")).to_have_text("1,000 of 1,024")
    await expect(page.locator("#nodes-list .node")).to_have_count(3)

    await page.get_by_placeholder("Address, Service, node or pool").fill("web-0042")
    await reader.counts(f"1 of {COUNT:,}")
    row = page.locator("#vips-body tr")
    await expect(row).to_contain_text("default/web-0042")
    await expect(row.locator("[data-title=Where]")).to_have_text("w1 eth0")


async def see_an_update(stage: Stage, reader: Reader) -> float:
    """An address moves under the reader's eyes; how long until he saw it, in seconds."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    await announce(stage, "web-0042", "w2,eth0")
    await expect(reader.page.locator("#vips-body [data-title=Where]")).to_have_text("w2 eth0")
    took = loop.time() - begun
    await expect(reader.page.locator("#moves-list li").first).to_contain_text("from w1 to w2")
    return took


async def see_a_death(stage: Stage, reader: Reader) -> None:
    """What would become of a node's addresses, and then its death."""
    page = reader.page
    await page.get_by_role("button", name="What if w3 dies?").click()
    dialog = page.locator("dialog[open]")
    await expect(dialog).to_contain_text("333 addresses move")
    await expect(dialog.locator(".heirs li")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)

    await nodes_are(stage, node("w1"), node("w2", Standing.FAILING, HOSTILE))
    await expect(page.locator("#verdict")).to_have_text("2 things aren’t well")
    await expect(page.locator("#troubles li").nth(1)).to_contain_text("333 addresses")
    await expect(page.locator(".node[data-standing=Absent] h3")).to_have_text("w3")


async def see_hostile_names(stage: Stage, reader: Reader) -> None:
    page = reader.page
    await announce(stage, "web-0042", f"{HOSTILE.replace(' ', '/').replace(',', '')},eth0")
    await expect(page.locator(".node[data-standing=Failing] .reason")).to_have_text(HOSTILE)
    await expect(page.locator("#vips-body [data-title=Where]")).to_contain_text("<script>taken=1")
    assert await page.evaluate("window.taken") is None
    assert await page.locator("main img, main script").count() == 0


async def look_on_a_phone(browser: Browser, url: str) -> None:
    context = await browser.new_context(viewport={"width": 360, "height": 740}, is_mobile=True, color_scheme="dark")
    reader = Reader(await context.new_page(), url)
    await reader.open()
    await reader.counts(f"{COUNT:,}")
    widths = (
        "[document.documentElement.scrollWidth, window.innerWidth, getComputedStyle(document.body).backgroundColor]"
    )
    content, window, ground = await reader.page.evaluate(widths)
    assert content <= window, "nothing has to be scrolled to the side"
    assert ground == "rgb(18, 20, 18)"
    await expect(reader.page.locator("#vips-body tr").first.locator("[data-title=Address]")).to_be_visible()
    assert reader.complaints == []
    await context.close()


def test_a_browser_shows_a_thousand_addresses_live(record_property: Callable[[str, object], None]) -> None:
    async def run() -> None:
        expect.set_options(timeout=SLOW)
        port = free_port()
        url = f"http://localhost:{port}/"
        async with staged(embedded=True) as stage, chromium() as browser:
            reader = Reader(await browser.new_page(), url)
            await stage.group("default", local=local("10.1.0.0-10.1.3.255"))
            await publish(stage, NODES)
            await nodes_are(stage, *(node(name) for name in NODES))
            have_services(stage)
            async with allocator(stage, "allocator-0", port):
                await reader.open()
                await look_at_a_thousand(stage, reader)
                record_property("seconds from the write to the screen", await see_an_update(stage, reader))
                await see_a_death(stage, reader)
                await see_hostile_names(stage, reader)
                await look_on_a_phone(browser, url)
                assert reader.complaints == []
                assert {asked for asked in reader.asked if not asked.startswith(url)} == set()
            await expect(reader.page.locator("#live")).to_have_attribute("data-state", "lost")
            async with allocator(stage, "allocator-1", port):
                await expect(reader.page.locator("#live-text")).to_have_text("live")
                await expect(reader.page.locator("#teller")).to_contain_text("allocator-1")
                await expect(reader.page.locator("#vips-aside")).to_have_text(f"1 of {COUNT:,}")

    asyncio.run(run())
