"""Another authority and another key for tokens, while the server runs."""

from __future__ import annotations

import base64
import ssl

import pytest

from kubedouble.testing.clusters import Api, Embedded

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def test_after_a_rotation_old_authorities_and_tokens_are_good_no_more() -> None:
    rotated = Embedded()
    try:
        rotated.api.post(ACCOUNTS, {"metadata": {"name": "pod"}}).ok()
        token = rotated.server.service_account_token("default", "pod")
        assert rotated.api.as_user(token).get("/version").status == 200

        authority = rotated.server.faults.rotate()

        with pytest.raises(ssl.SSLCertVerificationError):
            rotated.api.as_user(token).get("/version")
        trusting = ssl.create_default_context(cadata=authority)
        assert Api(rotated.server.url, token, trusting).get("/version").status == 401
        renewed = rotated.server.service_account_token("default", "pod")
        assert Api(rotated.server.url, renewed, trusting).get("/version").status == 200
        assert Api(rotated.server.url, rotated.api.token, trusting).get(ACCOUNTS).status == 200
        config = rotated.kubeconfig()["clusters"][0]["cluster"]
        assert base64.b64decode(config["certificate-authority-data"]).decode() == authority
    finally:
        rotated.stop()
