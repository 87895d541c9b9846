"""What agents tell each other survives the way, and nonsense does no harm."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbnodeagent.errors import MetaError
from lbnodeagent.gate.failures import Failure
from lbnodeagent.gossip.envelope import Life
from lbnodeagent.gossip.keyrotation import Mark
from lbnodeagent.gossip.meta import HandoverMessage, Meta, decode_message, decode_meta, encode_messages, encode_meta
from lbnodeagent.tables import Mac
from purelb.checks import NUMBERS, REASONS, Check
from purelb.version import Version

MACS = st.frozensets(st.binary(min_size=6, max_size=6).filter(lambda mac: mac[0] != 3).map(Mac), max_size=7)
NETWORKS = st.one_of(
    st.builds(
        lambda address, bits: ip_network((int(address), bits), strict=False),
        st.ip_addresses(v=4),
        st.integers(0, 32),
    ),
    st.builds(
        lambda address, bits: ip_network((int(address), bits), strict=False),
        st.ip_addresses(v=6).filter(lambda address: int(address) >= 1 << 32),
        st.integers(96, 128),
    ),
)
FLAGS = (st.booleans(), st.booleans(), st.booleans())
SIX = st.binary(min_size=6, max_size=6)
IDLE = NETWORKS.filter(lambda network: network.prefixlen < network.max_prefixlen)
METAS = st.builds(
    Meta,
    *FLAGS,
    st.frozensets(NETWORKS, max_size=6),
    st.frozensets(IDLE, max_size=6),
    MACS,
    st.one_of(st.none(), SIX.map(Life)),
    st.lists(SIX.map(Mark), max_size=7).map(tuple),
    st.frozensets(st.ip_addresses().filter(lambda address: getattr(address, "scope_id", None) is None), max_size=4),
    st.booleans(),
    st.one_of(st.none(), st.sampled_from(Failure)),
    st.booleans(),
    st.builds(Version, *[st.integers(0, 255)] * 3),
    is_behind=st.booleans(),
    weight=st.integers(0, 255),
    keeps_flows=st.booleans(),
    waits=st.booleans(),
    returns_within=st.integers(0, 255),
)


@given(METAS)
def test_a_meta_is_decoded_to_what_was_encoded(meta: Meta) -> None:
    assert decode_meta(encode_meta(meta)) == meta


def test_an_agent_that_says_nothing_of_it_announces_as_those_from_before_did() -> None:
    before = decode_meta(b"PL\x01\x01\x00")

    assert before == Meta(True)
    assert before.announces


def test_a_meta_is_small() -> None:
    meta = Meta(True, reach=frozenset({ip_network("10.31.0.0/16"), ip_network("fd00:10:31::/64")}))

    assert len(encode_meta(meta)) == 19


def test_agents_from_before_see_a_node_that_does_not_serve_as_an_excluded_one_with_a_mac_that_no_nic_has() -> None:
    encoded = encode_meta(Meta(True, failing=Failure.KUBE_PROXY, version=Version(1, 2, 3)))

    assert encoded == b"PL\x01" + bytes((0x01 | 0x04, 1)) + bytes((0x03, 0x01, 7, 1, 2, 3))


def test_a_node_may_be_excluded_besides_not_serving() -> None:
    both = Meta(True, is_excluded=True, failing=Failure.NOT_READY, version=Version())
    failing = Meta(True, failing=Failure.NOT_READY, version=Version())

    assert decode_meta(encode_meta(both)) == both
    assert decode_meta(encode_meta(failing)) == failing
    assert not failing.serves


def test_one_that_is_behind_the_api_says_so_in_an_entry_that_agents_from_before_pass_over() -> None:
    behind = Meta(True, version=Version(1, 2, 3), is_behind=True)

    encoded = encode_meta(behind)

    assert decode_meta(encoded) == behind
    assert encoded == b"PL\x01" + bytes((0x01, 2)) + bytes((0x03, 0x01, 0, 1, 2, 3)) + bytes((0x03, 0x02, 1, 1, 0, 0))


def test_what_is_wrong_around_a_node_is_said_in_an_entry_of_its_own_and_only_if_anything_is() -> None:
    wrong = Meta(True, version=Version(1, 2, 3), found_wrong=frozenset({Check.PROXY_ARP, Check.POOL_NEIGHBOUR}))

    encoded = encode_meta(wrong)

    assert decode_meta(encoded) == wrong
    assert encoded == b"PL\x01" + bytes((1, 2)) + bytes((3, 1, 0, 1, 2, 3)) + bytes((3, 3, 0, 1 << 3, 0, 1 << 4))
    assert decode_meta(b"PL\x01" + bytes((1, 1)) + bytes((3, 3, 255, 255, 255, 255))) == Meta(
        True, found_wrong=frozenset(REASONS)
    ), "checks of later versions are left out"


def test_no_check_shares_its_number_and_all_of_the_agents_have_one() -> None:
    assert set(NUMBERS) == set(REASONS)
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert all(0 <= number < 32 for number in NUMBERS.values())


def test_a_weight_is_said_where_it_is_not_1() -> None:
    heavy = Meta(True, version=Version(1, 2, 3), weight=100)

    assert decode_meta(encode_meta(heavy)) == heavy
    assert encode_meta(heavy) == b"PL\x01" + bytes((1, 2)) + bytes((3, 1, 0, 1, 2, 3)) + bytes((3, 2, 0, 100, 0, 0))
    assert len(encode_meta(Meta(True, weight=1))) == len(encode_meta(Meta(True)))


def test_what_a_later_agent_says_is_read_as_far_as_it_is_known() -> None:
    strange = bytes((0x03, 0x09, 1, 2, 3, 4)) + bytes((0x03, 0x01, 60, 9, 9, 9))

    decoded = decode_meta(b"PL\x01" + bytes((0x05, 2)) + strange)

    assert decoded == Meta(True, failing=Failure.UNKNOWN, version=Version(9, 9, 9))


def test_no_failure_shares_its_number() -> None:
    numbers = [failure.number for failure in Failure]

    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < 64 for number in numbers)


def test_where_a_node_reaches_comes_before_its_addresses_when_not_all_of_them_fit() -> None:
    many = frozenset(ip_address(f"fd00::{number:x}") for number in range(1, 100))

    decoded = decode_meta(encode_meta(Meta(True, reach=frozenset({ip_network("10.31.0.0/16")}), addresses=many)))

    assert decoded is not None
    assert decoded.reach == {ip_network("10.31.0.0/16")}
    assert decoded.addresses < many


def test_agents_from_before_read_an_address_as_a_subnet_of_its_own() -> None:
    encoded = encode_meta(Meta(True, addresses=frozenset({ip_address("10.31.188.1")})))

    assert encoded.endswith(bytes((0x84, 32, 10, 31, 188, 1)))


def test_a_meta_never_exceeds_memberlists_512_bytes() -> None:
    many = frozenset(ip_network(f"fd00:{number:x}::/64") for number in range(1, 100))

    decoded = decode_meta(encode_meta(Meta(True, reach=many)))

    assert len(encode_meta(Meta(True, reach=many))) <= 512
    assert decoded is not None
    assert decoded.reach < many


@pytest.mark.parametrize("data", [b"", b"somebody else's", b"PL\x02\x00\x00"])
def test_members_without_our_meta_are_recognised(data: bytes) -> None:
    assert decode_meta(data) is None


@given(st.binary(max_size=100))
def test_garbage_in_a_meta_raises_meta_errors_only(data: bytes) -> None:
    try:
        decode_meta(b"PL\x01" + data)
    except MetaError:
        return


VIPS = st.lists(st.ip_addresses(), max_size=200).map(tuple)


@given(st.sampled_from(["ask", "have", "own"]), VIPS, st.booleans())
def test_a_handover_message_arrives_whole_in_parts_that_fit_a_packet(
    kind: str, vips: tuple[object, ...], is_leaving: bool
) -> None:
    message = HandoverMessage(kind, "worker-1", vips, is_leaving)  # type: ignore[arg-type]

    payloads = encode_messages(message)
    parts = [decode_message(payload) for payload in payloads]

    assert all(len(payload) < 1300 for payload in payloads)
    assert [vip for part in parts if part is not None for vip in part.vips] == list(vips)
    assert {(part.kind, part.sender, part.is_leaving) for part in parts if part is not None} <= {
        (message.kind, "worker-1", is_leaving)
    }


def test_other_programs_messages_are_left_alone() -> None:
    assert decode_message(b"hello") is None


@given(st.sampled_from([b"PL\x01a", b"PL\x01h"]), st.binary(max_size=60))
def test_garbage_in_a_message_raises_meta_errors_only(head: bytes, data: bytes) -> None:
    try:
        decode_message(head + data)
    except MetaError:
        return


def test_a_message_names_its_sender_and_vips() -> None:
    (payload,) = encode_messages(HandoverMessage("have", "w11", (ip_address("10.31.188.64"),)))

    assert decode_message(payload) == HandoverMessage("have", "w11", (ip_address("10.31.188.64"),))
