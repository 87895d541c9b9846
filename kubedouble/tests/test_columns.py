"""What kubectl get shows of an object."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from kubedouble.ages import age, human_duration
from kubedouble.columns import BUILT_IN_COLUMNS
from kubedouble.jsonpath import find


class TestColumns:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0s"), (119, "119s"), (120, "2m"), (192, "3m12s"), (900, "15m"),
         (3 * 3600 + 300, "3h5m"), (9 * 3600, "9h"),
         (50 * 3600, "2d2h"), (30 * 86400, "30d"), (800 * 86400, "2y70d"), (-5, "<invalid>")],
    )  # fmt: skip
    def test_ages(self, seconds: int, text: str) -> None:
        assert human_duration(seconds) == text

    def test_an_age_is_counted_from_a_time(self) -> None:
        assert age((datetime.now(UTC) - timedelta(seconds=61)).isoformat()) == "61s"
        assert age(None) == "<unknown>"

    def cells(self, table: str, obj: dict[str, Any]) -> dict[str, Any]:
        obj.setdefault("metadata", {"name": "a"})
        return {column.name: column.cell(obj) for column in BUILT_IN_COLUMNS[table]}

    def test_services(self) -> None:
        balanced = {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000}]},
                    "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "h"}]}}}  # fmt: skip

        assert self.cells("/services", balanced)["External-IP"] == "10.0.0.1,h"
        assert self.cells("/services", balanced)["Port(s)"] == "80:30000/TCP"
        assert self.cells("/services", {"spec": {"type": "LoadBalancer"}})["External-IP"] == "<pending>"
        assert self.cells("/services", {"spec": {"type": "ExternalName", "externalName": "x"}})["External-IP"] == "x"

    def test_pods(self) -> None:
        running = {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {}}}
        crashed = {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        base: dict[str, Any] = {"spec": {"containers": [{}]}}

        shown = self.cells("/pods", {**base, "status": {"phase": "Running", "containerStatuses": [running]}})
        assert shown | {"Age": ""} == {
            "Name": "a", "Ready": "1/1", "Status": "Running", "Restarts": "2", "Age": "", "IP": "<none>",
            "Node": "<none>", "Nominated Node": "<none>", "Readiness Gates": "<none>",
        }  # fmt: skip
        waiting = {**base, "status": {"phase": "Running", "containerStatuses": [crashed]}}
        assert self.cells("/pods", waiting)["Status"] == "CrashLoopBackOff"
        dying = {**base, "metadata": {"name": "a", "deletionTimestamp": "x"}, "status": {"phase": "Running"}}
        assert self.cells("/pods", dying)["Status"] == "Terminating"

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            (".spec.a", [1]),
            ("{.spec.a}", [1]),
            (".spec.list[0].n", ["x"]),
            (".spec.list[*].n", ["x", "y"]),
            ('.spec.list[?(@.n=="y")].v', [2]),
            (".spec.list[?(@.v>1)].n", ["y"]),
            (r".metadata.labels.a\.b/c", ["d"]),
            (".metadata.labels['a.b/c']", ["d"]),
            (".spec.nothing.here", []),
            (".spec.[", []),
        ],
    )
    def test_json_paths(self, path: str, found: list[Any]) -> None:
        obj = {
            "spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]},
            "metadata": {"labels": {"a.b/c": "d"}},
        }

        assert find(obj, path) == found
