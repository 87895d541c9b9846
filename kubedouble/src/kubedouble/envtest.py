"""A real control plane from `KUBEBUILDER_ASSETS`: `etcd` and `kube-apiserver` as child processes, RBAC on.

Owns their life and what can befall it, ports, keys and tokens in one folder. For `--control-plane envtest` and for the
tests that run on both kinds of server. There is no controller manager: what controllers do does not happen.
"""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import signal
import socket
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from .tls import Tls, make_tls

VARIABLE: Final = "KUBEBUILDER_ASSETS"
SERVICE_RANGES: Final = "10.188.0.0/18,fd00:10:188::/112"
_READY_WITHIN: Final = 60.0
"""Seconds: kube-apiserver takes about 5 on two cores."""
_STOP_WITHIN: Final = 10.0


class NotStarted(Exception):
    """A program of the control plane is missing, ended, or was not ready in time."""


def assets() -> Path | None:
    """The folder named by `KUBEBUILDER_ASSETS`, when both programs are in it. Raises NotStarted."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    path = Path(folder)
    missing = [name for name in ("etcd", "kube-apiserver") if not os.access(path / name, os.X_OK)]
    if missing:
        raise NotStarted(f"{VARIABLE}={folder} has no {' and no '.join(missing)}")
    return path


def free_port(host: str = "127.0.0.1") -> int:
    with socket.create_server((host, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@dataclass(slots=True)
class _Child:
    name: str
    process: asyncio.subprocess.Process
    log: Path


class ControlPlane:
    """One etcd and one kube-apiserver. `url` and `kubeconfig()` are there after `start()`.

    `kubelets` is what kube-apiserver proves itself with to kubelets, and the CA that it knows them by.
    """

    def __init__(
        self,
        folder: Path,
        programs: Path,
        *,
        hosts: Iterable[str] = ("127.0.0.1",),
        port: int = 0,
        kubelets: Tls | None = None,
    ) -> None:
        self._folder, self._programs = folder, programs
        self._kubelets = kubelets
        self._hosts = tuple(hosts)
        self._port = port
        self._children: dict[str, _Child] = {}
        """By name, in the order in which they were started."""
        self._etcd = 0, 0
        """Its ports, for clients and for peers."""
        self.admin_token = secrets.token_urlsafe(24)
        self.url = ""
        self._tls: Tls | None = None

    async def start(self) -> None:
        """Raises NotStarted when a program ends or is not ready in time."""
        self._port = self._port or free_port()
        self.url = f"https://{self._hosts[0]}:{self._port}"
        await asyncio.to_thread(self._write_files)
        self._etcd = free_port(), free_port()
        try:
            await self._start_etcd()
            await self._start_apiserver()
        except BaseException:
            await self.stop()
            raise

    async def restart(self, away: float = 0.0) -> None:
        """kube-apiserver dies, and comes again after so many seconds. Raises NotStarted."""
        await self._end("kube-apiserver", signal.SIGKILL)
        await asyncio.sleep(away)
        await self._start_apiserver()

    async def remember(self) -> None:
        """Keep a copy of etcd's data, as a backup does; an earlier one goes."""
        etcd = self._children["etcd"].process
        etcd.send_signal(signal.SIGSTOP)  # so that no write is half in the copy
        try:
            await asyncio.to_thread(_copy, self._folder / "etcd", self._folder / "backup")
        finally:
            etcd.send_signal(signal.SIGCONT)

    async def go_back(self) -> None:
        """Restore the copy: objects and resourceVersions are as they were. NotStarted; ValueError without one."""
        if not (self._folder / "backup").exists():
            raise ValueError("there is no snapshot to go back to")
        await self._end("kube-apiserver", signal.SIGKILL)
        await self._end("etcd", signal.SIGKILL)
        await asyncio.to_thread(_copy, self._folder / "backup", self._folder / "etcd")
        await self._start_etcd()
        await self._start_apiserver()

    async def rotate(self) -> None:
        """Another authority, certificate and key for tokens: restarted with them. Raises NotStarted."""
        await self._end("kube-apiserver", signal.SIGKILL)
        await asyncio.to_thread(self._write_files)
        await self._start_apiserver()

    @property
    def tls_folder(self) -> Path:
        """Where ca.crt, apiserver.crt and apiserver.key are."""
        return self._folder

    @property
    def authority(self) -> str:
        """The certificate of the authority, PEM."""
        assert self._tls is not None, "start() comes first"
        return self._tls.ca.decode()

    async def _start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{port}" for port in self._etcd)
        await self._spawn(
            "etcd",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            "--unsafe-no-fsync",  # nothing here outlives the machine
        )

    async def _start_apiserver(self) -> None:
        await self._spawn(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd[0]}",
            f"--bind-address={self._hosts[0]}",
            f"--secure-port={self._port}",
            f"--tls-cert-file={self._folder / 'apiserver.crt'}",
            f"--tls-private-key-file={self._folder / 'apiserver.key'}",
            f"--service-cluster-ip-range={SERVICE_RANGES}",
            "--authorization-mode=RBAC",
            "--kubelet-preferred-address-types=InternalDNS,InternalIP",
            f"--token-auth-file={self._folder / 'tokens.csv'}",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            f"--service-account-key-file={self._folder / 'accounts.key'}",
            f"--service-account-signing-key-file={self._folder / 'accounts.key'}",
            # Without a controller manager there is no default ServiceAccount for this plugin to find.
            "--disable-admission-plugins=ServiceAccount",
            *self._kubelet_options(),
        )
        await self._ready()

    def _kubelet_options(self) -> list[str]:
        if self._kubelets is None:
            return []
        return [
            f"--kubelet-certificate-authority={self._folder / 'kubelet-ca.crt'}",
            f"--kubelet-client-certificate={self._folder / 'kubelet-client.crt'}",
            f"--kubelet-client-key={self._folder / 'kubelet-client.key'}",
        ]

    def _write_files(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tls = make_tls(self._hosts)
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        files = [
            ("ca.crt", self._tls.ca),
            ("apiserver.crt", self._tls.certificate),
            ("apiserver.key", self._tls.key),
            ("accounts.key", pem),
            ("tokens.csv", f'{self.admin_token},kubernetes-admin,kubernetes-admin,"system:masters"\n'.encode()),
        ]
        if self._kubelets is not None:
            files += [
                ("kubelet-ca.crt", self._kubelets.ca),
                ("kubelet-client.crt", self._kubelets.certificate),
                ("kubelet-client.key", self._kubelets.key),
            ]
        for name, content in files:
            path = self._folder / name
            path.touch(mode=0o600)
            path.write_bytes(content)

    async def _spawn(self, name: str, *arguments: str) -> None:
        log = self._folder / f"{name}.log"
        with log.open("ab") as output:
            # They end with us however we end: a killed test run leaves no servers behind.
            command = ("setpriv", "--pdeathsig", "KILL", "--", str(self._programs / name), *arguments)
            process = await asyncio.create_subprocess_exec(
                *command, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL
            )
        self._children[name] = _Child(name, process, log)

    def _context(self) -> ssl.SSLContext:
        assert self._tls is not None
        return ssl.create_default_context(cadata=self._tls.ca.decode())

    async def _ready(self) -> None:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        connector = aiohttp.TCPConnector(ssl=self._context())
        try:
            async with asyncio.timeout(_READY_WITHIN), aiohttp.ClientSession(connector=connector) as session:
                while True:
                    self._check_children()
                    try:
                        async with session.get(f"{self.url}/readyz", headers=headers) as answer:
                            if answer.status == 200:
                                return
                    except aiohttp.ClientError:
                        pass  # not listening yet
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise NotStarted(f"kube-apiserver was not ready within {_READY_WITHIN:.0f} s") from None

    def _check_children(self) -> None:
        for child in self._children.values():
            if child.process.returncode is not None:
                lines = child.log.read_text(errors="replace").splitlines()
                last = lines[-1] if lines else ""
                raise NotStarted(f"{child.name} ended with code {child.process.returncode}: {last}")

    def kubeconfig(self, *, user: str = "admin", server: str = "") -> dict[str, Any]:
        assert self._tls is not None, "start() comes first"
        authority = base64.b64encode(self._tls.ca).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "lab",
                    "cluster": {"server": server or self.url, "certificate-authority-data": authority},
                }
            ],
            "users": [{"name": user, "user": {"token": self.admin_token}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
            "current-context": "lab",
        }

    async def stop(self) -> None:
        """The API server first, so that it does not complain about its store."""
        for name in reversed(list(self._children)):
            await self._end(name, signal.SIGTERM)

    async def _end(self, name: str, number: signal.Signals) -> None:
        child = self._children.pop(name)
        if child.process.returncode is None:
            child.process.send_signal(number)
            try:
                async with asyncio.timeout(_STOP_WITHIN):
                    await child.process.wait()
            except TimeoutError:
                child.process.kill()
                await child.process.wait()


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
