"""``kubectl_complete-purelb``: answers kubectl's shell completion; where something goes wrong, with nothing."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kubectl_purelb.__main__ import kubeconfig_of
from kubectl_purelb.arguments import Arguments
from kubectl_purelb.cluster import Cluster
from kubectl_purelb.completion import Line, completions, needs_cluster, parsed
from kubectl_purelb.reading import read_cluster
from purelb.errors import PureLBError
from purelb.kube import Kube

PATIENCE: Final = 3.0
"""Seconds that somebody waits who has pressed a key."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the choices; always 0."""
    line = parsed(sys.argv[1:] if argv is None else argv)
    cluster = asyncio.run(_cluster(line)) if needs_cluster(line) else None
    print("\n".join(completions(line, cluster)))
    return 0


async def _cluster(line: Line) -> Cluster | None:
    try:
        async with asyncio.timeout(PATIENCE):
            path = Path(line.kubeconfig) if line.kubeconfig else None
            kubeconfig = kubeconfig_of(Arguments("completion", kubeconfig=path, context=line.context), os.environ)
            async with Kube(kubeconfig, user_agent="kubectl-purelb") as kube:
                return await read_cluster(kube, None)
    except (PureLBError, TimeoutError):
        return None


if __name__ == "__main__":
    sys.exit(main())
