"""A container's environment as its manifest says it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from lab.kubelet.environment import MissingReference, expand, references, resolve_environment

POD: dict[str, Any] = {
    "metadata": {"name": "p-1", "namespace": "purelb", "uid": "u", "labels": {"app": "purelb"}},
    "spec": {"nodeName": "node-1", "serviceAccountName": "lbnodeagent"},
    "status": {"hostIP": "10.31.188.1", "podIP": "10.0.0.4", "podIPs": [{"ip": "10.0.0.4"}, {"ip": "fd00::4"}]},
}
OBJECTS = {("secrets", "key"): {"token": "s3"}, ("configmaps", "conf"): {"level": "debug", "name": "x"}}


def _lookup(kind: str, name: str) -> Mapping[str, str] | None:
    return OBJECTS.get((kind, name))


def _resolve(*env: dict[str, Any], **more: Any) -> dict[str, str]:
    return resolve_environment({"name": "c", "env": list(env), **more}, POD, _lookup)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p-1"),
        ("metadata.namespace", "purelb"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "purelb"),
        ("metadata.annotations['absent']", ""),
        ("spec.nodeName", "node-1"),
        ("spec.serviceAccountName", "lbnodeagent"),
        ("status.hostIP", "10.31.188.1"),
        ("status.podIP", "10.0.0.4"),
        ("status.podIPs", "10.0.0.4,fd00::4"),
    ],
)
def test_a_field_of_the_pod_becomes_a_variable(path: str, value: str) -> None:
    assert _resolve({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": path}}}) == {"X": value}


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(MissingReference, match=r"status\.qosClass"):
        _resolve({"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "status.qosClass"}}})


def test_secrets_and_configmaps_give_values() -> None:
    secret = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "key", "key": "token"}}}
    config = {"name": "L", "valueFrom": {"configMapKeyRef": {"name": "conf", "key": "level"}}}

    assert _resolve(secret, config) == {"T": "s3", "L": "debug"}


@pytest.mark.parametrize(("name", "key"), [("absent", "token"), ("key", "absent")])
def test_a_missing_secret_stops_the_container_unless_it_is_optional(name: str, key: str) -> None:
    def entry(optional: bool) -> dict[str, Any]:
        return {"name": "T", "valueFrom": {"secretKeyRef": {"name": name, "key": key, "optional": optional}}}

    with pytest.raises(MissingReference, match="absent"):
        _resolve(entry(False))
    assert _resolve(entry(True)) == {}


def test_a_whole_configmap_becomes_variables_that_single_ones_override() -> None:
    source = [{"prefix": "C_", "configMapRef": {"name": "conf"}}, {"secretRef": {"name": "absent", "optional": True}}]

    result = _resolve({"name": "C_name", "value": "y"}, envFrom=source)

    assert result == {"C_level": "debug", "C_name": "y"}


def test_later_variables_may_refer_to_earlier_ones() -> None:
    result = _resolve({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2 $$(A) $(NONE)"})

    assert result["B"] == "12 $(A) $(NONE)"
    assert expand("--host=$(A)", result) == "--host=1"


def test_everything_that_a_container_refers_to_is_found_beforehand() -> None:
    container = {
        "envFrom": [{"secretRef": {"name": "a"}}, {"configMapRef": {"name": "b"}}],
        "env": [
            {"name": "PLAIN", "value": "1"},
            {"name": "FIELD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}},
            {"name": "LEVEL", "valueFrom": {"configMapKeyRef": {"name": "d", "key": "k"}}},
        ],
    }
    volumes = [
        {"name": "v", "secret": {"secretName": "e"}},
        {"name": "w", "configMap": {"name": "f"}},
        {"name": "x", "emptyDir": {}},
    ]

    assert references(container, volumes) == {
        *{("secrets", name) for name in "ace"},
        *{("configmaps", name) for name in "bdf"},
    }
