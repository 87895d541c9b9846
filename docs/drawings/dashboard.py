"""docs/img/dashboard.png: the Grafana dashboard's panels, each drawn from what its questions gave in a lab.

`python -m docs.drawings.dashboard`: it starts a lab and a Prometheus, lets things happen for two minutes, asks every
panel's questions and draws the answers where Grafana would. It needs root, Debian's prometheus and `.[plots]`.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from manifests.dashboard import ROWS
from manifests.grafana import WIDTH, Panel, Query, placed
from tests.system.agentlab import GROUPS, MASTER, SHORT, WORKER11, WORKER12, AgentLab, service
from tests.system.conftest import LabUnderTest
from tests.system.prometheus import Prometheus

PICTURE: Final = Path(__file__).parents[1] / "img" / "dashboard.png"
STEP: Final = 1.0
RANGE: Final = "15s"
"""Over which rates are taken."""
UNITS: Final = {"s": "s", "Bps": "bytes/s", "bytes": "MiB"}
LEGEND: Final = 6
"""Series whose names are shown."""
SMALL: Final = """
apiVersion: purelb.io/v1
kind: ServiceGroup
metadata: {name: small, namespace: purelb}
spec:
  local:
    v4pool: {subnet: 10.31.0.0/16, pool: 10.31.189.1-10.31.189.4, aggregation: /32}
"""

Series = dict[str, Any]


def happen(agents: AgentLab) -> None:
    """Two minutes in the life of a cluster."""
    lab = agents.lab
    lab.kubectl("apply", "-f", "-", stdin=SMALL)
    agents.apply(*(service(f"web-{number}", "wire", ip=f"10.31.188.{70 + number}") for number in range(9)))
    agents.apply(*(service(f"api-{number}", "routed", ip=f"10.189.0.{1 + number}") for number in range(3)))
    agents.apply(*(service(f"shop-{number}", "small") for number in range(3)))
    after: Sequence[tuple[float, Callable[[], object]]] = (
        (20, lambda: lab.must("fault", SHORT[WORKER11], "power")),
        (20, lambda: lab.must("heal", SHORT[WORKER11])),
        (15, lambda: lab.must("fault", SHORT[WORKER12], "drain")),
        (5, lambda: agents.apply(*(service(f"new-{number}", "small") for number in range(2)))),
        (10, lambda: lab.must("heal", SHORT[WORKER12])),
        (10, lambda: lab.must("fault", "wire", "answer", "10.31.188.71")),
        (5, lambda: lab.must("fault", SHORT[MASTER], "proxy-dead")),
        (15, lambda: lab.must("heal", "wire")),
    )
    for seconds, step in after:
        time.sleep(seconds)
        step()
    time.sleep(15)


def asked(prometheus: Prometheus, panel: Panel, begin: float, end: float) -> list[tuple[Query, list[Series]]]:
    """What each of its questions gave."""
    span = {"start": str(begin), "end": str(end), "step": str(STEP)}
    answers = []
    for query in panel.queries:
        question = query.expr.replace("$__rate_interval", RANGE)
        if panel.kind == "timeseries":
            found = prometheus.asked("query_range", query=question, **span)["result"]
        else:
            found = prometheus.asked("query", query=question, time=str(end))["result"]
        answers.append((query, found))
    return answers


def name_of(query: Query, series: Series) -> str:
    """As Grafana's legend has it, with nodes' names cut short."""
    labels: dict[str, str] = series["metric"]
    said = re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), query.legend)
    return cut(said or ", ".join(labels.values()))


def cut(text: str) -> str:
    return re.sub(r"tiny-cilium-(\S+?)\.k8s\.tcinternal", r"\1", text)


def draw(answers: dict[int, list[tuple[Query, list[Series]]]], begin: float) -> None:
    """All panels on one picture, as Grafana lays them out."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    places = list(placed(ROWS))
    height = max(place.y + place.height for place in places)
    figure = pyplot.figure(figsize=(20, height * 0.36))
    grid = figure.add_gridspec(height, WIDTH, hspace=0.2, wspace=2.5, left=0.03, right=0.985, top=0.985, bottom=0.01)
    for number, place in enumerate(places):
        columns = slice(place.x, place.x + place.width)
        if place.panel is None:
            axes = figure.add_subplot(grid[place.y, columns])
            axes.axis("off")
            axes.text(0, 0.3, place.title, fontsize=15, fontweight="bold")
            continue
        # A cell above is for its title, and one below for the seconds.
        axes = figure.add_subplot(grid[place.y + 1 : place.y + place.height - 1, columns])
        axes.set_title(place.title, fontsize=10, loc="left")
        axes.tick_params(labelsize=7)
        draw_panel(axes, place.panel, answers[number], begin)
    figure.savefig(PICTURE, dpi=72)
    pyplot.close(figure)


def draw_panel(axes: Any, panel: Panel, answers: list[tuple[Query, list[Series]]], begin: float) -> None:
    named = [(name_of(query, series), series) for query, found in answers for series in found]
    match panel.kind:
        case "stat":
            value = float(named[0][1]["value"][1]) if named else float("nan")
            bad = panel.good is not None and value > panel.good
            axes.axis("off")
            colour = "black" if panel.good is None else "tab:red" if bad else "tab:green"
            axes.text(0.5, 0.35, f"{value:g}", fontsize=30, ha="center", va="center", color=colour)
        case "bargauge":
            shares = [float(series["value"][1]) for _, series in named]
            axes.barh([name for name, _ in named], shares, color=list(map(fullness, shares)))
            axes.set_xlim(0, 1)
        case "table":
            axes.axis("off")
            rows = [[cut(series["metric"].get(key, "")) for key in ("service", "ip", "node")] for _, series in named]
            table = axes.table(
                sorted(rows)[:14], colLabels=["service", "ip", "node"], loc="upper center", cellLoc="left"
            )
            table.auto_set_font_size(False)
            table.set_fontsize(7)
        case "timeseries":
            draw_lines(axes, panel, named, begin)


def fullness(share: float) -> str:
    """A colour."""
    return "tab:red" if share >= 0.9 else "tab:orange" if share >= 0.75 else "tab:green"


def draw_lines(axes: Any, panel: Panel, named: list[tuple[str, Series]], begin: float) -> None:
    lively = [one for one in named if any(float(value) for _, value in one[1]["values"])]
    shown = sorted(lively or named, key=lambda one: one[0])
    labels = [name if index < LEGEND else "_" for index, (name, _) in enumerate(shown)]
    scale = 1 / 2**20 if panel.unit == "bytes" else 1
    lines = [{at - begin: float(value) * scale for at, value in series["values"]} for _, series in shown]
    if panel.stacked:
        when = sorted({at for line in lines for at in line})
        axes.stackplot(when, *([line.get(at, 0.0) for at in when] for line in lines), labels=labels, alpha=0.6)
    else:
        for line, label in zip(lines, labels, strict=True):
            axes.plot(list(line), list(line.values()), linewidth=1, label=label)
    if panel.unit in UNITS:
        axes.set_ylabel(UNITS[panel.unit], fontsize=7)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    if shown:
        axes.legend(fontsize=6, loc="upper left", framealpha=0.6)


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="purelb-dashboard-") as folder:
        lab = LabUnderTest(Path(folder) / "lab")
        try:
            lab.must("up", "--placement", "even")
            lab.kubectl("apply", "-f", "-", stdin=GROUPS)
            agents = AgentLab(lab)
            with Prometheus(lab.hosts, Path(folder) / "prometheus") as prometheus:
                begin = time.time()
                happen(agents)
                end = time.time()
                places = enumerate(placed(ROWS))
                answers = {
                    number: asked(prometheus, place.panel, begin, end)
                    for number, place in places
                    if place.panel is not None
                }
        finally:
            lab.down()
    draw(answers, begin)
    print(PICTURE)


if __name__ == "__main__":
    main()
