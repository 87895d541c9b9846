"""The rules of kept flows and the reading of conntrack, on this machine's kernel."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from lab.machine.processes import python_path
from tests.system.flowpackets import RST

ICMP = 1


def said_by(script: str) -> Any:
    """In a network of its own."""
    command = ["unshare", "--net", sys.executable, "-m", f"tests.system.{script}"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **python_path()}, timeout=60
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    if isinstance(said, str):
        pytest.skip(f"this kernel can't: {said}")
    return said


def test_a_clients_port_that_an_old_connection_had_is_the_new_ones() -> None:
    assert said_by("flowpackets") == {
        "to the port of an old one, not awaited": [RST],
        "to it and to an unknown one, awaited": [],
        "passed on, of an old one and one that began here": 1,
        "where the old one goes": True,
        "passed on, after the old one began anew": 0,
        "of an unknown association, awaited": [],
        "datagrams before they are told of": True,
        "and after that": False,
        "where datagrams and associations go": True,
        "of an unknown association": [ICMP],
    }


def test_the_kernel_takes_and_shows_what_it_is_told_of_flows() -> None:
    assert said_by("flowrules") == {
        "live": [True, True],
        "one address": True,
        "at first": [0, 0],
        "all at first": 5001,
        "but those that it serves itself": 5000,
        "while they are told again in parts": 5000,
        "one more, one less, one that was not there": 5000,
        "anew": 1,
        "packets of one move": 0,
        "of one that is not": 0,
        "after somebody flushed them": 1,
        "after the NIC of another address went": 1,
        "adopted": [True, 3, False],
        "who translates": ["Cilium", "", ""],
        "counted where there is nothing": [0, 0],
        "and made anew": [True, True],
        "strays": {
            "held back": True,
            "let go": True,
            "found": [1, 2],
            "passed on": [1999, 2],
            "taken over": {"at first": [2, 3], "when all is known": [1, 1]},
            "after somebody flushed that": True,
            "rules without fellows": False,
        },
        "forgotten": False,
        "left": False,
    }
