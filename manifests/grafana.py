"""A dashboard as Grafana reads it, from a table of panels.

Owns the layout and Grafana's JSON; which panels there are is dashboard.py's.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Kind = Literal["stat", "timeseries", "bargauge", "table"]

WIDTH: Final = 24
"""Columns of Grafana's grid."""
SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}


@dataclass(frozen=True, slots=True)
class Query:
    """One question, and how each series of the answer is called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture. ``good``: the value that a stat is green at, else red; None: it isn't judged."""

    title: str
    kind: Kind
    queries: tuple[Query, ...]
    text: str = ""
    unit: str = "short"
    width: int = 8
    height: int = 8
    good: float | None = None
    stacked: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where a panel is, or the title of a row, in cells of Grafana's grid."""

    title: str
    x: int
    y: int
    width: int
    height: int
    panel: Panel | None = None


def placed(rows: Iterable[tuple[str, Sequence[Panel]]]) -> Iterator[Place]:
    """Of each row its title and panels, left to right as far as they fit."""
    y = 0
    for title, row in rows:
        yield Place(title, 0, y, WIDTH, 1)
        y += 1
        x = 0
        for number, panel in enumerate(row):
            if x + panel.width > WIDTH:
                x, y = 0, y + row[number - 1].height
            yield Place(panel.title, x, y, panel.width, panel.height, panel)
            x += panel.width
        y += row[-1].height


def dashboard(rows: Iterable[tuple[str, Sequence[Panel]]]) -> str:
    """The file for Grafana's import, or for its provisioning."""
    shown = [_shown(number, place) for number, place in enumerate(placed(rows), 1)]
    body = {
        "uid": "purelb",
        "title": "PureLB",
        "tags": ["purelb"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}]
        },
        "panels": shown,
    }
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def _shown(number: int, place: Place) -> dict[str, Any]:
    cells = {"h": place.height, "w": place.width, "x": place.x, "y": place.y}
    panel = place.panel
    if panel is None:
        return {"id": number, "type": "row", "title": place.title, "collapsed": False, "gridPos": cells, "panels": []}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "gridPos": cells,
        "targets": [_target(index, query, panel.kind) for index, query in enumerate(panel.queries)],
        "fieldConfig": {"defaults": _field(panel), "overrides": []},
        **_shape(panel),
    }


def _target(index: int, query: Query, kind: Kind) -> dict[str, Any]:
    at_once = {} if kind == "timeseries" else {"instant": True, "range": False}
    form = {"format": "table"} if kind == "table" else {}
    return {
        "refId": chr(ord("A") + index),
        "datasource": SOURCE,
        "expr": query.expr,
        "legendFormat": query.legend or "__auto",
        **at_once,
        **form,
    }


def _field(panel: Panel) -> dict[str, Any]:
    field: dict[str, Any] = {"unit": panel.unit}
    match panel.kind:
        case "stat" if panel.good is not None:
            steps = [{"color": "green", "value": None}, {"color": "red", "value": panel.good + 1}]
            field |= {"thresholds": {"mode": "absolute", "steps": steps}}
        case "bargauge":
            steps = [
                {"color": "green", "value": None},
                {"color": "orange", "value": 0.75},
                {"color": "red", "value": 0.9},
            ]
            field |= {"min": 0, "max": 1, "thresholds": {"mode": "absolute", "steps": steps}}
        case "timeseries":
            stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
            field |= {"min": 0, "custom": {"stacking": stacking, "fillOpacity": 30 if panel.stacked else 0}}
        case _:
            pass
    return field


def _shape(panel: Panel) -> dict[str, Any]:
    last = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    match panel.kind:
        case "stat":
            return {
                "options": {"reduceOptions": last, "colorMode": "background" if panel.good is not None else "value"}
            }
        case "bargauge":
            return {"options": {"reduceOptions": last, "orientation": "horizontal", "displayMode": "basic"}}
        case "table":
            hidden = {"excludeByName": {"Time": True, "Value": True}}
            return {"options": {"showHeader": True}, "transformations": [{"id": "organize", "options": hidden}]}
        case "timeseries":
            return {"options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}}
