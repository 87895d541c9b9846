"""What leaves the cluster in a support bundle is made harmless: secrets are left out, and what nobody needs. Pure.

Secrets themselves are never read. What is left may stand where it shouldn't: in an environment variable that somebody
wrote into a Deployment, in an annotation with the last manifest, in a URL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

LEFT_OUT: Final = "(left out)"
_SECRET: Final = re.compile(
    r"token|passw|secret|credential|private|api-?_?key|auth(?!or)|cookie|dsn|^key$|_key$", re.IGNORECASE
)
"""In the name of what may hold a secret."""
_ANNOTATIONS: Final = frozenset({"kubectl.kubernetes.io/last-applied-configuration"})
# Anybody may have written what they look through: each goes on from where it began, and none looks at a text over and
# over, however it is made.
_IN_URL: Final = re.compile(r"(://)[^/\s\"']*@")
_BEARER: Final = re.compile(r"\b(bearer|basic)\s+[-A-Za-z0-9._~+/]{8,}=*", re.IGNORECASE)
_JWT: Final = re.compile(r"(?<![-\w])(?=[-\w]*?\beyJ)[-\w]{11,}+\.[-\w]{8,}+\.[-\w]+")
_ASSIGNED: Final = re.compile(
    r"""((?:token|passw(?:or)?d|secret|api[-_]?key)\\?"?\s*+[=:]\s*+\\?"?)[^\s",}\\]+""", re.IGNORECASE
)
_PEM: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?:(?!-----).)*-----END [A-Z ]*PRIVATE KEY-----", re.DOTALL
)


def redacted(value: Any) -> Any:
    """An object without them: values of environment variables, flags and fields whose names tell, parts of texts."""
    match value:
        case Mapping():
            return {str(key): _field(str(key), one, value) for key, one in value.items() if key != "managedFields"}
        case str():
            return redacted_text(value)
        case Sequence():
            return [LEFT_OUT if _follows_its_flag(value, at) else redacted(one) for at, one in enumerate(value)]
        case _:
            return value


def _follows_its_flag(words: Sequence[Any], at: int) -> bool:
    """Whether a word of a command is what the one before it names: ``--token`` and what comes then."""
    flag = words[at - 1] if at else ""
    return isinstance(flag, str) and flag.startswith("-") and "=" not in flag and _SECRET.search(flag) is not None


def redacted_text(text: str) -> str:
    """A log, or any text."""
    text = _PEM.sub(LEFT_OUT, text)
    text = _IN_URL.sub(rf"\1{LEFT_OUT}@", text)
    text = _BEARER.sub(rf"\1 {LEFT_OUT}", text)
    text = _JWT.sub(LEFT_OUT, text)
    return _ASSIGNED.sub(rf"\1{LEFT_OUT}", text)


def _field(key: str, value: Any, of: Mapping[str, Any]) -> Any:
    if key in _ANNOTATIONS:
        return LEFT_OUT
    if key == "value" and _SECRET.search(str(of.get("name") or "")):
        return LEFT_OUT  # an environment variable
    if isinstance(value, str) and value and _SECRET.search(key) and not _names_a_secret(key):
        return LEFT_OUT
    return redacted(value)


def _names_a_secret(key: str) -> bool:
    """Whether a field holds the name of a Secret, not what is in it."""
    return key in ("secretName", "secretRef", "secretKeyRef", "key") or key.endswith("Name")
