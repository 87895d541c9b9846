"""The article's walkthrough with the real programs, over IPv4, IPv6 and both; what `make demo` shows, as a test."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

from kubedouble.envtest import assets
from lab.command.hosts import Hosts
from lab.demo.scenario import Families, Scenario, scenario
from lab.demo.transcript import Transcript
from lab.demo.walkthrough import Walkthrough
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(240)
CONTROL_PLANE = "envtest" if assets() else "embedded"


@pytest.fixture(scope="module", params=list(Families), ids=lambda families: str(families.value))
def walked(request: pytest.FixtureRequest) -> Iterator[tuple[LabUnderTest, Scenario, Transcript, str]]:
    """A fresh lab with PureLB in which the whole walkthrough was done, and its transcript."""
    plan = scenario(request.param)
    with running_lab("--control-plane", CONTROL_PLANE, "--node-grace", "4", timeout=150) as lab:
        text = io.StringIO()
        transcript = Transcript(text)
        with Hosts(lab.folder) as hosts:
            Walkthrough(hosts, plan, transcript).run()
        yield lab, plan, transcript, text.getvalue()


Walked = tuple[LabUnderTest, Scenario, Transcript, str]


def test_all_of_the_walkthrough_is_as_it_must_be(walked: Walked) -> None:
    _, _, transcript, text = walked

    assert transcript.crosses == [], text
    assert transcript.ticks >= 30


def test_no_program_restarted_or_wrote_a_traceback(walked: Walked) -> None:
    lab, _, _, _ = walked

    found = lab.hosts.get("pods", "-n", "purelb")["items"]
    assert [one["restartCount"] for pod in found for one in pod["status"]["containerStatuses"]] == [0] * 5
    for program in ("allocator", "lbnodeagent", "supervisor", *(["apiserver"] if CONTROL_PLANE == "embedded" else [])):
        assert "Traceback" not in lab.must("logs", program)


def test_only_the_families_of_the_walkthrough_were_given_out(walked: Walked) -> None:
    lab, plan, _, _ = walked

    wanted = {
        Families.IPV4: {"IPv4"},
        Families.IPV6: {"IPv6"},
        Families.DUAL: {"IPv4", "IPv6"},
    }[plan.families]
    services = lab.hosts.get("svc", "-n", "nginx-quic")["items"]
    assert {family for one in services for family in one["spec"]["ipFamilies"]} == wanted


def test_deleting_the_services_takes_every_address_off_every_node(walked: Walked) -> None:
    lab, plan, _, _ = walked
    vips = {*plan.layer2_vips(), *plan.bgp_vips()}

    lab.kubectl("delete", "svc", "-n", "nginx-quic", "--all")

    def left() -> dict[str, list[str]]:
        held = {
            f"{node} {link}": sorted(str(one.ip) for one in lab.hosts.addresses(node, link) if one.ip in vips)
            for node in ("master", "worker-188-11", "worker-188-12")
            for link in ("eth0", "kube-lb0")
        }
        return {place: addresses for place, addresses in held.items() if addresses}

    assert eventually(lambda: not left()), left()
