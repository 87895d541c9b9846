"""The rows of a module's program, played once, as far as they were asked for."""

from __future__ import annotations

import pytest

from tests.faults.playing import Played, play_all


@pytest.fixture(scope="module")
def played(request: pytest.FixtureRequest) -> Played:
    here = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    params = [item.callspec.params for item in here if hasattr(item, "callspec")]
    return play_all(request.module.PROGRAM, [str(one["row"]) for one in params if "row" in one])
