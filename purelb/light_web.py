"""aiohttp's framework for sites, for who shows one; a program that shows none does without, and has 1.1 MB less."""

from __future__ import annotations

import purelb.light_aiohttp  # noqa: F401  # first, as it says how

from aiohttp import web as web  # isort: skip
