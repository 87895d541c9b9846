"""`python -m memberlist`, as an operator runs it."""

from __future__ import annotations

import base64
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

KEY = base64.b64encode(b"k" * 32).decode()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def member(name: str, port: int, *options: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "memberlist", "--name", name, "--bind", f"127.0.0.1:{port}", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def wait_for(process: subprocess.Popen[str], event: str, node: str) -> dict[str, Any]:
    """The first such line; the test's time limit ends a wait that is in vain."""
    assert process.stdout is not None
    for line in process.stdout:
        said: dict[str, Any] = json.loads(line)
        if (said["event"], said["node"]) == (event, node):
            return said
    raise AssertionError(f"the command ended without {event} {node}")


def test_it_prints_one_json_line_per_event_and_leaves_on_sigterm() -> None:
    ports = [free_port() for _ in range(3)]
    options = ("--profile", "fast", "--key", KEY, "--join", f"127.0.0.1:{ports[0]}")
    with ExitStack() as stack:
        one = stack.enter_context(member("one", ports[0], *options[:4]))
        wait_for(one, "join", "one")
        two = stack.enter_context(member("two", ports[1], *options, "--meta", "rack 7"))
        three = stack.enter_context(member("three", ports[2], *options))

        joined = wait_for(one, "join", "two")
        assert joined["addr"] == f"127.0.0.1:{ports[1]}"
        assert joined["meta"] == "rack 7"
        assert abs(joined["time"] - time.time()) < 10
        wait_for(two, "join", "three")

        two.send_signal(signal.SIGTERM)
        assert two.wait(10) == 0
        wait_for(one, "left", "two")
        three.kill()
        wait_for(one, "suspect", "three")
        wait_for(one, "failed", "three")


def test_it_says_in_one_line_what_is_wrong() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, member("one", taken.getsockname()[1]) as process:
        _, complaint = process.communicate(timeout=10)

    assert process.returncode == 1
    assert complaint.startswith("memberlist: ")
    assert "in use" in complaint
    assert len(complaint.splitlines()) == 1


def test_a_bad_key_is_refused() -> None:
    with member("one", 1, "--key", "c2hvcnQ=") as process:
        _, complaint = process.communicate(timeout=10)

    assert process.returncode == 2
    assert "16, 24 or 32 bytes" in complaint
