"""Where the API server is and who we are there: the pod's service account, or a kubeconfig.

A pod needs an address, a CA and a token, which are read here. A kubeconfig may need far more (exec plugins, OIDC): the
official client reads it, and is imported only then, because it takes 20 MB of memory that an agent needn't have.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from purelb.errors import SettingsError

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TOKEN_AGE: Final = 60.0
"""Seconds for which a token that was read is used: kubelet renews the file long before it expires."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client needs to speak to the API server."""

    server: str
    token: str | None = None
    ca_path: str | None = None
    certificate_path: str | None = None
    private_key_path: str | None = None
    insecure: bool = False
    tls_server_name: str | None = None
    """The name that the server's certificate must have, where it isn't the address's own."""
    proxy: str | None = None

    def tls(self) -> ssl.SSLContext:
        """Raises SettingsError for files that are none."""
        try:
            context = ssl.create_default_context(cafile=self.ca_path)
            if self.certificate_path is not None:
                context.load_cert_chain(self.certificate_path, self.private_key_path)
        except (OSError, ValueError) as error:
            raise SettingsError(f"no way to the Kubernetes API: a certificate can't be read: {error}") from error
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


class Login(Protocol):
    """Gives the credentials of the moment."""

    async def credentials(self) -> Credentials:
        """Raises OSError when they can't be had now."""
        ...


class ServiceAccount:
    """The account that Kubernetes gives every pod. Raises SettingsError when this process isn't in one."""

    def __init__(self, environ: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> None:
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise SettingsError("no way to the Kubernetes API: this is no pod of a cluster, and KUBECONFIG is not set")
        self._server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._ca, self._token_file = folder / "ca.crt", folder / "token"
        self._token, self._read_at = "", -TOKEN_AGE
        for path in (self._ca, self._token_file):
            if not path.is_file() or path.stat().st_size == 0:
                raise SettingsError(f"no way to the Kubernetes API: {path} is missing or empty")

    async def credentials(self) -> Credentials:
        now = time.monotonic()
        if now - self._read_at >= TOKEN_AGE:
            # A few bytes of a file in memory: no reason for a thread.
            self._token, self._read_at = self._token_file.read_text().strip() or self._token, now
        return Credentials(self._server, self._token, str(self._ca))


class Kubeconfig:
    """What ``login_by_kubeconfig`` found."""

    def __init__(self, configuration: Any) -> None:
        self._configuration = configuration

    async def credentials(self) -> Credentials:
        found = self._configuration
        bearer = (await found.auth_settings()).get("BearerToken")
        return Credentials(
            server=found.host,
            token=bearer["value"].split(" ", 1)[-1] if bearer else None,
            ca_path=found.ssl_ca_cert,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            insecure=not found.verify_ssl,
            tls_server_name=found.tls_server_name,
            proxy=found.proxy,
        )


async def login_by_kubeconfig(path: Path) -> Kubeconfig:
    """Read a kubeconfig's current context. Raises SettingsError."""
    try:
        from kubernetes.aio import client, config  # see above
    except ImportError as error:
        raise SettingsError(f'a kubeconfig needs "pip install purelb[kubeconfig]": {error}') from error

    configuration = client.Configuration()
    try:
        await config.load_kube_config(config_file=str(path), client_configuration=configuration, persist_config=False)
    except (config.ConfigException, OSError) as error:
        raise SettingsError(f"no way to the Kubernetes API: {error}") from error
    return Kubeconfig(configuration)
