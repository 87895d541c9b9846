"""The rights that the manifests give, cell by cell, and the same rights without one of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from purelb.kube import core_path, group_path
from tests.allocator.stage import Stage

BASE: Final = Path(__file__).parents[2] / "manifests" / "base"
NAMESPACE: Final = "purelb"
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Cell:
    """One verb on one resource, as one rule grants it."""

    role: str
    """Kind and name."""
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        return f"{self.role.partition('/')[0]}: {self.verb} {self.resource}"

    @property
    def request(self) -> str:
        """What it lets through."""
        return f"{self.group}/{self.resource} {self.verb}"


def documents(program: str) -> list[Json]:
    """ServiceAccount, roles and bindings of a program."""
    return list(yaml.safe_load_all((BASE / f"{program}-rbac.yaml").read_text()))


def cells(program: str) -> Iterator[Cell]:
    """Everything that a program may do."""
    for body in documents(program):
        for cell, _ in _split(body):
            yield cell


def _split(body: Json) -> Iterator[tuple[Cell, Json]]:
    """Cells of a role, each with a rule that grants just that."""
    role = f"{body['kind']}/{body['metadata']['name']}"
    for rule in body.get("rules") or ():
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    one = {**rule, "apiGroups": [group], "resources": [resource], "verbs": [verb]}
                    yield Cell(role, group, resource, verb), one


def as_account(program: str, account: str, without: Cell | None = None) -> Iterator[Json]:
    """The documents for a ServiceAccount called `account`, without one cell."""
    for body in documents(program):
        metadata = {**body["metadata"], "name": body["metadata"]["name"].replace(program, account)}
        changed = {**body, "metadata": metadata}
        if "rules" in body:
            changed["rules"] = [rule for cell, rule in _split(body) if cell != without]
        if "roleRef" in body:
            changed["roleRef"] = {**body["roleRef"], "name": body["roleRef"]["name"].replace(program, account)}
            changed["subjects"] = [{**subject, "name": account} for subject in body["subjects"]]
        yield changed


async def install(stage: Stage, program: str, account: str, without: Cell | None = None) -> Path:
    """Make the account and its rights; the path of a kubeconfig that uses it."""
    for body in as_account(program, account, without):
        plural, namespace = body["kind"].lower() + "s", body["metadata"].get("namespace")
        version = body["apiVersion"]
        path = core_path(plural, namespace) if version == "v1" else group_path(version, plural, namespace)
        await stage.kube.create(path, body)
    kubeconfig = stage.api.kubeconfig()
    kubeconfig["users"][0]["user"] = {"token": stage.api.service_account_token(NAMESPACE, account)}
    written = stage.kubeconfig.with_name(f"kubeconfig-{account}")
    written.write_text(json.dumps(kubeconfig))
    return written
