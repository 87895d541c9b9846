"""What krew installs: the plugin's wheels with a launcher in an archive, and the manifest that tells krew of it.

``make plugin``. The wheels are pure Python, for every system and every Python from 3.11 on; what they need has parts
for one system alone, so that the launcher installs it where the plugin is used.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

import purelb

ROOT: Final = Path(__file__).parent.parent
LAUNCHER: Final = Path(__file__).parent / "plugin" / "launcher.sh"
ARCHIVE: Final = "kubectl-purelb.tar.gz"
PROGRAMS: Final = ("kubectl-purelb", "kubectl_complete-purelb")
DISTRIBUTIONS: Final = ("purelb", "kubectl_purelb")
TOLD: Final = """Which node has a load balancer's address, and why it doesn't answer: for clusters with PureLB.
It shows Services from pool to wire, what a node's death would move, what isn't well and what to do about it; asks for
planned moves; judges manifests before they are applied."""


def archive(wheels: Mapping[str, bytes]) -> bytes:
    """The same bytes for the same content, so that its checksum can be told beforehand."""
    digest = hashlib.sha256(b"".join(wheels[name] for name in sorted(wheels))).hexdigest()[:12]
    files = {name: (data, 0o644) for name, data in wheels.items()}
    files |= {name: (LAUNCHER.read_bytes(), 0o755) for name in PROGRAMS}
    files |= {name: ((ROOT / name).read_bytes(), 0o644) for name in ("constraints.txt", "LICENSE")}
    files["version"] = (f"{purelb.__version__}-{digest}\n".encode(), 0o644)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, (data, mode) in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), mode
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def manifest(checksum: str, url: str) -> dict[str, Any]:
    """Of krew (krew.googlecontainertools.github.com/v1alpha2)."""
    return {
        "apiVersion": "krew.googlecontainertools.github.com/v1alpha2",
        "kind": "Plugin",
        "metadata": {"name": "purelb"},
        "spec": {
            "version": f"v{purelb.__version__}",
            "homepage": url.rpartition("/")[0] or url,
            "shortDescription": "Which node has a load balancer's address, and why",
            "description": TOLD,
            "caveats": "It needs Python 3.11 or newer, and sets up an environment of its own when it is run first.",
            "platforms": [
                {
                    "selector": {"matchExpressions": [{"key": "os", "operator": "In", "values": ["linux", "darwin"]}]},
                    "uri": url,
                    "sha256": checksum,
                    "bin": PROGRAMS[0],
                }
            ],
        },
    }


def wheels_of(root: Path) -> dict[str, bytes]:
    """Build both distributions' wheels: the plugin, and purelb, whose vocabulary it speaks."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--wheel-dir", folder, str(root), str(root / "kubectl_purelb")], check=True)
        return {path.name: path.read_bytes() for path in Path(folder).glob("*.whl")}


def wheels_in(folder: Path) -> dict[str, bytes]:
    """Those that were built before."""
    return {one.name: one.read_bytes() for name in DISTRIBUTIONS for one in folder.glob(f"{name}-*.whl")}


def main() -> None:
    """Write wheels, archive and manifest to a folder."""
    parser = argparse.ArgumentParser(prog="python -m manifests.krew", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--url", default=f"https://localhost/{ARCHIVE}", help="where the archive will be")
    parser.add_argument(
        "--wheels", type=Path, help="where both distributions' wheels are, where they were built before"
    )
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    wheels = wheels_of(ROOT) if asked.wheels is None else wheels_in(asked.wheels)
    if len(wheels) != len(DISTRIBUTIONS):
        parser.error(f"{asked.wheels} must have one wheel of each of {', '.join(DISTRIBUTIONS)}, and no other")
    data = archive(wheels)
    for name, content in {**wheels, ARCHIVE: data}.items():
        (asked.folder / name).write_bytes(content)
    told = manifest(hashlib.sha256(data).hexdigest(), asked.url)
    (asked.folder / "purelb.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    print(f"{asked.folder}: {', '.join(sorted([*wheels, ARCHIVE, 'purelb.yaml']))}")


if __name__ == "__main__":
    main()
