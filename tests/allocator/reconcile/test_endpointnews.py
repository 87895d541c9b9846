"""When the planner hears that endpoints are elsewhere."""

from __future__ import annotations

from allocator.reconcile.endpointnews import PACE, EndpointNews
from purelb.endpoints import EndpointNodes, EndpointSlice
from purelb.ordering import Changed, Deleted, ObjectKey, Replaced
from purelb.services import ServiceKey

WEB = ServiceKey("default", "web")


def on(*nodes: str, of: ServiceKey = WEB) -> Changed[EndpointSlice]:
    """A Service's only slice names these nodes."""
    one = EndpointSlice(of.name, of, EndpointNodes(frozenset(nodes), frozenset()))
    return Changed(ObjectKey(of.namespace, of.name), one)


def test_the_first_list_is_news_of_all_services_also_of_those_without_endpoints() -> None:
    news = EndpointNews()
    assert news.due is None
    assert not news.is_known

    news.take(Replaced({}, "1", 0))

    assert news.is_known
    assert news.take_changed(0.0) is None
    assert news.take_changed(10.0) == set()


def test_pods_that_are_replaced_are_looked_at_once_a_second() -> None:
    news = EndpointNews()
    news.take(Replaced({}, "1", 0))
    news.take_changed(0.0)

    for number in range(20):
        news.take(on(f"w{number}"))
        assert news.take_changed(0.01 * number) == set()

    assert news.due == PACE
    assert news.take_changed(PACE) == {WEB}
    assert news.endpoints.of(WEB) == {"w19"}
    assert news.due is None


def test_a_list_and_a_deletion_are_news_of_whoever_they_concern() -> None:
    news = EndpointNews()
    other = ServiceKey("default", "other")
    of_both = [on("w1"), on("w2", of=other)]
    news.take(Replaced({one.key: one.item for one in of_both}, "1", 0))
    news.take_changed(0.0)

    news.take(Replaced({one.key: one.item for one in of_both[:1]}, "2", 0))
    assert news.take_changed(10.0) == {other}
    news.take(Deleted(ObjectKey("default", "web"), ""))
    assert news.take_changed(20.0) == {WEB}
