"""The article's second part with the real programs, over both families; what `make demo-ecmp` shows, as a test."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from lab.command.hosts import Hosts
from lab.demo.ecmp import EcmpWalkthrough
from lab.demo.scenario import Families, scenario
from lab.demo.transcript import Transcript
from tests.system.conftest import LabUnderTest
from tests.system.routerlab import CALM

pytestmark = pytest.mark.timeout(300)


def test_all_of_the_second_part_is_as_it_must_be(new_lab: Callable[[str], LabUnderTest]) -> None:
    lab = new_lab("ecmp")
    lab.must("up", *CALM, "--node-grace", "4", timeout=150)
    text = io.StringIO()
    transcript = Transcript(text)

    with Hosts(lab.folder) as hosts:
        EcmpWalkthrough(hosts, scenario(Families.DUAL), transcript).run()

    assert transcript.crosses == [], text.getvalue()
    assert transcript.ticks >= 30
    for program in ("bird", "zebra", "bgpd", "lbnodeagent", "supervisor"):
        assert "Traceback" not in lab.must("logs", program)
