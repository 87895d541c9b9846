"""Flags that have their defaults from the environment: argparse checks what is typed, and this what is set.

What they mean is settings.py's.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from purelb.credentials import kubeconfig_from
from purelb.errors import SettingsError
from purelb.names import METRICS_PORT, METRICS_TLS_PORT


class Flags(argparse.ArgumentParser):
    """Of both programs, to which each adds its own."""

    def __init__(self, program: str, description: str, environ: Mapping[str, str]) -> None:
        super().__init__(program, description=description)
        self._environ = environ
        self._choices: list[tuple[str, str, tuple[str, ...]]] = []
        """Where the value is, its variable, and what it may be."""
        self.add_argument(
            "--kubeconfig", type=Path, default=kubeconfig_from(environ), help="outside a cluster (KUBECONFIG)"
        )
        self.add_argument(
            "--namespace", default="", help="where PureLB is installed (PURELB_NAMESPACE, else the pod's own)"
        )
        self.add_argument(
            "--host",
            default=environ.get("PURELB_HOST", ""),
            help="address to listen on; empty: all (PURELB_HOST)",
        )
        self.add_argument(
            "--port",
            type=int,
            default=environ.get("PURELB_METRICS_PORT", str(METRICS_PORT)),
            help="HTTP port of /metrics, /healthz and /readyz (PURELB_METRICS_PORT)",
        )
        self.add_argument(
            "--metrics-tls",
            default=environ.get("PURELB_METRICS_TLS", ""),
            help="folder of tls.crt and tls.key: /metrics is shown over TLS alone, for tokens that may get it "
            "(PURELB_METRICS_TLS)",
        )
        self.add_argument(
            "--metrics-tls-port",
            type=int,
            default=environ.get("PURELB_METRICS_TLS_PORT", str(METRICS_TLS_PORT)),
            help="port of that (PURELB_METRICS_TLS_PORT)",
        )
        self.choice(
            "--log-level", "PURELB_LOG_LEVEL", ("debug", "info", "warning", "error"), "of our own", default="info"
        )
        self.choice(
            "--log-format", "PURELB_LOG_FORMAT", ("json", "text"), "json: a document per line; text: for people"
        )

    def choice(self, flag: str, variable: str, among: tuple[str, ...], text: str, *, default: str = "") -> None:
        """Add a flag that takes one of these words, the first if nothing is said."""
        value = (self._environ.get(variable) or default or among[0]).lower()
        action = self.add_argument(flag, choices=among, default=value, help=f"{text} ({variable})")
        self._choices.append((action.dest, variable, among))

    def read(self, argv: Sequence[str]) -> argparse.Namespace:
        """Raises SettingsError for what the environment says; exits for what is typed, and for ``--help``."""
        arguments = self.parse_args(argv)
        for name, variable, among in self._choices:
            value = getattr(arguments, name)
            if value not in among:
                which = f"neither {among[0]} nor {among[1]}" if len(among) == 2 else f"none of {', '.join(among)}"
                raise SettingsError(f'{variable} "{value}" is {which}')
        return arguments
