"""The allocator while the API server misbehaves: nothing is lost, nothing is given twice, and it goes on by itself."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from allocator.reconcile.agentstatus import AgentStatuses
from allocator.reconcile.fleet import AgentRule, Agents
from purelb import names
from purelb.errors import NotFoundError
from purelb.kube import core_path, custom_path
from purelb.ordering import ObjectKey
from tests.allocator.builders import local
from tests.allocator.stage import Stage, play, staged, until


def test_conflicts_are_decided_again_until_the_write_fits() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/28"))
        storm = stage.api.faults.status(409, verb="patch", resource="services", subresource="status", count=6)
        for name in "abc":
            await stage.service(name)

        await asyncio.gather(*(stage.addresses_when_given(name) for name in "abc"))

        assert storm.hits == 6
        assert sorted((await stage.all_addresses()).values()) == [["10.1.0.0"], ["10.1.0.1"], ["10.1.0.2"]]

    play(scenario, embedded=True)


def test_a_service_that_somebody_else_keeps_writing_gets_its_address_all_the_same() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.service("a")

        async def scribble() -> None:
            for count in range(200):
                await stage.change("a", {"metadata": {"annotations": {"count": str(count)}}})

        async with asyncio.TaskGroup() as tasks:
            scribbling = tasks.create_task(scribble())
            await stage.group("default", local=local("10.1.0.0/28"))
            assert await stage.addresses_when_given("a") == ["10.1.0.0"]
            scribbling.cancel()

    play(scenario, embedded=True)


def test_dropped_watches_are_taken_up_again() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/28"))
        for count in range(4):
            stage.api.faults.drop_watches()
            await stage.service(f"s{count}")
            assert await stage.addresses_when_given(f"s{count}") == [f"10.1.0.{count}"]

    play(scenario, embedded=True)


def test_a_deletion_that_no_watch_told_of_is_found_and_the_address_given_to_who_waits() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/32"))
        await stage.service("a")
        await stage.addresses_when_given("a")
        await stage.service("b")
        await stage.event("b", "is exhausted")

        deaf = stage.api.faults.status(500, verb="watch")
        stage.api.faults.drop_watches()
        await stage.delete("a")
        stage.api.faults.expire()
        stage.api.faults.clear(deaf)

        assert await stage.addresses_when_given("b") == ["10.1.0.0"]

    play(scenario, embedded=True)


def test_an_api_server_that_was_away_finds_the_allocator_as_it_left_it() -> None:
    async def scenario(stage: Stage) -> None:
        await stage.group("default", local=local("10.1.0.0/28"))
        await stage.service("a")
        await stage.addresses_when_given("a")

        stage.api.faults.down()
        await asyncio.sleep(2.0)
        stage.api.faults.clear()
        await stage.service("b")

        assert await stage.addresses_when_given("b") == ["10.1.0.1"]
        assert await stage.addresses("a") == ["10.1.0.0"]

    play(scenario, embedded=True)


def test_too_many_requests_is_obeyed_and_a_read_only_server_waited_for() -> None:
    async def scenario(stage: Stage) -> None:
        loop = asyncio.get_running_loop()
        await stage.group("default", local=local("10.1.0.0/28"))
        ours = {"resource": "services", "subresource": "status"}
        stage.api.faults.status(429, retry_after=1, count=1, **ours)
        begun = loop.time()
        await stage.service("a")
        await stage.addresses_when_given("a")
        assert loop.time() - begun >= 1.0

        refusing = stage.api.faults.read_only(**ours)
        await stage.service("b")
        await asyncio.sleep(0.3)
        assert await stage.addresses("b") == []
        assert refusing.hits < 10, "it doesn't run against a wall"
        stage.api.faults.clear(refusing)
        assert await stage.addresses_when_given("b") == ["10.1.0.1"]

    play(scenario, embedded=True)


def test_nothing_is_given_away_before_everything_was_listed() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            await stage.group("default", local=local("10.1.0.0/28"))
            branded = {names.ALLOCATED_BY: "PureLB", names.ALLOCATED_FROM: "default"}
            await stage.service("holder", annotations=branded)
            await stage.set_status("holder", ["10.1.0.0"])
            blind = stage.api.faults.status(500, verb="list", resource="services", user_agent="purelb-allocator")
            async with stage.allocator():
                await stage.service("a")
                await asyncio.sleep(0.7)
                assert blind.hits >= 1
                assert await stage.addresses("a") == []

                stage.api.faults.clear(blind)

                assert await stage.addresses_when_given("a") == ["10.1.0.1"]

    asyncio.run(run())


def test_a_conflict_that_is_no_twin_leaves_no_cluster_without_its_key() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            conflicts = [
                stage.api.faults.status(409, verb="create", resource=resource, count=1)
                for resource in ("secrets", "lbnodeagents")
            ]
            async with stage.allocator():
                await until(lambda: exists(stage, core_path("secrets", "purelb", names.GOSSIP_SECRET)))
                await until(lambda: exists(stage, custom_path(names.LB_NODE_AGENTS, "purelb", "default")))
            assert [conflict.hits for conflict in conflicts] == [1, 1]

    asyncio.run(run())


async def exists(stage: Stage, path: str) -> bool:
    try:
        await stage.kube.get(path)
    except NotFoundError:
        return False
    return True


class Thief:
    """A TCP proxy before the API server that swallows answers to the allocator's writes of Services."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.steals = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._port)
        robbed = asyncio.Event()

        async def ask() -> None:
            while data := await reader.read(65536):
                if self.steals and data.startswith(b"PATCH /api/v1/namespaces/default/services/"):
                    self.steals -= 1
                    robbed.set()
                server_writer.write(data)
            server_writer.close()

        async def answer() -> None:
            while data := await server_reader.read(65536):
                if robbed.is_set():
                    break
                writer.write(data)
            writer.close()

        await asyncio.gather(ask(), answer(), return_exceptions=True)


@asynccontextmanager
async def behind_a_thief(stage: Stage) -> AsyncIterator[Thief]:
    thief = Thief(int(stage.api.url.rpartition(":")[2]))
    server = await asyncio.start_server(thief.serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    stage.kubeconfig.write_text(json.dumps(stage.api.kubeconfig(server=url)))
    try:
        yield thief
    finally:
        server.close()


def test_a_write_whose_answer_is_lost_is_neither_repeated_nor_forgotten() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage, behind_a_thief(stage) as thief, stage.allocator():
            await stage.group("default", local=local("10.1.0.0/28"))
            await until(lambda: stage.events("default", namespace="purelb"))
            thief.steals = 1
            created = await stage.service("a")

            assert await stage.addresses_when_given("a") == ["10.1.0.0"]
            await stage.event("a", "Assigned {Ingress:[{IP:10.1.0.0 Hostname: Ports:[]}]} from pool default")
            await stage.service("b")
            assert await stage.addresses_when_given("b") == ["10.1.0.1"]
            assert thief.steals == 0
            assert len(await stage.versions("a", since=created["metadata"]["resourceVersion"])) == 1

    asyncio.run(run())


def test_statuses_of_lbnodeagents_that_an_older_crd_has_not_are_tried_ever_more_seldom() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            missing = stage.api.faults.status(404, verb="patch", resource="lbnodeagents", subresource="status")
            labels = {"one": {"rack": "a"}}
            rules = {ObjectKey("purelb", "one"): AgentRule(announces=True)}
            writer = AgentStatuses(stage.kube, lambda: Agents(rules, labels, 1), interval=0.01)

            with suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.run()

            assert 2 <= missing.hits <= 7

    asyncio.run(run())


def test_nodes_that_come_and_go_all_the_time_are_no_write_each() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            written = stage.api.faults.status(409, verb="patch", resource="lbnodeagents", subresource="status")
            rules = {ObjectKey("purelb", "one"): AgentRule(announces=True)}
            looks = itertools.count(1)
            writer = AgentStatuses(stage.kube, lambda: Agents(rules, {"one": {}}, next(looks)), interval=0.01)

            with suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await writer.run()

            assert 1 <= written.hits <= 6

    asyncio.run(run())


def test_an_lbnodeagent_that_goes_while_anothers_status_is_written_is_no_end_of_it() -> None:
    async def run() -> None:
        async with staged(embedded=True) as stage:
            slow = stage.api.faults.slow(200, verb="patch", resource="lbnodeagents", subresource="status")
            rules = {ObjectKey("purelb", name): AgentRule(announces=True) for name in ("one", "two")}
            writer = AgentStatuses(stage.kube, lambda: Agents(rules, {"one": {}}, 1), interval=0.01)

            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(writer.run())

                async def is_under_way() -> bool:
                    return bool(slow.hits)

                await until(is_under_way)
                del rules[ObjectKey("purelb", "two")]

                async def goes_on() -> bool:
                    return slow.hits >= 3

                await until(goes_on)
                writing.cancel()

    asyncio.run(run())
