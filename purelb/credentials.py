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
from typing import Final, Protocol

from yarl import URL

from purelb.errors import SettingsError, UnavailableError

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
        """Raises UnavailableError when they can't be had now."""
        ...

    async def renew(self) -> None:
        """Read them anew, as the server doesn't take them. What can't be read leaves those that were known.

        Raises UnavailableError.
        """
        ...


class ServiceAccount:
    """The account that Kubernetes gives every pod. Raises SettingsError when this process isn't in one.

    kubelet replaces the files while we read them: one that is missing or empty for a moment leaves the last token.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ, folder: Path = SERVICE_ACCOUNT) -> None:
        host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
        if not host or not port:
            raise SettingsError("no way to the Kubernetes API: this is no pod of a cluster, and KUBECONFIG is not set")
        self._server = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._ca, self._token_file = folder / "ca.crt", folder / "token"
        self._token, self._read_at = "", -TOKEN_AGE
        for path in (self._ca, self._token_file):
            if not _has_content(path):
                raise SettingsError(f"no way to the Kubernetes API: {path} is missing or empty")

    async def credentials(self) -> Credentials:
        if time.monotonic() - self._read_at >= TOKEN_AGE:
            self._read()
        return Credentials(self._server, self._token, str(self._ca))

    async def renew(self) -> None:
        self._read()

    def _read(self) -> None:
        # A few bytes of a file in memory: no reason for a thread.
        try:
            token, why = self._token_file.read_text(errors="replace").strip(), "it holds no token"
        except OSError as error:
            token, why = "", str(error)
        if _is_token(token):
            self._token, self._read_at = token, time.monotonic()
        elif not self._token:
            raise UnavailableError(f"the token of our service account, {self._token_file}, can't be read: {why}")


class Kubeconfig:
    """A context of a kubeconfig, its current one unless another is named; ``renew`` reads it and asks its plugins."""

    def __init__(self, path: Path, context: str | None = None) -> None:
        self._path = path
        self._context = context
        self._found: Credentials | None = None

    async def credentials(self) -> Credentials:
        if self._found is None:
            await self.renew()
        assert self._found is not None, "renew() raises unless it finds some"
        return self._found

    async def renew(self) -> None:
        try:
            from kubernetes.aio import client, config  # see above
        except ImportError as error:
            raise SettingsError(f'a kubeconfig needs "pip install purelb[kubeconfig]": {error}') from error

        found = client.Configuration()
        try:
            loader = await config.load_kube_config(
                config_file=str(self._path), context=self._context, client_configuration=found, persist_config=False
            )
            bearer = (await found.auth_settings()).get("BearerToken")
            URL(found.host)
        except Exception as error:  # the reader is not ours, and says nowhere what it raises for a file that is no YAML
            raise UnavailableError(f"no way to the Kubernetes API: {self._path}: {error}") from error
        # The reader logs a plugin that fails and goes on as nobody.
        if not bearer and not found.cert_file and "exec" in (loader._user or ()):
            raise UnavailableError(f"no way to the Kubernetes API: the plugin that {self._path} names gave nothing")
        token = bearer["value"].split(" ", 1)[-1].strip() if bearer else None
        if token is not None and not _is_token(token):
            raise UnavailableError(f"no way to the Kubernetes API: the token of {self._path} is none")
        self._found = Credentials(
            server=found.host,
            token=token,
            ca_path=found.ssl_ca_cert,
            certificate_path=found.cert_file,
            private_key_path=found.key_file,
            insecure=not found.verify_ssl,
            tls_server_name=found.tls_server_name,
            proxy=found.proxy,
        )


async def login(kubeconfig: Path | Kubeconfig | None) -> Login:
    """Who we are by a kubeconfig, or else by the pod's service account. Raises SettingsError if neither tells."""
    found: Login
    match kubeconfig:
        case None:
            found = ServiceAccount()
        case Kubeconfig():
            found = kubeconfig
        case _:
            found = Kubeconfig(kubeconfig)
    try:
        await found.credentials()
    except UnavailableError as error:
        raise SettingsError(str(error)) from error
    return found


def kubeconfig_from(environ: Mapping[str, str]) -> Path | None:
    """The file that KUBECONFIG names; None in a pod."""
    text = environ.get("KUBECONFIG", "")
    return Path(text.split(os.pathsep)[0]) if text else None


def own_namespace(environ: Mapping[str, str], default: str = "purelb") -> str:
    """The namespace that we run in: PURELB_NAMESPACE, else the service account's, else ``default``."""
    if environ.get("PURELB_NAMESPACE"):
        return environ["PURELB_NAMESPACE"]
    try:
        return (SERVICE_ACCOUNT / "namespace").read_text().strip() or default
    except OSError:
        return default


def _is_token(text: str) -> bool:
    """Whether a text can stand in a header."""
    return bool(text) and text.isascii() and text.isprintable() and " " not in text


def _has_content(path: Path) -> bool:
    try:
        return path.is_file() and path.stat().st_size > 0
    except OSError:
        return False
