"""Which images the lab has programs for."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from lab.kubelet.labimages import is_lab_image, lab_command
from lab.kubelet.pods import runs


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("echo", True),
        ("registry.example/team/echo:1", True),
        ("nginx:latest", True),
        ("tinychen777/nginx-quic:latest", True),
        ("python:3.12", True),
        ("registry.example/nginx/redis", False),
        ("pythonista", False),
    ],
)
def test_web_servers_and_python_are_known(image: str, known: bool) -> None:
    assert is_lab_image(image) is known
    assert runs({"image": image}) is known


def test_a_web_server_listens_on_the_ports_of_its_manifest() -> None:
    def words(**container: Any) -> list[str]:
        command = lab_command({"image": "echo", **container}, "node-1")
        assert command is not None
        return command[-(len(command) - 4) :]

    assert words() == ["node-1", "80"]
    ports = [
        {"containerPort": 8080},
        {"containerPort": 8443, "protocol": "TCP"},
        {"containerPort": 53, "protocol": "UDP"},
    ]
    assert words(ports=ports) == ["node-1", "8080", "8443"]


def test_python_gets_its_arguments_and_a_manifests_command_counts() -> None:
    assert lab_command({"image": "python:3", "args": ["-m", "http.server"]}, "n") == [
        sys.executable,
        "-m",
        "http.server",
    ]
    assert lab_command({"image": "nginx", "command": ["sleep", "9"]}, "n") is None
    assert lab_command({"image": "redis"}, "n") is None
