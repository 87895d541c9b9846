"""The keyring, and AES-GCM sealing and opening of payloads (memberlist `security.go`, `keyring.go`).

Owns keys and the encrypted layout `version || nonce || ciphertext || tag`; knows neither messages nor sockets.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from memberlist.errors import ConfigError, Unauthentic, WireError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_SIZES = (16, 24, 32)
NONCE_SIZE = 12
RESERVE = 64 * NONCE_SIZE
"""Random bytes asked for at once."""
TAG_SIZE = 16
BLOCK = 16
MAX_OVERHEAD = {0: 1 + NONCE_SIZE + BLOCK + TAG_SIZE, 1: 1 + NONCE_SIZE + TAG_SIZE}
"""Bytes that sealing adds at most, by encryption version (version 0 pads)."""
MIN_SIZE = {0: 1 + NONCE_SIZE + BLOCK + TAG_SIZE, 1: 1 + NONCE_SIZE + TAG_SIZE}


class Reserve:
    """Random bytes of the kernel, asked for many at a time: the system call costs more than to seal a packet.

    Each is given out once. A process that forks afterwards must make a new one.
    """

    def __init__(self, kernel: Callable[[int], bytes] = os.urandom) -> None:
        self._kernel = kernel
        self._bytes = b""
        self._at = 0

    def __call__(self, size: int) -> bytes:
        begin, self._at = self._at, self._at + size
        if self._at > len(self._bytes):
            self._bytes = self._kernel(max(RESERVE, size))
            begin, self._at = 0, size
        return self._bytes[begin : self._at]


class Keyring:
    """An ordered list of AES keys: the first one seals, any one opens.

    To change the key of a running cluster: `add` the new one everywhere, then `use` it everywhere, then `remove` the
    old one everywhere.
    """

    def __init__(self, keys: Iterable[bytes], *, nonces: Callable[[int], bytes] | None = None) -> None:
        """`nonces` gives so many random bytes that nobody ever saw; by default they are the kernel's."""
        # Imported here because it brings 7 MB of memory, which a cluster without a key needn't pay.
        try:
            from cryptography.exceptions import InvalidTag
            from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        except ImportError as error:
            raise ConfigError("encryption needs the package cryptography, which isn't installed") from error

        self._cipher = AESGCM
        self._wrong_key = InvalidTag
        self._ciphers: dict[bytes, AESGCM] = {}
        self._nonces = nonces or Reserve()
        for key in keys:
            self.add(key)
        if not self._ciphers:
            raise ConfigError("a keyring needs at least one key")

    @property
    def keys(self) -> tuple[bytes, ...]:
        """All keys, the primary one first."""
        return tuple(self._ciphers)

    @property
    def primary(self) -> bytes:
        return next(iter(self._ciphers))

    def add(self, key: bytes) -> None:
        """Accept `key` from now on; raises ConfigError unless it has 16, 24 or 32 bytes."""
        if len(key) not in KEY_SIZES:
            raise ConfigError(f"a key has 16, 24 or 32 bytes, this one has {len(key)}")
        self._ciphers.setdefault(bytes(key), self._cipher(key))

    def use(self, key: bytes) -> None:
        """Make a known key the primary one; raises ConfigError if it isn't known."""
        cipher = self._ciphers.get(key)
        if cipher is None:
            raise ConfigError("the key is not in the keyring")
        rest = {other: known for other, known in self._ciphers.items() if other != key}
        self._ciphers = {key: cipher, **rest}

    def remove(self, key: bytes) -> None:
        """Forget `key`, if it is there; raises ConfigError for the primary one."""
        if key == self.primary:
            raise ConfigError("the primary key can't be removed: use another one first")
        self._ciphers.pop(key, None)

    def seal(self, plain: bytes, associated: bytes, version: int = 1) -> bytes:
        """Encrypt with the primary key; `version` 0 pads to 16 bytes (PKCS 7), 1 doesn't."""
        if version == 0:
            padding = BLOCK - len(plain) % BLOCK
            plain += bytes((padding,)) * padding
        nonce = self._nonces(NONCE_SIZE)
        cipher = next(iter(self._ciphers.values()))
        return bytes((version,)) + nonce + cipher.encrypt(nonce, plain, associated or None)

    def open(self, sealed: bytes, associated: bytes) -> bytes:
        """Decrypt with whichever key fits.  Raises Unauthentic if none does, WireError if it can't be ciphertext."""
        version = sealed[0] if sealed else -1
        if version not in MIN_SIZE:
            raise Unauthentic(f"unknown encryption version {version}")
        if len(sealed) < MIN_SIZE[version]:
            raise Unauthentic("too short to be encrypted")
        nonce, body = sealed[1 : 1 + NONCE_SIZE], sealed[1 + NONCE_SIZE :]
        for cipher in self._ciphers.values():
            try:
                plain = cipher.decrypt(nonce, body, associated or None)
            except self._wrong_key:
                continue
            return plain if version == 1 else _unpad(plain)
        raise Unauthentic("no key opens it")


def _unpad(plain: bytes) -> bytes:
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= min(BLOCK, len(plain)):
        raise WireError("the padding is malformed")
    return plain[:-padding]
