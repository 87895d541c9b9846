"""Members of gossip clusters as processes on loopback addresses: ours, serf agents, Alertmanagers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

PORT = 7946
RPC_PORT = 7373


def eventually(holds: Callable[[], bool], *, seconds: float, what: str) -> float:
    """Poll until it holds; the seconds that took.  Fails after the limit."""
    start = time.monotonic()
    while not holds():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.05)
    return time.monotonic() - start


class Peer(ABC):
    """One member: a name, an address, and a process that may be killed and started again."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name = name
        self.address = address
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    @abstractmethod
    def start(self, join: str | None = None) -> None:
        """Start it; it joins the member at that address."""

    @abstractmethod
    def view(self) -> dict[str, str]:
        """What it believes of each member: alive, failed or left."""

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def alive(self) -> set[str]:
        return {name for name, state in self.view().items() if state == "alive"}

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Ask it to leave, and wait for its end."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(15)

    def _spawn(self, command: list[str], **options: Any) -> subprocess.Popen[str]:
        self._process = subprocess.Popen(command, text=True, cwd=self._folder, **options)
        return self._process


class Ours(Peer):
    """`python -m memberlist`; its view is what its lines said."""

    def __init__(self, name: str, address: str, folder: Path, *options: str) -> None:
        super().__init__(name, address, folder)
        self._options = options
        self._view: dict[str, str] = {}
        self.events: list[dict[str, Any]] = []

    def start(self, join: str | None = None) -> None:
        command = [sys.executable, "-m", "memberlist", "--name", self.name, "--bind", f"{self.address}:{PORT}"]
        command += self._options
        if join is not None:
            command += ["--join", f"{join}:{PORT}"]
        self._view = {}
        process = self._spawn(command, stdout=subprocess.PIPE)
        threading.Thread(target=self._read, args=(process, self._view), daemon=True).start()

    def view(self) -> dict[str, str]:
        return dict(self._view)

    def _read(self, process: subprocess.Popen[str], view: dict[str, str]) -> None:
        states = {"join": "alive", "update": "alive", "suspect": "alive", "failed": "failed", "left": "left"}
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            self.events.append(said)
            if said["event"] in states:
                view[said["node"]] = states[said["event"]]


class Serf(Peer):
    """`serf agent`; its view is what `serf members` says."""

    def __init__(self, name: str, address: str, folder: Path, *options: str) -> None:
        super().__init__(name, address, folder)
        self._options = options

    def start(self, join: str | None = None) -> None:
        command = ["serf", "agent", f"-node={self.name}", f"-bind={self.address}:{PORT}", *self._options]
        command.append(f"-rpc-addr={self.address}:{RPC_PORT}")
        if join is not None:
            command += [f"-retry-join={join}:{PORT}", "-retry-interval=1s"]
        with (self._folder / f"{self.name}.log").open("a") as log:
            self._spawn(command, stdout=log, stderr=subprocess.STDOUT)

    def view(self) -> dict[str, str]:
        done = subprocess.run(
            ["serf", "members", "-format=json", f"-rpc-addr={self.address}:{RPC_PORT}"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            return {}
        return {member["name"]: member["status"] for member in json.loads(done.stdout)["members"]}

    def leave(self) -> None:
        subprocess.run(["serf", "leave", f"-rpc-addr={self.address}:{RPC_PORT}"], capture_output=True, check=True)
        assert self._process is not None
        self._process.wait(15)

    def log(self) -> str:
        return (self._folder / f"{self.name}.log").read_text()


class Alertmanager(Peer):
    """`prometheus-alertmanager`; it tells only how many members it counts, and gives them names of its own."""

    def start(self, join: str | None = None) -> None:
        config = self._folder / "alertmanager.yml"
        config.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        command = [
            "prometheus-alertmanager",
            f"--config.file={config}",
            f"--storage.path={self._folder / self.name}",
            f"--web.listen-address={self.address}:9093",
            f"--cluster.listen-address={self.address}:{PORT}",
            "--cluster.pushpull-interval=2s",
        ]
        if join is not None:
            command.append(f"--cluster.peer={join}:{PORT}")
        with (self._folder / f"{self.name}.log").open("a") as log:
            self._spawn(command, stdout=log, stderr=subprocess.STDOUT)

    def view(self) -> dict[str, str]:
        return {member["name"]: "alive" for member in self.status().get("peers", [])}

    def status(self) -> dict[str, Any]:
        body = self._get("/api/v2/status")
        status: dict[str, Any] = json.loads(body)["cluster"] if body else {}
        return status

    def metric(self, name: str) -> float | None:
        """The value of a metric without labels."""
        for line in self._get("/metrics").splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        return None

    def silence(self, comment: str) -> None:
        """A silence, which Alertmanagers tell each other."""
        window = {"startsAt": "2020-01-01T00:00:00Z", "endsAt": "2099-01-01T00:00:00Z"}
        matcher = {"name": "alertname", "value": "x", "isRegex": False, "isEqual": True}
        silence = {"matchers": [matcher], "createdBy": "test", "comment": comment, **window}
        request = urllib.request.Request(
            f"http://{self.address}:9093/api/v2/silences",
            data=json.dumps(silence).encode(),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=5).close()

    def silences(self) -> set[str]:
        body = self._get("/api/v2/silences")
        return {silence["comment"] for silence in json.loads(body)} if body else set()

    def _get(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://{self.address}:9093{path}", timeout=5) as answer:
                text: str = answer.read().decode()
                return text
        except (urllib.error.URLError, OSError):
            return ""


class Addresses:
    """Loopback addresses of a subnet of their own, so that no other cluster is met."""

    def __init__(self, rng: random.Random) -> None:
        self._net = f"127.{rng.randrange(16, 250)}.{rng.randrange(1, 250)}"
        self._last = 0

    def next(self) -> str:
        self._last += 1
        return f"{self._net}.{self._last}"


@contextmanager
def stage() -> Iterator[Callable[[Peer], Peer]]:
    """Whoever enters is killed at the end."""
    with ExitStack() as stack:

        def enter(peer: Peer) -> Peer:
            stack.callback(peer.kill)
            return peer

        yield enter
