"""A real Prometheus in a lab, on its client: it scrapes PureLB's pods and has its alerts, patient for a second only."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from lab.command.hosts import Hosts
from manifests.build import MONITORING
from tests.system.conftest import eventually

HOST: Final = "client"
PORT: Final = 9090
RANGE: Final = "60s"
"""Over which rates and increases are taken here."""


def hasty(rules: str) -> str:
    """The alerts as they are, but for how long they wait and look back."""
    body = yaml.safe_load(rules)
    for rule in (rule for group in body["groups"] for rule in group["rules"]):
        rule["expr"] = re.sub(r"\[\w+\]", f"[{RANGE}]", rule["expr"])
        if "for" in rule:
            rule["for"] = "1s"
    return json.dumps(body)


class Prometheus:
    """Started by ``with``; its pods are those that there are then."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self._hosts = hosts
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._folder.mkdir(exist_ok=True)
        (self._folder / "rules.json").write_text(hasty((MONITORING / "rules.yaml").read_text()))
        (self._folder / "prometheus.json").write_text(json.dumps(self._configuration()))
        program = ["prometheus", f"--config.file={self._folder / 'prometheus.json'}"]
        where = [f"--web.listen-address=127.0.0.1:{PORT}", f"--storage.tsdb.path={self._folder / 'data'}"]
        with (self._folder / "log").open("w") as log:
            self._process = self._hosts.start(HOST, [*program, *where], output=log, errors=log)
        # Until it is ready it says so by a page that is no JSON.
        ready = ["curl", "--silent", "--fail", "--max-time", "5", f"http://127.0.0.1:{PORT}/-/ready"]
        if not eventually(lambda: self._hosts.run(HOST, ready).returncode == 0, seconds=30):
            self._end()
            raise AssertionError(f"Prometheus isn't ready: {(self._folder / 'log').read_text()[-2000:]}")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()

    def _end(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def _configuration(self) -> dict[str, Any]:
        targets = []
        for pod in self._hosts.get("pods", "-n", "purelb", "-l", "app=purelb")["items"]:
            labels = {
                "node": pod["spec"]["nodeName"],
                "component": pod["metadata"]["labels"]["component"],
                "pod": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
            }
            targets.append({"targets": [f"{pod['status']['podIP']}:7472"], "labels": labels})
        return {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": ["rules.json"],
            "scrape_configs": [{"job_name": "purelb", "static_configs": targets}],
        }

    def asked(self, path: str, **parameters: str) -> Any:
        """What its API answers; None while it doesn't answer. Raises AssertionError for an error."""
        form = [part for name, value in parameters.items() for part in ("--data-urlencode", f"{name}={value}")]
        url = f"http://127.0.0.1:{PORT}/api/v1/{path}"
        done = self._hosts.run(HOST, ["curl", "--silent", "--max-time", "5", "--get", *form, url])
        if done.returncode != 0:
            return None
        answer = json.loads(done.stdout)
        assert answer["status"] == "success", f"{parameters}: {answer}"
        return answer["data"]

    def query(self, question: str) -> list[dict[str, Any]]:
        """The series of an instant query."""
        data = self.asked("query", query=question.replace("$__rate_interval", RANGE))
        found: list[dict[str, Any]] = data["result"] if data is not None else []
        return found

    def firing(self) -> set[str]:
        """The names of the alerts that fire."""
        return {one["metric"]["alertname"] for one in self.query('ALERTS{alertstate="firing"}')}

    def loaded(self) -> set[str]:
        """The names of the alerts that it has and whose questions it can answer."""
        groups = (self.asked("rules") or {"groups": []})["groups"]
        rules = [rule for group in groups for rule in group["rules"]]
        return {rule["name"] for rule in rules if rule["health"] == "ok"}
