"""``version``: of this command, of the programs' images, and of the agents that run. Pure."""

from __future__ import annotations

from collections import Counter

from kubectl_purelb.answers import Answer, Table
from kubectl_purelb.cluster import Cluster


def version(cluster: Cluster, own: str) -> Answer:
    """``own``: this command's."""
    nodes = cluster.gathering.nodes.values() if cluster.gathering is not None else ()
    agents = Counter(node.version or "of another make" for node in nodes)
    rows = [("kubectl-purelb", own)]
    rows += [(program.name, program.image) for program in cluster.programs.values()]
    rows += [(f"agents on {count} node{'s' * (count != 1)}", text) for text, count in sorted(agents.items())]
    document = {
        "client": own,
        "images": {program.name: program.image for program in cluster.programs.values()},
        "agents": dict(sorted(agents.items())),
    }
    return Answer((Table(("PROGRAM", "VERSION"), tuple(rows)),), document)
