"""The certificate authority that clients of the API server trust, which may be another one tomorrow."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Authority:
    """What is handed out to pods and namespaces at the moment."""

    pem: str
    """Empty for plain HTTP."""
