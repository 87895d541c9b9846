"""The NetBox source against NetBox's REST API over real HTTP."""

from __future__ import annotations

import asyncio
import email.utils
import time

import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from allocator.sources import netboxclient
from allocator.sources.netbox import NetboxSource, marker_of, read_marker
from allocator.sources.source import SourceError
from purelb.services import ServiceKey
from tests.allocator.builders import ip, key
from tests.allocator.sources.netboxes import LATE, SETTLE, V4, V6, ask, given_to, play, source_of
from tests.allocator.sources.netboxserver import NEW_TOKEN, TOKEN, Entry, Handler, Netbox, answering, hanging

# --- the marker ------------------------------------------------------------------------------------------------------


@given(st.from_regex(r"[a-z]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.uuids())
def test_a_marker_says_which_service_of_which_cluster(name: str, cluster: object) -> None:
    marker = marker_of(ServiceKey("n" * 63, name), str(cluster))

    assert read_marker(marker) == (ServiceKey("n" * 63, name), str(cluster))
    assert len(marker) <= 200


@pytest.mark.parametrize("description", ["", "default/a", "rack 7 (PureLB pool)", "a (PureLB x)", "uplink"])
def test_an_operators_note_is_no_marker(description: str) -> None:
    assert read_marker(description) is None


# --- allocating ------------------------------------------------------------------------------------------------------


def test_the_first_reserved_address_of_the_family_becomes_active_with_the_services_name() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.add("10.5.0.1/32", tenant="other")
        assert await given_to(source, ask("a", V4, V6)) == ["10.5.0.7", "fd00::7"]

        assert netbox.state() == {
            "10.5.0.9": ("reserved", ""),
            "10.5.0.7": ("active", "default/a (PureLB here)"),
            "fd00::7": ("active", "default/a (PureLB here)"),
            "10.5.0.1": ("reserved", ""),
        }

    play(scenario, "10.5.0.9/24", "10.5.0.7/24", "fd00::7/64")


def test_asking_again_gives_the_same_and_only_what_is_missing_is_added() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        assert await given_to(source, ask("a")) == ["10.5.0.1"]
        async with source_of(netbox) as restarted:
            assert await given_to(restarted, ask("a", V4, V6)) == ["10.5.0.1", "fd00::1"]

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", "fd00::1/128")


def test_a_page_is_not_the_whole_list() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        for name in "abcdefg":
            await source.allocate(ask(name))
        survey = await source.survey({})

        assert len(survey.holdings) == 7
        assert survey.capacity.in_use == {V4: 7}
        assert survey.capacity.size == {V4: 12}

    play(scenario, *(f"10.5.0.{number}/32" for number in range(12)), most=3)


def test_all_families_or_none() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        with pytest.raises(SourceError, match="no reserved IPv6 address") as caught:
            await source.allocate(ask("a", V4, V6))

        assert caught.value.kind == "exhausted"
        assert netbox.state() == {"10.5.0.1": ("reserved", "")}
        assert await given_to(source, ask("a", V4, V6, takes_one_family=True)) == ["10.5.0.1"]

    play(scenario, "10.5.0.1/32")


def test_a_pinned_address_is_claimed_if_it_is_reserved() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        assert await given_to(source, ask("a", pinned=(ip("10.5.0.2"),))) == ["10.5.0.2"]
        with pytest.raises(SourceError, match=r'does not have "10\.5\.0\.2" as reserved') as caught:
            await source.allocate(ask("b", pinned=(ip("10.5.0.2"),)))

        assert caught.value.kind == "refused"

    play(scenario, "10.5.0.1/32", "10.5.0.2/32")


def test_an_address_that_netbox_will_not_have_changed_is_passed_over() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.add("10.5.0.1/24")  # a PATCH of either is refused, as there are two of it
        netbox.locked.add("10.5.0.2")
        assert await given_to(source, ask("a")) == ["10.5.0.3"]
        assert await given_to(source, ask("b")) == ["10.5.0.4"]

        assert netbox.count("PATCH") == 5, "a refusal is remembered"
        assert {ip for ip, state in netbox.state().items() if state == ("reserved", "")} == {"10.5.0.1", "10.5.0.2"}

    play(scenario, *(f"10.5.0.{number}/32" for number in range(1, 5)))


def test_where_nothing_else_is_left_the_refusal_is_told() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.locked.update(entry.ip for entry in netbox.entries.values())
        for _ in range(3):
            with pytest.raises(SourceError) as caught:
                await source.allocate(ask("a"))
            assert caught.value.kind == "exhausted"
            assert str(caught.value) == (
                'NetBox has no reserved IPv4 address for tenant "lb" that it lets us change: '
                'NetBox refuses "10.5.0.1" (404): {"detail": "No IPAddress matches the given query."}'
            )
        assert netbox.count("PATCH") == 7, "not all at once, and each but once"

        netbox.add("10.5.0.9/32")
        assert await given_to(source, ask("a")) == ["10.5.0.9"]

    play(scenario, *(f"10.5.0.{number}/32" for number in range(1, 8)))


def test_a_pinned_address_that_netbox_will_not_have_changed_concerns_its_service_alone() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.add("10.5.0.1/24")
        with pytest.raises(SourceError, match=r'refuses "10\.5\.0\.1" \(400\): .*Duplicate IP address') as caught:
            await source.allocate(ask("a", pinned=(ip("10.5.0.1"),)))
        assert caught.value.kind == "refused"

        netbox.add("10.5.0.1/24", vrf="red")
        assert await given_to(source, ask("a", pinned=(ip("10.5.0.1"),))) == ["10.5.0.1"]

    play(scenario, "10.5.0.1/32")


# --- two who want the same -------------------------------------------------------------------------------------------


def test_where_netbox_has_etags_a_claim_fails_that_another_write_forestalled() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        def steal(entry: Entry) -> None:
            netbox.before_patch = None
            netbox.edit(entry.ip, status="active", description="default/x (PureLB there)")

        netbox.before_patch = steal
        assert await given_to(source, ask("a")) == ["10.5.0.2"]
        assert netbox.state()["10.5.0.1"] == ("active", "default/x (PureLB there)")

    play(scenario, "10.5.0.1/32", "10.5.0.2/32")


def test_where_netbox_has_none_a_claim_that_is_written_over_is_given_up() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        async def write_over(entry: Entry) -> None:
            netbox.on_patched = None
            asyncio.get_running_loop().call_later(
                SETTLE / 3, lambda: netbox.edit(entry.ip, description="default/x (PureLB there)")
            )

        netbox.on_patched = write_over
        assert await given_to(source, ask("a")) == ["10.5.0.2"]

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", has_etags=False)


def test_an_address_in_several_vrfs_is_several_addresses_and_only_ours_is_given_back() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.edit("10.5.0.1", status="active", description="a VRF's own")
        netbox.add("10.5.0.1/24", vrf="red")
        assert await given_to(source, ask("a", pinned=(ip("10.5.0.1"),))) == ["10.5.0.1"]
        first, second = netbox.entries.values()
        assert (first.description, second.description) == ("a VRF's own", "default/a (PureLB here)")
        assert not (await source.survey({key("a"): frozenset({ip("10.5.0.1")})})).disputes

        await source.release(key("a"), frozenset({ip("10.5.0.1")}))
        assert (first.status, second.status) == ("active", "reserved")

    play(scenario, "10.5.0.1/32")


def test_of_two_claims_for_one_service_the_one_that_it_has_counts() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        for address in ("10.5.0.1", "10.5.0.2"):
            netbox.edit(address, status="active", description="default/a (PureLB here)")

        assert await given_to(source, ask("a", V4, V6, held=frozenset({ip("10.5.0.2")}))) == ["10.5.0.2", "fd00::1"]
        assert await given_to(source, ask("a", V4, V6)) == ["10.5.0.1", "fd00::1"]

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", "fd00::1/128")


def test_what_an_older_claim_of_another_senior_service_holds_is_not_found_again() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        assert await given_to(source, ask("a")) == ["10.5.0.1"]
        assert await given_to(source, ask("a", lost=frozenset({ip("10.5.0.1")}))) == ["10.5.0.2"]

    play(scenario, "10.5.0.1/32", "10.5.0.2/32")


# --- giving back -----------------------------------------------------------------------------------------------------


def test_what_is_given_back_is_reserved_again_and_nameless() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        given = await source.allocate(ask("a", V4, V6))
        await source.release(key("a"), frozenset(given))
        await source.release(key("a"), frozenset(given))

        assert set(netbox.state().values()) == {("reserved", "")}

    play(scenario, "10.5.0.1/32", "fd00::1/128")


def test_what_is_another_clusters_by_now_is_not_given_back() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        given = await source.allocate(ask("a"))
        netbox.edit("10.5.0.1", description="default/x (PureLB there)")
        await source.release(key("a"), frozenset(given))

        assert netbox.state() == {"10.5.0.1": ("active", "default/x (PureLB there)")}

    play(scenario, "10.5.0.1/32")


def test_what_netbox_refuses_to_take_back_keeps_nothing_else_from_going_back() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        given = await source.allocate(ask("a", V4, V6))
        netbox.locked.add("10.5.0.1")
        with pytest.raises(SourceError, match=r'NetBox refuses "10\.5\.0\.1" \(404\)') as caught:
            await source.release(key("a"), frozenset(given))
        assert caught.value.kind == "refused"
        assert netbox.state()["fd00::1"] == ("reserved", "")

        netbox.locked.clear()
        await source.release(key("a"), frozenset(given))
        assert netbox.state()["10.5.0.1"] == ("reserved", "")

    play(scenario, "10.5.0.1/32", "fd00::1/128")


# --- surveys ---------------------------------------------------------------------------------------------------------


def test_a_survey_marks_what_an_older_purelb_left_without_a_name() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.edit("10.5.0.1", status="active", description="lb pool")
        netbox.edit("10.5.0.2", status="active", description="default/gone (PureLB here)")
        shown = {key("a"): frozenset({ip("10.5.0.1")}), key("b"): frozenset({ip("10.5.0.3")})}
        survey = await source.survey(shown)

        assert not survey.disputes
        assert survey.holdings == {**shown, key("gone"): frozenset({ip("10.5.0.2")})}
        assert netbox.state()["10.5.0.1"] == ("active", "default/a (PureLB here)")
        assert netbox.state()["10.5.0.3"] == ("active", "default/b (PureLB here)")

    play(scenario, "10.5.0.1/32", "10.5.0.2/32", "10.5.0.3/32")


def test_a_shared_address_is_named_after_who_is_left() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        given = frozenset(await source.allocate(ask("a")))
        await source.survey({key("a"): given, key("b"): given})
        assert netbox.state() == {"10.5.0.1": ("active", "default/a (PureLB here)")}

        await source.survey({key("b"): given})
        assert netbox.state() == {"10.5.0.1": ("active", "default/b (PureLB here)")}

    play(scenario, "10.5.0.1/32")


def test_a_survey_tells_of_addresses_that_are_anothers() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.edit("10.5.0.1", status="active", description="default/x (PureLB there)")
        shown = {key("a"): frozenset({ip("10.5.0.1")}), key("b"): frozenset({ip("10.9.9.9")})}
        survey = await source.survey(shown)

        assert survey.disputes == {
            key("a"): 'NetBox shows "10.5.0.1" as the address of default/x in another cluster (there)',
            key("b"): 'NetBox does not know "10.9.9.9" of tenant "lb" any more',
        }
        assert netbox.state() == {"10.5.0.1": ("active", "default/x (PureLB there)")}

    play(scenario, "10.5.0.1/32")


def test_a_survey_goes_on_beside_an_address_that_netbox_will_not_have_changed() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.locked.add("10.5.0.1")
        shown = {key("a"): frozenset({ip("10.5.0.1")}), key("b"): frozenset({ip("10.5.0.2")})}
        survey = await source.survey(shown)

        assert list(survey.disputes) == [key("a")]
        assert survey.disputes[key("a")].startswith('NetBox refuses "10.5.0.1" (404): ')
        assert netbox.state()["10.5.0.2"] == ("active", "default/b (PureLB here)")

    play(scenario, "10.5.0.1/32", "10.5.0.2/32")


# --- faults ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (answering(302, Location="/login/"), "NetBox answers 302, a redirect to /login/, instead of data"),
        (answering(403), "NetBox refuses our token (403): may it view and change addresses?"),
        (answering(404), "(404): is its URL right?"),
        (answering(429), "NetBox asks for fewer requests (429)"),
        (answering(500), "NetBox fails with 500 Internal Server Error"),
        (answering(503), "NetBox fails with 503 Service Unavailable"),
        (answering(200), "NetBox's answer can't be read"),
        (hanging, "NetBox does not answer in time"),
    ],
)
def test_a_netbox_that_fails_is_told_in_one_sentence(
    fault: Handler, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(netboxclient, "TIMEOUTS", (0.3, 0.3))

    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.fault = fault
        with pytest.raises(SourceError) as caught:
            await source.allocate(ask("a"))

        assert sentence in str(caught.value)
        assert "\n" not in str(caught.value)
        assert caught.value.kind == "outage"
        assert netbox.state() == {"10.5.0.1": ("reserved", "")}
        assert all(path != "/login/" for _, path in netbox.requests), "no redirect is followed"

    play(scenario, "10.5.0.1/32")


_SCALARS = st.none() | st.booleans() | st.integers(-1, 99) | st.sampled_from(["", "10.5.0.1/32", "reserved", "active"])
_KEYS = st.sampled_from(["id", "url", "address", "status", "value", "description", "results", "count", "next"])
_JSON = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner), max_leaves=12)


@given(answers=st.lists(_JSON, min_size=1, max_size=5))
@example(answers=[[], {"count": 0, "results": []}, {"count": 1, "results": [Entry(1, "10.5.0.1/32").json("/")]}])
def test_whatever_netbox_answers_is_told_as_its_fault(answers: list[object]) -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        async def answer(request: web.Request) -> web.Response:
            return web.json_response(answers[len(netbox.requests) % len(answers)])

        netbox.fault = answer
        for call in (source.allocate(ask("a")), source.survey({}), source.release(key("a"), None)):
            try:
                await call
            except SourceError:
                continue

    play(scenario)


def test_retry_after_is_passed_on() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.fault = answering(429, Retry_After="17")
        with pytest.raises(SourceError) as caught:
            await source.allocate(ask("a"))
        assert caught.value.retry_after == 17.0

    play(scenario)


def test_retry_after_may_be_a_date() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        then = email.utils.formatdate(time.time() + 30, usegmt=True)
        netbox.fault = answering(503, Retry_After=then)
        with pytest.raises(SourceError) as caught:
            await source.allocate(ask("a"))
        assert caught.value.retry_after == pytest.approx(30, abs=3)

    play(scenario)


def test_a_token_that_may_only_read_claims_nothing_and_says_so() -> None:
    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        netbox.is_read_only = True
        with pytest.raises(SourceError, match=r"refuses our token \(403\): may it view and change addresses"):
            await source.allocate(ask("a"))
        assert netbox.state() == {"10.5.0.1": ("reserved", "")}

        netbox.is_read_only = False
        assert await given_to(source, ask("a")) == ["10.5.0.1"]

    play(scenario, "10.5.0.1/32")


def test_a_tenant_that_there_is_not_is_told_in_one_sentence() -> None:
    async def scenario(netbox: Netbox, _: NetboxSource) -> None:
        source = NetboxSource(netbox.url, TOKEN, "Load Balancer", "here", time.monotonic, SETTLE, LATE)
        for call in (source.allocate(ask("a")), source.survey({})):
            with pytest.raises(SourceError) as caught:
                await call
            assert str(caught.value) == 'NetBox has no tenant with the slug "Load Balancer"'
            assert caught.value.kind == "outage"
        await source.close()

    play(scenario, "10.5.0.1/32")


def test_a_token_may_be_of_the_second_kind() -> None:
    async def scenario(netbox: Netbox, _: NetboxSource) -> None:
        source = NetboxSource(netbox.url, NEW_TOKEN, "lb", "here", time.monotonic, SETTLE, LATE)
        assert await given_to(source, ask("a")) == ["10.5.0.1"]
        await source.close()

    play(scenario, "10.5.0.1/32")


@pytest.mark.parametrize("knows_prefix", [True, False])
@pytest.mark.parametrize("path", ["infra/netbox/", "infra/netbox"])
def test_netbox_may_be_below_a_path_also_one_that_it_knows_nothing_of(path: str, knows_prefix: bool) -> None:
    async def run() -> None:
        netbox = Netbox(prefix="/infra/netbox", knows_prefix=knows_prefix)
        netbox.add("10.5.0.1/32")
        async with netbox.serve():
            source = NetboxSource(netbox.url + path, TOKEN, "lb", "here", time.monotonic, SETTLE, LATE)
            assert await given_to(source, ask("a")) == ["10.5.0.1"]
            await source.close()

    asyncio.run(run())


def test_a_netbox_that_is_away_is_told_in_one_sentence() -> None:
    async def run() -> None:
        netbox = Netbox()
        async with netbox.serve():
            pass
        async with source_of(netbox) as source:
            with pytest.raises(SourceError, match=r"NetBox can't be reached: .*[Cc]onnection refused"):
                await source.allocate(ask("a"))

    asyncio.run(run())


def test_a_claim_whose_answer_is_lost_is_found_again_by_its_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(netboxclient, "TIMEOUTS", (0.3, 0.3))

    async def scenario(netbox: Netbox, source: NetboxSource) -> None:
        async def lose(_: Entry) -> None:
            netbox.on_patched = None
            await asyncio.sleep(1.0)

        netbox.on_patched = lose
        with pytest.raises(SourceError, match="in time"):
            await source.allocate(ask("a"))

        assert await given_to(source, ask("a")) == ["10.5.0.1"]
        assert netbox.state()["10.5.0.2"] == ("reserved", "")

    play(scenario, "10.5.0.1/32", "10.5.0.2/32")
