"""`python -m kubedouble` as the lab starts it: HTTPS, an inherited socket, a kubeconfig, a journal."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kubedouble.testing.clusters import Api
from objects import config_map

MAPS = "/api/v1/namespaces/default/configmaps"


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Api, dict[str, Any]]]:
    """The process, on a socket that this test bound; ended by SIGTERM."""
    config = folder / "kubeconfig"
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.fileno()
        command = [
            sys.executable, "-m", "kubedouble", "--listen-fd", str(number), "--tls-dir", str(folder / "tls"),
            "--san", "lab.example.org", "--kubeconfig", str(config), "--journal", str(folder / "journal"),
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=(number,))
        assert process.stdout is not None
        try:
            assert process.stdout.readline().startswith("serving https://127.0.0.1:")
            written: dict[str, Any] = json.loads(config.read_text())
            context = ssl.create_default_context(cafile=str(folder / "tls" / "ca.crt"))
            url, token = written["clusters"][0]["cluster"]["server"], written["users"][0]["user"]["token"]
            yield Api(url, token, context), written
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) == 0
            process.stdout.close()


def test_it_serves_an_inherited_socket_and_goes_on_after_a_restart(tmp_path: Path) -> None:
    with serving(tmp_path) as (api, config):
        assert "certificate-authority-data" in config["clusters"][0]["cluster"]
        assert (tmp_path / "kubeconfig").stat().st_mode & 0o077 == 0
        made = api.post(MAPS, config_map("kept", x="1")).ok()
        account = "/api/v1/namespaces/default/serviceaccounts/default/token"
        token = api.post(account, {"spec": {}}).ok()["status"]["token"]

    with serving(tmp_path) as (api, _):
        assert api.get(f"{MAPS}/kept").ok() == made
        assert api.as_user(token).get(MAPS).status == 403
        assert api.get("/readyz").body == "ok"
