"""Write all pictures anew: `python -m docs.drawings`, or `make drawings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.drawings import gap, lab, member_states, modes, placement, recording, service_way, takeover, terminal

FOLDER = Path(__file__).parents[1] / "img"
PICTURES: Mapping[str, Callable[[], str]] = {
    "demo.svg": recording.draw,
    "failover-gap.svg": gap.draw,
    "lab.svg": lab.draw,
    "member-states.svg": member_states.draw,
    "modes.svg": modes.draw,
    "placement.svg": placement.draw,
    "plugin-status.svg": terminal.draw_status,
    "plugin-top.svg": terminal.draw_top,
    "service-way.svg": service_way.draw,
    "takeover.svg": takeover.draw,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
