"""Histories that broke a law once, each as short as it still did."""

from __future__ import annotations

import pytest

from tests.lbnodeagent.stage.faults import Step
from tests.lbnodeagent.stage.histories import History, fails

FOR_GOOD = Step(5.21, 2.0, "kill", "n1", stays=True)


@pytest.mark.parametrize(
    "told",
    [
        pytest.param(
            History(51, 2, 0.0, (Step(13.66, 6.71, "edit the configuration", "n2", number=2),), is_planned=True),
            id="permanent addresses that got a lifetime were not renewed within it",
        ),
        pytest.param(
            History(54, 2, 0.0, (Step(15.74, 7.06, "edit the configuration", "n1", number=1),), is_planned=True),
            id="a dummy interface was deleted before its addresses were on the next one",
        ),
        pytest.param(
            History(2, 2, 0.0, (Step(20.5, 7.4, "cordon", "n1", number=27),), is_planned=True, has_endpoints=True),
            id="a cordoned node took back a route that no other could have",
        ),
        pytest.param(
            History(12, 3, 0.0, (), is_planned=True, has_endpoints=True),
            id="an address stayed routed where its subnet turned out to be another node's",
        ),
        pytest.param(
            History(114, 3, 0.02, (Step(7.8465459, 5.0863, "stop", "n1"), Step(7.1818146, 0.60298, "overrun", "n2"))),
            id="what was read of the kernel was believed over what the agent did since",
        ),
        pytest.param(
            History(26062, 4, 0.0, (Step(0.88, 37.3, "freeze", "n1", stays=True),)),
            id="an agent that was still frozen was expected to own what it wins",
        ),
        pytest.param(
            History(12895, 2, 0.0, (Step(0.0, 10.83, "plan", "n1", number=37),), is_planned=True),
            id="a node that had just conceded a VIP was taken for a rival when it got it by plan",
        ),
        pytest.param(
            History(31319, 2, 0.0, (Step(0.0, 4.67650619161447, "plan", "n2", number=45),), is_planned=True),
            id="whose word crossed the other one's let go of a VIP that it had announced last",
        ),
        pytest.param(
            History(
                300360,
                2,
                0.0,
                (
                    Step(0.18, 6.42, "notify late", "n1", number=7),
                    Step(4.75, 0.58, "renew the node's own", "n1", number=51),
                    Step(6.11, 15.5, "stop", "n1", number=31),
                ),
            ),
            id="a node's own address that had come to hang on a VIP unheard went with that",
        ),
        pytest.param(
            History(732, 2, 0.1, (Step(5.2, 6.84, "power", "n1"), Step(6.16, 27.68, "deaf", "n2"))),
            id="who started alone went on to leave a VIP to a peer that it heard later",
        ),
        pytest.param(
            History(
                7574,
                3,
                0.0,
                (
                    Step(6.8200434, 0.0282245, "deaf", "n1", number=58, stays=True),
                    Step(5.6990326, 0.0274616, "kill", "n1", number=27),
                    Step(4.5079098, 2.8249133, "exclude", "n2", number=26),
                    Step(5.3798382, 2.4507181, "label the node", "n1", number=50),
                ),
            ),
            id="who had not heard yet which NICs are its peers' kept a VIP beside one of them",
        ),
        pytest.param(
            History(
                9148,
                2,
                0.02,
                (
                    Step(1.5587645, 0.6359991, "cut the second NIC", "n1", number=59),
                    Step(6.2133888, 0.5284050, "kill", "n1", number=57),
                    Step(7.6708066, 0.3166987, "stranger", "n2", number=15, stays=True),
                ),
            ),
            id="a stranger that was heard before any peer was never told of",
        ),
        pytest.param(
            History(
                11108,
                2,
                0.02,
                (
                    Step(6.9353682, 5.2806331, "stop", "n1", number=6, stays=True),
                    Step(4.7469132, 0.0346504, "stranger", "n2", number=36, stays=True),
                ),
            ),
            id="a VIP was left to a stranger without a word when the last peer had left",
        ),
        pytest.param(
            History(
                4980,
                4,
                0.0,
                (
                    Step(4.5125992, 0.0335357, "deaf", "n4", number=9, stays=True),
                    Step(3.2306629, 7.4558584, "wipe the node's own", "n1", number=25),
                ),
            ),
            id="of a NIC that was without addresses for a while it was forgotten whose it is",
        ),
        *(
            pytest.param(
                History(4877, 3, 0.1, (Step(0.04, 13.52, "edit the configuration", "n3", number), FOR_GOOD)),
                id=f"a dead agent's addresses were expected to go before {lifetime}",
            )
            for number, lifetime in ((3, "the 60 s that its LBNodeAgent gave them"), (2, "somebody removes them"))
        ),
    ],
)
def test_no_law_is_broken_any_more(told: History) -> None:
    assert fails(told) == []
