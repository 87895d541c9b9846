"""What was last seen of the objects that have addresses themselves."""

from __future__ import annotations

import pytest

from allocator.reconcile.clusterobjects import ClusterObjects, Part, Reading
from purelb.ordering import Changed, ObjectKey

NODE = ObjectKey("", "m")


def test_what_is_not_believed_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    cluster = ClusterObjects()

    for _ in range(2):
        cluster.take(Part.NODES, Changed(NODE, Reading((), ("0.0.0.0/0 is too wide",))))

    assert [vars(record)["reason"] for record in caplog.records] == ["0.0.0.0/0 is too wide"]
