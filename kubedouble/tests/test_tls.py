"""Where both sides prove themselves, one without a certificate of that CA, or with one for another use, is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from kubedouble import MutualTls, Tls, make_mutual_tls, make_tls

NAME = "localhost"


def shake_hands(server: Tls, client: Tls | None, trusted: bytes, folder: Path) -> None:
    """Both sides in memory, and a byte each way. Raises SSLError of whichever side refuses."""
    accepting = server.context(folder / "server")
    accepting.load_verify_locations(cadata=server.ca.decode())
    accepting.verify_mode = ssl.CERT_REQUIRED
    asking = ssl.create_default_context(cadata=trusted.decode())
    if client is not None:
        client.load_into(asking, folder / "client")
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    left = asking.wrap_bio(back, there, server_hostname=NAME)
    right = accepting.wrap_bio(there, back, server_side=True)
    for _ in range(4):
        for side in (left, right):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    right.write(b"x")
    assert left.read(1) == b"x"


@pytest.fixture(scope="module")
def pair() -> MutualTls:
    return make_mutual_tls([NAME])


def test_both_sides_of_one_ca_know_each_other(pair: MutualTls, tmp_path: Path) -> None:
    shake_hands(pair.server, pair.client, pair.client.ca, tmp_path)


def test_a_client_without_a_certificate_is_refused(pair: MutualTls, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="PEER_DID_NOT_RETURN_A_CERTIFICATE"):
        shake_hands(pair.server, None, pair.client.ca, tmp_path)


def test_a_client_of_another_ca_is_refused(pair: MutualTls, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(pair.server, make_mutual_tls([NAME]).client, pair.client.ca, tmp_path)


def test_a_server_s_certificate_does_not_make_a_client(pair: MutualTls, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(pair.server, pair.server, pair.client.ca, tmp_path)


def test_a_server_of_another_ca_is_refused(pair: MutualTls, tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError, match="CERTIFICATE_VERIFY_FAILED"):
        shake_hands(make_tls([NAME]), pair.client, pair.client.ca, tmp_path)
