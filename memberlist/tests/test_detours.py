"""Who is known to answer by detours."""

from __future__ import annotations

from memberlist.detours import IN_A_ROW, MOST, Detours


def everybody(_: str) -> bool:
    return True


def test_members_that_are_gone_take_nobodys_place() -> None:
    detours = Detours()
    for number in range(MOST):
        detours.answered(f"once-{number}", is_direct=False)

    for _ in range(IN_A_ROW):
        detours.answered("new", is_direct=False)

    assert detours.members(everybody) == {"new"}


def test_who_goes_on_answering_so_is_known_however_many_come_and_go() -> None:
    detours = Detours()
    for number in range(2 * MOST):
        detours.answered(f"once-{number}", is_direct=False)
        detours.answered("steady", is_direct=False)

    assert detours.members(everybody) == {"steady"}
