"""A program trusts whom its credentials name, and doesn't carry everybody else's roots about."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kubedouble.tls import make_tls

COUNT = """
import gc, os, ssl
import {program}.__main__
print(sum(one.cert_store_stats()["x509"] for one in gc.get_objects() if isinstance(one, ssl.SSLContext)))
print(os.environ.get("SSL_CERT_FILE"))
print(ssl.create_default_context().cert_store_stats()["x509"])
"""


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """What a machine trusts."""
    file = tmp_path / "roots.pem"
    file.write_bytes(make_tls(["10.0.0.1"]).ca)
    return file


@pytest.mark.parametrize("program", ["lbnodeagent", "allocator"])
def test_no_root_certificate_of_the_machine_is_in_memory(program: str, roots: Path) -> None:
    held, setting, trusted_later = (
        subprocess.run(
            [sys.executable, "-c", COUNT.format(program=program)],
            env={**os.environ, "SSL_CERT_FILE": str(roots)},
            capture_output=True,
            text=True,
            check=True,
        )
        .stdout.strip()
        .split("\n")
    )

    assert held == "0"
    assert (setting, trusted_later) == (str(roots), "1")


@pytest.mark.parametrize("first", ["kube", "kopfrunner", "page"])
def test_that_is_so_whatever_is_imported_first(first: str, roots: Path) -> None:
    code = f"import purelb.{first}\n" + COUNT.format(program="allocator")
    environment = {**os.environ, "SSL_CERT_FILE": str(roots)}

    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.split()[0] == "0"
