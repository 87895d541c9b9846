"""The rows of a module's program, played once, as far as they were asked for."""

from __future__ import annotations

import pytest

from tests.faults.playing import Played, names_of, play_all

pytest.register_assert_rewrite("tests.faults.verdicts")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", names_of(metafunc.module.PROGRAM))


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Played:
    """All rows, where none was asked for: without any, nobody would complain."""
    program = request.module.PROGRAM
    here = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    params = [item.callspec.params for item in here if hasattr(item, "callspec")]
    return play_all(program, [str(one["row"]) for one in params if "row" in one] or names_of(program))
