"""The way of answers on this machine's kernel, behind a translation such as kube-proxy's and without it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from lab.machine.processes import python_path

pytestmark = pytest.mark.timeout(120)


def test_answers_leave_by_the_nic_of_their_address_and_nothing_else_does() -> None:
    command = ["unshare", "--net", sys.executable, "-m", "tests.system.returnways"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **python_path()}, timeout=100
    )
    assert done.returncode == 0, done.stderr

    said = json.loads(done.stdout)
    if isinstance(said, str):
        pytest.skip(f"this kernel can't: {said}")
    assert said == {
        "nothing to sweep": False,
        "without": ["eth0", "eth0", "eth0", "eth0"],
        "have": True,
        "with": ["eth1", "eth1", "eth1", "eth1"],
        "the doctor's look": ["eth0", "eth1"],
        "the node's own address": ["eth0"],
        "again": False,
        "beside other marks": ["eth1", "eth1", "eth1", "eth1", True],
        "made anew": [True, True, True, True, False],
        "with them": ["eth1", "eth1"],
        "a successor sweeps": [True, False],
        "others' stay": ["from all fwmark 0x77 lookup 77", "192.0.2.0/24 dev eth1 scope link"],
        "after": ["eth0", "eth0"],
        "one is refused": [
            "adding route fd00:172:30::/64 table 79341: Permission denied (EACCES)",
            "eth1",
            "eth1",
        ],
        "strict": ["lost"],
    }
