"""Who we are to the API server, and what knowing that costs."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from purelb import credentials
from purelb.credentials import Kubeconfig, ServiceAccount
from purelb.errors import SettingsError, UnavailableError

IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """A service account's files."""
    (tmp_path / "token").write_text("first\n")
    (tmp_path / "ca.crt").write_text("a certificate")
    return tmp_path


def test_a_pod_is_known_by_its_service_account(account: Path) -> None:
    found = asyncio.run(ServiceAccount(IN_POD, account).credentials())

    assert (found.server, found.token, found.ca_path) == ("https://10.96.0.1:443", "first", str(account / "ca.crt"))


def test_an_ipv6_cluster_has_its_address_in_brackets(account: Path) -> None:
    login = ServiceAccount({**IN_POD, "KUBERNETES_SERVICE_HOST": "fd00::1"}, account)

    assert asyncio.run(login.credentials()).server == "https://[fd00::1]:443"


def test_a_rotated_token_is_read_again(account: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    login = ServiceAccount(IN_POD, account)
    assert asyncio.run(login.credentials()).token == "first"

    (account / "token").write_text("second")
    assert asyncio.run(login.credentials()).token == "first"
    monkeypatch.setattr(credentials, "TOKEN_AGE", 0.0)
    assert asyncio.run(login.credentials()).token == "second"


def test_outside_of_a_cluster_that_is_said(account: Path) -> None:
    with pytest.raises(SettingsError, match="no pod of a cluster, and KUBECONFIG is not set"):
        ServiceAccount({}, account)
    (account / "token").write_text("")
    with pytest.raises(SettingsError, match="token is missing or empty"):
        ServiceAccount(IN_POD, account)


def test_another_context_of_a_kubeconfig_than_its_current_one_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    clusters = [{"name": name, "cluster": {"server": f"https://{name}.example:6443"}} for name in ("one", "two")]
    contexts = [{"name": name, "context": {"cluster": name, "user": "me"}} for name in ("one", "two")]
    users = [{"name": "me", "user": {"token": "t"}}]
    path.write_text(json.dumps({"current-context": "one", "clusters": clusters, "contexts": contexts, "users": users}))

    assert asyncio.run(Kubeconfig(path).credentials()).server == "https://one.example:6443"
    assert asyncio.run(Kubeconfig(path, "two").credentials()).server == "https://two.example:6443"
    with pytest.raises(UnavailableError, match="three"):
        asyncio.run(Kubeconfig(path, "three").credentials())


@pytest.mark.parametrize("program", ["lbnodeagent", "allocator"])
def test_a_program_in_a_pod_does_without_the_memory_of_the_official_client(program: str) -> None:
    code = f"import sys, {program}.__main__; print([m for m in ('kubernetes', 'requests') if m in sys.modules])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
