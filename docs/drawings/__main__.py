"""Write all pictures anew: `python -m docs.drawings`, or `make drawings`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from docs.drawings import member_states, placement, service_way, takeover

FOLDER = Path(__file__).parents[1] / "img"
PICTURES: Mapping[str, Callable[[], str]] = {
    "member-states.svg": member_states.draw,
    "placement.svg": placement.draw,
    "service-way.svg": service_way.draw,
    "takeover.svg": takeover.draw,
}

if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / name).write_text(draw(), encoding="utf-8")
