"""Loads rules into the kernel of a network namespace, by nft(8).

Owns how nft is found and run; the rules are the caller's. Blocks for some milliseconds.
"""

from __future__ import annotations

import shutil
import subprocess

from lab.errors import NftFailed
from lab.machine.namespaces import inside


def load(netns: int, script: str) -> None:
    """`nft -f` in that namespace: all of the script or nothing of it. Raises NftFailed."""
    nft = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if nft is None:
        raise NftFailed("the program nft is missing (Debian package nftables)")
    command = [nft, "-f", "-"]
    done = inside(
        netns,
        lambda: subprocess.run(command, input=script, text=True, capture_output=True, check=False),
    )
    if done.returncode != 0:
        raise NftFailed(f"nft refuses the rules: {' '.join(done.stderr.split())[:500]}")
