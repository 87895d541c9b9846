"""`kubectl purelb top`: one screen, which renews itself on a terminal."""

from __future__ import annotations

import asyncio
import datetime
import io

import pytest

from clusters import NOW, cluster, document_of, event, member, membership, service
from kubectl_purelb.answers import Answer, Text
from kubectl_purelb.commands.top import top
from kubectl_purelb.happenings import view_events
from kubectl_purelb.live import watch
from kubectl_purelb.printing import print_answer
from purelb.errors import GoneError, UnavailableError


class Terminal(io.StringIO):
    """One that is written to."""

    def isatty(self) -> bool:
        return True


def test_it_shows_what_each_node_has_and_what_happened_last() -> None:
    known = cluster(
        service("web", "10.31.188.64"),
        service("db", "10.31.188.65"),
        service("waits"),
        members=membership(member("w11"), member("w12", standing="Failing", reason="no route")),
    )
    said = view_events([event("AddressConflict", "Another host answers", age=30), event("Parsed", "ok", age=300)])
    answer = top(known, said, NOW)
    file = io.StringIO()
    print_answer(answer, "table", file)
    shown = file.getvalue()

    assert not answer.is_well
    assert "w11   Serving   2          ████████████████████████" in shown
    assert "w12   Failing   0                                    no route" in shown
    assert shown.index("30s  Conflict") < shown.index("5m   Warning")
    assert "✗ service default/waits: it has no address yet" in shown
    assert document_of(answer)["nodes"][0] == {
        "name": "w11", "standing": "Serving", "addresses": 2,
    }  # fmt: skip


def test_on_a_terminal_it_looks_again_until_interrupted_and_stays_when_the_api_server_is_away() -> None:
    looks, file = list[datetime.datetime](), Terminal()
    troubles = {2: UnavailableError("the API server can't be reached"), 3: GoneError("too much has changed")}

    async def look(now: datetime.datetime) -> Answer:
        looks.append(now)
        if len(looks) in troubles:
            raise troubles[len(looks)]
        return Answer((Text(f"look {len(looks)}"),), {"look": len(looks)})

    async def run() -> Answer:
        watching = asyncio.create_task(watch(look, 0.001, file))
        async with asyncio.timeout(10):
            while len(looks) < 5:
                await asyncio.sleep(0.001)
        watching.cancel()
        return await watching

    assert document_of(asyncio.run(run()))["look"] >= 4
    assert "look 4" in file.getvalue()


def test_a_server_that_is_away_from_the_beginning_is_an_error() -> None:
    async def look(now: datetime.datetime) -> Answer:
        raise UnavailableError("the API server can't be reached")

    with pytest.raises(UnavailableError):
        asyncio.run(watch(look, 0.001, io.StringIO()))
