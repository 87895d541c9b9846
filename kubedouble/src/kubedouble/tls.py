"""A certificate authority and a server certificate for one API server, or for its kubelets and itself.

Owns key material in a folder: made when it is not there, kept when it is. Must not touch: sockets.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_LIFETIME: Final = timedelta(days=3650)
_ALWAYS: Final = (
    "127.0.0.1",
    "::1",
    "localhost",
    "10.188.0.1",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts: the CA that the other side trusts, the certificate and key of this one."""

    ca: bytes
    certificate: bytes
    key: bytes

    def context(self, folder: Path) -> ssl.SSLContext:
        """`folder` receives certificate and key, because `ssl` reads only files."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.load_into(context, folder)
        return context

    def load_into(self, context: ssl.SSLContext, folder: Path) -> None:
        """Connections that begin from now on get this certificate."""
        self.write(folder)
        context.load_cert_chain(folder / "apiserver.crt", folder / "apiserver.key")

    def write(self, folder: Path) -> None:
        """As ca.crt, apiserver.crt and apiserver.key."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "apiserver.crt").write_bytes(self.certificate)
        key = folder / "apiserver.key"
        key.touch(mode=0o600)
        key.write_bytes(self.key)
        (folder / "ca.crt").write_bytes(self.ca)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _general_name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)


@dataclass(frozen=True, slots=True)
class MutualTls:
    """Both sides of connections on which each proves itself to the other, by one CA whose key nobody keeps."""

    server: Tls
    client: Tls


def make_tls(names: Iterable[str]) -> Tls:
    """A fresh CA and a certificate for `names` (addresses or DNS names) and what every API server is called."""
    authority = _Authority()
    return authority.issue("kube-apiserver", ExtendedKeyUsageOID.SERVER_AUTH, (*_ALWAYS, *names))


def make_mutual_tls(names: Iterable[str]) -> MutualTls:
    """A fresh CA, a certificate for a server of these names, and one for its client."""
    authority = _Authority()
    return MutualTls(
        authority.issue("kubelet", ExtendedKeyUsageOID.SERVER_AUTH, names),
        authority.issue("kube-apiserver-kubelet-client", ExtendedKeyUsageOID.CLIENT_AUTH, ()),
    )


class _Authority:
    """A fresh CA."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._begin = datetime.now(UTC) - timedelta(minutes=5)
        self._certificate = _certify_authority(self._key, self._begin)

    def issue(self, common: str, usage: x509.ObjectIdentifier, names: Iterable[str]) -> Tls:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common))
            .issuer_name(self._certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._begin)
            .not_valid_after(self._begin + _LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if alternatives := [_general_name(name) for name in dict.fromkeys(names)]:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        pem = serialization.Encoding.PEM
        return Tls(
            self._certificate.public_bytes(pem),
            builder.sign(self._key, hashes.SHA256()).public_bytes(pem),
            key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
        )


def _certify_authority(key: ec.EllipticCurvePrivateKey, begin: datetime) -> x509.Certificate:
    name = _name("kubernetes")
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def renewed(tls: Tls) -> Tls:
    """Another CA, and another certificate for the same names."""
    old = x509.load_pem_x509_certificate(tls.certificate)
    names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return make_tls(str(name.value) for name in names)


def tls_in(folder: Path, names: Iterable[str]) -> Tls:
    """The pair kept in `folder`, or a new one put there."""
    files = [folder / name for name in ("ca.crt", "apiserver.crt", "apiserver.key")]
    if all(file.exists() for file in files):
        return Tls(*(file.read_bytes() for file in files))
    made = make_tls(names)
    folder.mkdir(parents=True, exist_ok=True)
    for file, content in zip(files, (made.ca, made.certificate, made.key), strict=True):
        file.touch(mode=0o600)
        file.write_bytes(content)
    return made
