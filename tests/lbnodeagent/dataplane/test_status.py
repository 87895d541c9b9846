"""What is reported of VIPs, and when."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from lbnodeagent.dataplane.status import Standing
from lbnodeagent.kernel.present import Present
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.tables import Announcement, Report, ReportKey

VIPS = [ip_address("10.31.64.1"), ip_address("10.31.64.2")]


def test_reports_are_held_until_the_passes_are_done_and_told_once() -> None:
    async def scenario() -> None:
        outbox: Mailbox[ReportKey, Report] = Mailbox()
        outbox.open()
        standing = Standing(Present(), outbox, lambda _: "b", "a")

        for vip in VIPS:
            standing.note([vip], [], [], [], "kube-lb0", 0.0)
            await asyncio.sleep(0)
            assert standing.has_unsent
        standing.send()

        expected = [Announcement(vip, "withdrawn", successor="b") for vip in VIPS]
        assert list((await asyncio.wait_for(outbox.take(), 1)).values()) == expected
        assert not standing.has_unsent

    asyncio.run(scenario())


def test_all_of_it_is_told_again_to_who_begins_anew_but_as_no_news() -> None:
    async def scenario() -> None:
        outbox: Mailbox[ReportKey, Report] = Mailbox()
        outbox.open()
        standing = Standing(Present(), outbox, lambda _: "b", "a")
        standing.note(VIPS, [], [], [], "kube-lb0", 0.0)
        standing.send()
        await outbox.take()

        standing.repeat()
        standing.send()

        expected = [Announcement(vip, "withdrawn", is_fresh=False, successor="b") for vip in VIPS]
        assert list((await asyncio.wait_for(outbox.take(), 1)).values()) == expected

    asyncio.run(scenario())
