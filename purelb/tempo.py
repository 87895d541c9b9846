"""How fast the allocator moves VIPs that are well where they are, and for how long it waits for a node. No I/O."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from purelb.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Tempo:
    """Times in seconds."""

    hold_down: float = 60.0
    """For which a node that joins or comes back has to serve before it is given VIPs."""
    longest_hold_down: float = 900.0
    """A node that falters again and again waits twice as long each time, up to this; and so long must it have served
    for that to be forgotten."""
    moves: int = 5
    """VIPs that move in one step."""
    interval: float = 10.0
    """Between two steps."""
    give_up: float = 300.0
    """For which the place of a node that doesn't serve any more is kept: nothing else moves meanwhile."""


def tempo_from(environ: Mapping[str, str]) -> Tempo:
    """What the environment says of it. Raises SettingsError."""
    default = Tempo()
    hold_down = _number(environ, "PURELB_PLACEMENT_HOLD_DOWN", default.hold_down, least=0.0, most=3600.0)
    return Tempo(
        hold_down=hold_down,
        longest_hold_down=max(default.longest_hold_down, hold_down),
        moves=int(_number(environ, "PURELB_PLACEMENT_MOVES", default.moves, least=1.0, most=1000.0)),
        interval=_number(environ, "PURELB_PLACEMENT_INTERVAL", default.interval, least=0.1, most=3600.0),
        give_up=_number(environ, "PURELB_PLACEMENT_GIVE_UP", default.give_up, least=0.0, most=86400.0),
    )


def _number(environ: Mapping[str, str], name: str, default: float, *, least: float, most: float) -> float:
    text = environ.get(name) or f"{default:g}"
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not least <= number <= most:
        raise SettingsError(f'{name} "{text}" is not a number from {least:g} to {most:g}')
    return number
