"""What is written, and when it counts as written."""

from __future__ import annotations

from allocator.reconcile.plan import Write
from purelb import names
from tests.allocator.builders import ip, service

WRITE = Write(service("a"), (ip("10.1.0.1"),), {names.ALLOCATED_BY: "PureLB", names.RE_EVALUATE: None})


def test_a_write_whose_answer_was_lost_was_done_if_the_service_shows_all_of_it() -> None:
    assert WRITE.is_met_by(service("a", annotations={names.ALLOCATED_BY: "PureLB"}, ingress=["10.1.0.1"]))


def test_it_was_not_done_if_an_address_or_an_annotation_is_missing_or_left() -> None:
    both = {names.ALLOCATED_BY: "PureLB", names.RE_EVALUATE: "true"}

    assert not WRITE.is_met_by(service("a", annotations={names.ALLOCATED_BY: "PureLB"}))
    assert not WRITE.is_met_by(service("a", ingress=["10.1.0.1"]))
    assert not WRITE.is_met_by(service("a", annotations=both, ingress=["10.1.0.1"]))


def test_it_may_have_been_done_and_undone_if_the_service_has_changed() -> None:
    assert WRITE.may_be_done(service("a", version=2))
    assert not WRITE.may_be_done(service("a"))
