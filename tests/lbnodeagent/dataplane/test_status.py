"""What is reported of VIPs, and when."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from lbnodeagent.dataplane.status import Statuses
from lbnodeagent.kernel.present import Present
from lbnodeagent.mailbox import Mailbox
from lbnodeagent.tables import Announcement, Report, ReportKey

VIPS = [ip_address("10.31.64.1"), ip_address("10.31.64.2")]


def test_reports_are_held_until_the_passes_are_done_and_told_once() -> None:
    async def scenario() -> None:
        outbox: Mailbox[ReportKey, Report] = Mailbox()
        outbox.open()
        statuses = Statuses(Present(), outbox, lambda _: "b", "a")

        for vip in VIPS:
            statuses.note([vip], [], [], [], "kube-lb0", 0.0)
            await asyncio.sleep(0)
            assert statuses.has_unsent
        statuses.send()

        expected = [Announcement(vip, "withdrawn", successor="b") for vip in VIPS]
        assert list((await asyncio.wait_for(outbox.take(), 1)).values()) == expected
        assert not statuses.has_unsent

    asyncio.run(scenario())


def test_all_of_it_is_told_again_to_who_begins_anew_but_as_no_news() -> None:
    async def scenario() -> None:
        outbox: Mailbox[ReportKey, Report] = Mailbox()
        outbox.open()
        statuses = Statuses(Present(), outbox, lambda _: "b", "a")
        statuses.note(VIPS, [], [], [], "kube-lb0", 0.0)
        statuses.send()
        await outbox.take()

        statuses.repeat()
        statuses.send()

        expected = [Announcement(vip, "withdrawn", is_fresh=False, successor="b") for vip in VIPS]
        assert list((await asyncio.wait_for(outbox.take(), 1)).values()) == expected

    asyncio.run(scenario())
