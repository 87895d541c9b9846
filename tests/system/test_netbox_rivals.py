"""Several who want the same of one NetBox: what takes its time, because whoever is unsure waits."""

from __future__ import annotations

import asyncio

import pytest

from allocator.sources import netboxclient
from allocator.sources.netbox import NetboxSource
from purelb.addresses import IPAddress
from purelb.services import ServiceKey
from tests.allocator.builders import ip, key
from tests.allocator.sources.netboxes import LATE, SETTLE, ask, given_to, play, source_of
from tests.allocator.sources.netboxserver import Entry, Netbox, hanging


def test_a_claim_that_took_too_long_waits_until_whoever_is_under_it_has_looked_again() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        async def delay(entry: Entry) -> None:
            netbox.on_patched = None
            await asyncio.sleep(SETTLE * 2)
            asyncio.get_running_loop().call_later(
                LATE / 2, lambda: netbox.edit(entry.ip, description="default/x (PureLB there)")
            )

        netbox.on_patched = delay
        assert await given_to(source, ask("a")) == ["10.5.0.2"]

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", has_etags=False)


def test_whoever_stands_on_an_address_puts_its_name_back_where_a_late_claim_lies_over_it() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        given = await source.allocate(ask("a"))
        netbox.edit("10.5.0.1", description="default/x (PureLB there)")
        survey = await source.survey({key("a"): frozenset(given)})

        assert not survey.disputes
        assert netbox.state() == {"10.5.0.1": ("active", "default/a (PureLB here)")}

        await asyncio.sleep(LATE)
        netbox.edit("10.5.0.1", description="default/x (PureLB there)")
        assert (await source.survey({key("a"): frozenset(given)})).disputes

    play(scenario, "10.5.0.1/32", has_etags=False)


@pytest.mark.parametrize("has_etags", [True, False])
def test_two_clusters_at_one_netbox_never_take_the_same(has_etags: bool) -> None:
    async def run() -> None:
        netbox = Netbox(has_etags=has_etags)
        netbox.add(*(f"10.5.0.{number}/32" for number in range(24)))
        taken: list[IPAddress] = []

        async def fill(source: NetboxSource) -> None:
            shown: dict[ServiceKey, frozenset[IPAddress]] = {}

            async def look_around() -> None:
                while True:
                    await source.survey(shown)
                    await asyncio.sleep(late / 10)

            async def take(name: str) -> None:
                given = await source.allocate(ask(name))
                shown[key(name)] = frozenset(given)
                taken.extend(given)

            looking = asyncio.create_task(look_around())
            await asyncio.gather(*(take(f"s{number}") for number in range(10)))
            looking.cancel()

        late = 3.0
        async with netbox.serve(), source_of(netbox, "here", late) as here, source_of(netbox, "there", late) as there:
            await asyncio.gather(fill(here), fill(there))
        assert len(taken) == len(set(taken)) == 20

    asyncio.run(run())


def test_a_claim_found_by_name_counts_only_after_whoever_is_under_it_has_looked_again() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.edit("10.5.0.1", status="active", description="default/a (PureLB here)")
        asyncio.get_running_loop().call_later(
            LATE / 2, lambda: netbox.edit("10.5.0.1", description="default/x (PureLB there)")
        )
        assert await given_to(source, ask("a")) == ["10.5.0.2"]

        async with source_of(netbox) as restarted:
            await restarted.survey({key("a"): frozenset({ip("10.5.0.2")})})
            begun = asyncio.get_running_loop().time()
            assert await given_to(restarted, ask("a")) == ["10.5.0.2"]
            assert asyncio.get_running_loop().time() - begun < LATE, "a Service already has it, so there is no doubt"

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", has_etags=False)


def test_many_at_once_get_one_address_each() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        answers = await asyncio.gather(*(given_to(source, ask(f"s{number}")) for number in range(20)))

        assert sorted(answer[0] for answer in answers) == sorted(entry.ip for entry in netbox.entries.values())

    play(scenario, *(f"10.5.0.{number}/32" for number in range(20)))


def test_the_event_loop_goes_on_while_netbox_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netboxclient, "TIMEOUTS", (1.0, 1.0))

    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.fault = hanging
        waiting = [asyncio.create_task(source.allocate(ask(f"s{number}"))) for number in range(20)]
        turns = 0
        while not waiting[0].done():
            await asyncio.sleep(0.01)
            turns += 1
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

        assert turns > 20, "a second has a hundred turns, however busy the machine is"

    play(scenario, "10.5.0.1/32")
