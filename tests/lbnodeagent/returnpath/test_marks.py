"""What is asked of nf_tables for the marks of answers; what a kernel makes of it, a system test says."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from lbnodeagent.kernel.attributes import attributes
from lbnodeagent.returnpath.marks import IN, OUT, TABLE, marking, swept
from lbnodeagent.returnpath.ways import Way
from tests.lbnodeagent.scenes import ETH1

OWN = ip_address("172.30.0.11")
WAY = Way(ip_network("172.30.0.0/24"), ETH1, "eth1", ip_address("172.30.0.254"), (OWN,), 1, 0x1000, 0x3000)
WAY6 = replace(WAY, network=ip_network("fd00:172:30::/64"), gateway=ip_address("fe80::1"), own=())
NEW_TABLE, DEL_TABLE, NEW_CHAIN, NEW_RULE, NEW_SET, NEW_ELEMENTS = (10 << 8 | kind for kind in (0, 2, 3, 6, 9, 12))


def test_the_table_is_made_anew_in_one_step_and_is_the_only_one_that_is_touched() -> None:
    messages = marking((WAY, WAY6))

    assert [message.kind for message in messages[:3]] == [NEW_TABLE, DEL_TABLE, NEW_TABLE]
    assert {attributes(message.body)[1] for message in messages} == {TABLE.encode() + b"\0"}
    assert swept() == [messages[1]]


@pytest.mark.parametrize("ways", [(WAY,), (WAY, WAY6)])
def test_each_way_marks_what_begins_and_what_answers_it_by_pods_and_by_the_node(ways: tuple[Way, ...]) -> None:
    rules = [attributes(message.body) for message in marking(ways) if message.kind == NEW_RULE]

    chains = Counter(rule[2].rstrip(b"\0").decode() for rule in rules)
    assert chains == {IN: 1 + 2 * len(ways), OUT: len(ways)}


def test_the_nodes_own_addresses_are_in_a_set_however_many_there_are() -> None:
    many = tuple(OWN + number for number in range(2000))
    for own, sizes in (((), []), ((OWN,), [16]), (many, [1500 * 16])):
        elements = [message for message in marking((replace(WAY, own=own),)) if message.kind == NEW_ELEMENTS]
        assert [len(attributes(message.body)[3]) for message in elements] == sizes
