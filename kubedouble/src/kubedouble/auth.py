"""Who is asking: bearer tokens -> users.

Owns the admin token, the signed ServiceAccount tokens (JWT, HS256 with a key of this server) and their expiry.
Must not touch: what the user may do (`rbac.py`).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Final

from .errors import JsonObject, StatusError, unauthorized
from .store import Store, encode

ISSUER: Final = "https://kubernetes.default.svc.cluster.local"
AUDIENCE: Final = ISSUER
MASTERS: Final = "system:masters"
ACCOUNT_PREFIX: Final = "system:serviceaccount:"
DEFAULT_LIFETIME: Final = 3600
"""Seconds, as TokenRequest's default."""


@dataclass(frozen=True, slots=True)
class User:
    name: str
    groups: tuple[str, ...]
    uid: str = ""
    extra: tuple[tuple[str, tuple[str, ...]], ...] = field(default=())

    def info(self) -> JsonObject:
        """`authentication.k8s.io/v1 UserInfo`."""
        info: JsonObject = {"username": self.name}
        if self.uid:
            info["uid"] = self.uid
        info["groups"] = list(self.groups)
        if self.extra:
            info["extra"] = {key: list(values) for key, values in self.extra}
        return info


ANONYMOUS: Final = User("system:anonymous", ("system:unauthenticated",))
ADMIN: Final = User("kubernetes-admin", (MASTERS, "system:authenticated"))


def service_account_user(namespace: str, name: str, uid: str = "") -> User:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"{ACCOUNT_PREFIX}{namespace}:{name}", groups, uid)


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _unb64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Authenticator:
    """Issues and reads tokens. A ServiceAccount's token dies with the account (its uid is in the token)."""

    def __init__(self, store: Store, key: bytes | None = None, admin_token: str | None = None) -> None:
        self._store = store
        self._key = key or secrets.token_bytes(32)
        self._verified: dict[str, JsonObject] = {}
        self.admin_token = admin_token or secrets.token_urlsafe(24)

    def issue(
        self,
        namespace: str,
        name: str,
        uid: str,
        *,
        lifetime: float = DEFAULT_LIFETIME,
        audiences: tuple[str, ...] = (AUDIENCE,),
        pod: JsonObject | None = None,
    ) -> tuple[str, float]:
        """A signed token and when it expires (seconds since the epoch)."""
        issued = time.time()
        bound: JsonObject = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if pod is not None:
            bound["pod"] = {"name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
        claims = {
            "aud": list(audiences),
            "exp": int(issued + lifetime),
            "iat": int(issued),
            "iss": ISSUER,
            "jti": secrets.token_hex(16),
            "kubernetes.io": bound,
            "nbf": int(issued),
            "sub": f"{ACCOUNT_PREFIX}{namespace}:{name}",
        }
        body = f"{_b64(encode({'alg': 'HS256', 'kid': 'lab', 'typ': 'JWT'}))}.{_b64(encode(claims))}"
        return f"{body}.{_b64(self._sign(body))}", issued + lifetime

    def rotate(self) -> None:
        """Sign with another key: no token of a ServiceAccount is good any more."""
        self._key = secrets.token_bytes(32)
        self._verified.clear()

    def _sign(self, body: str) -> bytes:
        return hmac.new(self._key, body.encode(), hashlib.sha256).digest()

    def authenticate(self, authorization: str | None, *, secure: bool) -> User:
        """From the `Authorization` header. Raises `StatusError` 401 for a token that is not (or no longer) good.

        client-go sends no token over plain HTTP. There, as on the insecure port that Kubernetes had until 1.20, who
        says nothing is the administrator.
        """
        nobody = ANONYMOUS if secure else ADMIN
        if not authorization:
            return nobody
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            return nobody
        return self.user_of(token.strip())

    def user_of(self, token: str) -> User:
        """Raises `StatusError` 401."""
        if token == self.admin_token:
            return ADMIN
        claims = self._claims(token)
        bound = claims["kubernetes.io"]
        account, namespace = bound["serviceaccount"], bound["namespace"]
        record = self._store.get("/serviceaccounts", namespace, account["name"])
        if record is None or record.obj["metadata"]["uid"] != account["uid"]:
            raise unauthorized()
        if pod := bound.get("pod"):
            live = self._store.get("/pods", namespace, pod["name"])
            if live is None or live.obj["metadata"]["uid"] != pod["uid"]:
                raise unauthorized()
        return service_account_user(namespace, account["name"], account["uid"])

    def _claims(self, token: str) -> JsonObject:
        claims = self._verified.get(token)
        if claims is None:
            body, _, signature = token.rpartition(".")
            try:
                good = hmac.compare_digest(_unb64(signature), self._sign(body))
                claims = json.loads(_unb64(body.partition(".")[2])) if good else None
            except ValueError:
                claims = None
            if not isinstance(claims, dict):
                raise unauthorized()
            self._verified[token] = claims
        if claims["exp"] <= time.time():
            raise unauthorized()
        return claims

    def impersonated(self, headers: dict[str, list[str]]) -> User | None:
        """The user named by `Impersonate-*` headers, if any. Raises `StatusError` 400 for groups without a user."""
        names = headers.get("impersonate-user", [])
        groups = tuple(headers.get("impersonate-group", []))
        if not names:
            if groups:
                raise StatusError(400, "BadRequest", "requested [groups] without impersonating a user")
            return None
        name = names[0]
        if name.startswith(ACCOUNT_PREFIX) and not groups:
            namespace, _, account = name.removeprefix(ACCOUNT_PREFIX).partition(":")
            return service_account_user(namespace, account)
        if name != ANONYMOUS.name and "system:authenticated" not in groups:
            groups = (*groups, "system:authenticated")
        return User(name, groups)
