"""A rotation is real: the wire shows another certificate, and old tokens are refused. No program of ours runs here."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from kubedouble.envtest import VARIABLE
from lab.wire.topology import API_PORT
from tests.system.conftest import LabUnderTest, eventually, running_lab

pytestmark = pytest.mark.timeout(120)

API = f"https://10.31.254.10:{API_PORT}/api"


@pytest.fixture(scope="module", params=["embedded", *(["envtest"] if os.environ.get(VARIABLE) else [])])
def lab(request: pytest.FixtureRequest) -> Iterator[LabUnderTest]:
    with running_lab("--bare", "--nodes", "2", "--control-plane", request.param) as lab:
        yield lab


def test_pods_get_another_authority_and_token_and_the_old_ones_are_no_good(lab: LabUnderTest) -> None:
    lab.kubectl("create", "deployment", "web", "--image=echo")
    assert eventually(lambda: lab.hosts.get("deployment", "web")["status"].get("readyReplicas") == 1, seconds=30)
    (pod,) = lab.hosts.get("pods")["items"]
    folder = lab.folder / "pods" / pod["metadata"]["uid"] / "serviceaccount"

    def asked(authority: str, token: str) -> tuple[int, str]:
        """curl's exit code, and the answer's code."""
        (lab.folder / "trusted.crt").write_text(authority)
        options = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", str(lab.folder / "trusted.crt")]
        done = lab.hosts.run("worker-188-11", ["curl", *options, "-H", f"Authorization: Bearer {token}", API])
        return done.returncode, done.stdout

    authority, token = (folder / "ca.crt").read_text(), (folder / "token").read_text()
    assert asked(authority, token) == (0, "200")

    lab.must("fault", "api", "rotate")

    assert asked(authority, token)[0] == 60, "the certificate isn't this authority's"
    lab.kubectl("get", "nodes")
    assert eventually(lambda: (folder / "ca.crt").read_text() != authority and (folder / "token").read_text() != token)
    assert asked((folder / "ca.crt").read_text(), token) == (0, "401")
    assert asked((folder / "ca.crt").read_text(), (folder / "token").read_text()) == (0, "200")

    def told() -> str:
        return str(lab.hosts.get("configmap", "kube-root-ca.crt")["data"]["ca.crt"])

    assert eventually(lambda: told() == (folder / "ca.crt").read_text())
    lab.kubectl("create", "namespace", "later")
    trust = ("configmap", "kube-root-ca.crt", "-n", "later", "--ignore-not-found")
    assert eventually(lambda: lab.hosts.kubectl("get", *trust).stdout)
    assert lab.hosts.get("configmap", "kube-root-ca.crt", "-n", "later")["data"]["ca.crt"] == told()
    lab.kubectl("scale", "deployment", "web", "--replicas=2")
    assert eventually(lambda: lab.hosts.get("deployment", "web")["status"].get("readyReplicas") == 2, seconds=30)
