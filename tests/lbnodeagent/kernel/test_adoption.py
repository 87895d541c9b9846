"""An address without a note is ours only if it looks so, was there at the start, and a Service has it."""

from __future__ import annotations

from dataclasses import replace

from lbnodeagent.kernel.addressmessages import INFINITE
from lbnodeagent.kernel.adoption import Adoption, has_signature
from tests.lbnodeagent.scenes import ETH0, VIP, VIP6, node, own

LOOKALIKE = replace(own(ETH0, f"{VIP}/16"), looks_ours=True)


def test_one_that_a_service_has_is_ours_from_then_on() -> None:
    present = node(LOOKALIKE)
    adoption = Adoption(present)
    adoption.offer()

    assert adoption.claim(VIP) == [(replace(LOOKALIKE, is_ours=True), "eth0")]
    assert [there.address for there in present.all_ours()] == [VIP]
    assert adoption.claim(VIP) == []


def test_one_that_only_looks_so_is_left_alone() -> None:
    present = node(LOOKALIKE, replace(own(ETH0, f"{VIP6}/64"), looks_ours=False))
    adoption = Adoption(present)
    adoption.offer()

    assert adoption.claim(VIP6) == []
    adoption.end()
    assert adoption.claim(VIP) == []
    assert list(present.all_ours()) == []


def test_one_that_comes_later_is_not_ours() -> None:
    present = node()
    adoption = Adoption(present)
    adoption.offer()
    present.set_address(LOOKALIKE)

    assert adoption.claim(VIP) == []


def test_what_earlier_versions_placed_looks_so() -> None:
    def looks(*, is_on_made: bool = False, no_prefix_route: bool = True, preferred: int = 0, valid: int = 18) -> bool:
        return has_signature(
            VIP, is_on_made=is_on_made, no_prefix_route=no_prefix_route, preferred=preferred, valid=valid
        )

    assert looks()
    assert looks(is_on_made=True, no_prefix_route=False, preferred=INFINITE, valid=INFINITE)
    assert not looks(no_prefix_route=False)
    assert not looks(preferred=18)
    assert not looks(valid=INFINITE)
