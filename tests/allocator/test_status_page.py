"""The allocator's status page beside an API server: of the one that leads, and of the one that stands by."""

from __future__ import annotations

import json
import socket
from typing import Any

import aiohttp

from kubedouble.envtest import free_port
from purelb import names
from tests.allocator.builders import local
from tests.allocator.memberships import publish
from tests.allocator.stage import Stage, play, until


async def view(port: int) -> dict[str, Any] | None:
    """What the page tells; None while it doesn't."""
    try:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/view.json") as answer:
            said: dict[str, Any] = json.loads(await answer.text())
            return said if answer.status == 200 else None
    except aiohttp.ClientError:
        return None


def test_who_leads_and_who_stands_by_tell_the_same() -> None:
    leading, standing_by = free_port(), free_port()

    async def scenario(stage: Stage) -> None:
        await publish(stage, ("w1", "w2"))
        await stage.group("default", local=local("10.1.0.1-10.1.0.4"))
        await stage.service("web")
        assert await stage.addresses_when_given("web") == ["10.1.0.1"]
        await stage.change("web", {"metadata": {"annotations": {names.ANNOUNCING_IPV4: "w1,eth0"}}})

        async def told() -> tuple[dict[str, Any], dict[str, Any]] | None:
            """What both tell, as soon as they tell the same of what is so in the end."""
            one, other = await view(leading), await view(standing_by)
            if one is None or other is None or not one["set"]["pools"]:
                return None
            is_same = all(one["set"][table] == other["set"][table] for table in ("pools", "vips", "nodes"))
            is_all = one["set"]["pools"][0]["fill"] == [["IPv4", 1, 3]] and one["head"]["states"]["Announced"] == 1
            return (one, other) if is_same and is_all else None

        async with stage.allocator("allocator-1", PURELB_PAGE_PORT=str(standing_by)):
            one, other = await until(told)
        assert (one["head"]["leads"], other["head"]["leads"]) == (True, False)
        assert (one["head"]["identity"], other["head"]["identity"]) == ("allocator-0", "allocator-1")
        (vip,) = one["set"]["vips"]
        assert (vip["address"], vip["node"], vip["next"], vip["services"]) == ("10.1.0.1", "w1", "w2", ["default/web"])
        assert vip["since"] > 0

    play(scenario, PURELB_PAGE_PORT=str(leading))


def test_an_allocator_serves_on_where_its_page_cannot_be_served() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:

        async def scenario(stage: Stage) -> None:
            await stage.group("default", local=local("10.1.0.1-10.1.0.4"))
            await stage.service("web")
            assert await stage.addresses_when_given("web") == ["10.1.0.1"]

        play(scenario, PURELB_PAGE_PORT=str(taken.getsockname()[1]))
