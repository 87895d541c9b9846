"""The chart's generated files, from what is applied without it, so that the two can't drift apart.

Owns which fields are values of the chart; everything else is the manifests' word for word. Templates that have no
counterpart there are written by hand, beside the generated ones; `build` writes the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import yaml

Object = dict[str, Any]

CHART: Final = Path(__file__).parents[1] / "charts" / "purelb"
NAMESPACE: Final = "purelb"
_HEADER: Final = "{{- /* Made by `make manifests` from purelb-complete.yaml. */ -}}\n"
_PULL_POLICY: Final = (
    '{{- with .Values.image.pullPolicy }}{{ nindent INDENT (printf "imagePullPolicy: %s" .) }}{{- end }}'
)
_BOTH: Final = '{{- include "purelb.environment" . | nindent INDENT }}'
_FORBIDDEN: Final = '{{- include "purelb.forbidden" . | nindent INDENT }}'
_AGENT: Final = '{{- include "purelb.agentEnvironment" . | nindent INDENT }}'
_LEASE: Final = "lbnodeagent-lease"
"""The role that is there only where agents publish Leases."""
_GOSSIP_KEY: Final = '{{- include "purelb.gossipKey" . | nindent INDENT }}'


class Slots:
    """Places in a manifest that are the chart's to fill: a mark in the YAML, and the template text for its line."""

    def __init__(self) -> None:
        self._texts: list[Callable[[str, str], str]] = []

    def scalar(self, expression: str) -> str:
        """A value that is one expression."""
        return self._mark(lambda indent, key: f"{indent}{key} {expression}\n")

    def block(self, value: str, default: Any) -> str:
        """A value of the chart that replaces the manifests' whole block when it is set."""

        def text(indent: str, key: str) -> str:
            inner = indent.replace("-", " ") + "  "
            lines = "".join(f"{inner}{line}\n" for line in _dump(default).splitlines())
            return (
                f"{indent}{key}\n{inner}{{{{- with {value} }}}}\n{inner}{{{{- toYaml . | nindent {len(inner)} }}}}\n"
                f"{inner}{{{{- else }}}}\n{lines}{inner}{{{{- end }}}}\n"
            )

        return self._mark(text)

    def line(self, template: str) -> str:
        """A whole line instead of `key: mark`, or of `- key: mark`; INDENT in it becomes the depth of that line."""

        def text(indent: str, _: str) -> str:
            depth = indent.replace("-", " ") if indent.endswith("- ") and not indent.strip(" -") else indent
            depth = depth.removesuffix("  ") if indent.endswith("- ") else depth
            return f"{depth}{template.replace('INDENT', str(len(depth)))}\n"

        return self._mark(text)

    def _mark(self, text: Callable[[str, str], str]) -> str:
        self._texts.append(text)
        return f"__slot{len(self._texts) - 1}__"

    def fill(self, manifest: str) -> str:
        """The template of a manifest with marks in it."""
        lines = []
        for line in manifest.splitlines(keepends=True):
            key, _, mark = line.rstrip("\n").rpartition(" ")
            if mark.startswith("__slot") and mark.endswith("__"):
                indent = key[: len(key) - len(key.lstrip(" -"))]
                lines.append(self._texts[int(mark.removeprefix("__slot").removesuffix("__"))](indent, key.strip(" -")))
            else:
                lines.append(line)
        return "".join(lines)


def _dump(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, width=10_000)


def is_templated(obj: Object) -> bool:
    """CRDs go to the chart's crds/, and the namespace is for `helm install --create-namespace`."""
    return obj["kind"] not in ("CustomResourceDefinition", "Namespace")


def template_of(obj: Object, slots: Slots) -> Object:
    """The object with marks where the chart's values go."""
    metadata = obj["metadata"]
    if metadata.get("namespace") == NAMESPACE:
        metadata["namespace"] = slots.scalar("{{ .Release.Namespace }}")
    for subject in obj.get("subjects") or ():
        if subject.get("namespace") == NAMESPACE:
            subject["namespace"] = slots.scalar("{{ .Release.Namespace }}")
    if obj["kind"] in ("Deployment", "DaemonSet"):
        _template_pod(obj["spec"]["template"]["spec"], metadata["name"], slots)
    return obj


def _template_pod(spec: Object, program: str, slots: Slots) -> None:
    if name := spec.get("priorityClassName"):
        spec["priorityClassName"] = slots.scalar(f'{{{{ .Values.priorityClassName | default "{name}" }}}}')
    if program == "allocator" and "securityContext" in spec:
        spec["securityContext"] = slots.block(_own("securityContext"), spec["securityContext"])
    for key in ("tolerations", "nodeSelector"):
        if key in spec:
            spec[key] = slots.block(f".Values.{program}.{key}", spec[key])
    (container,) = (one for one in spec["containers"] if one["name"] == program)
    image = container["image"]
    _insert_after(container, "image", "imagePullPolicy", slots.line(_PULL_POLICY))
    container["image"] = slots.scalar(f'{{{{ include "purelb.image" (list . "{program}" "{image}") }}}}')
    for key, values in (("resources", f".Values.{program}.resources"), ("securityContext", _context(program))):
        container[key] = slots.block(values, container[key])
    for entry in container["env"]:
        if entry["name"] == "DEFAULT_ANNOUNCER":
            entry["value"] = slots.scalar("{{ .Values.defaultAnnouncer | quote }}")
    for line in (_BOTH, *((_AGENT, _GOSSIP_KEY) if program == "lbnodeagent" else (_FORBIDDEN,))):
        container["env"].append({"name": slots.line(line)})


def _context(program: str) -> str:
    """Where PureLB's chart has it: the agent's apart from that of all other containers."""
    return (
        ".Values.lbnodeagent.containerSecurityContext" if program == "lbnodeagent" else _own("containerSecurityContext")
    )


def _own(value: str) -> str:
    """A value of the allocator: v0.17's chart has it there, older ones at the top."""
    return f"(.Values.allocator.{value} | default .Values.{value})"


def _insert_after(mapping: Object, after: str, key: str, value: Any) -> None:
    items = list(mapping.items())
    mapping.clear()
    for name, content in items:
        mapping[name] = content
        if name == after:
            mapping[key] = value


def chart_files(complete: str, crds: Path) -> Iterator[tuple[Path, str]]:
    """Path and text of each generated file: of `complete`, all objects in one text, and of the CRDs in that folder."""
    files: dict[str, list[str]] = {}
    for obj in yaml.safe_load_all(complete):
        if obj and is_templated(obj):
            slots = Slots()
            files.setdefault(_file_of(obj), []).append(slots.fill(_dump(template_of(obj, slots))))
    for name, documents in files.items():
        text = "---\n".join(documents)
        if name.startswith(_LEASE):
            text = f"{{{{- if .Values.lbnodeagent.nodeLease }}}}\n{text}{{{{- end }}}}\n"
        yield CHART / "templates" / name, _HEADER + text
    for source in sorted(crds.glob("*.purelb.io.yaml")):
        yield CHART / "crds" / source.name, source.read_text()


def _file_of(obj: Object) -> str:
    program = obj["metadata"]["name"].rpartition(":")[2]
    return f"{program}.yaml" if obj["kind"] in ("Deployment", "DaemonSet") else f"{program}-access.yaml"
