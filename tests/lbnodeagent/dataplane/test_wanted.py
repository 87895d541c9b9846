"""What is wanted, while the one who tells it may begin anew."""

from __future__ import annotations

from ipaddress import ip_address

from lbnodeagent.dataplane.wanted import WantedVips
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.gossip.members import Members
from lbnodeagent.wire.dad import DuplicateDetection
from purelb.version import Version
from tests.lbnodeagent.scenes import wanted

KEPT, GONE = ip_address("10.31.188.64"), ip_address("10.31.188.65")


def test_a_service_that_went_while_nobody_looked_is_wanted_no_longer() -> None:
    """The control plane failed, and was started again: it tells what there is now, and not what there was."""
    wants = WantedVips(Candidacy("w11", Members("w11"), Version()), DuplicateDetection())
    for vip in (KEPT, GONE):
        wants.change(vip, wanted(vip))
    wants.synced()
    assert set(wants) == {KEPT, GONE}

    wants.begin_again()
    assert set(wants) == {KEPT, GONE}  # nothing moves until everything was read
    wants.change(KEPT, wanted(KEPT))
    wants.synced()

    assert set(wants) == {KEPT}
