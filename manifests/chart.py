"""The chart's generated files, from what is applied without it, so that the two can't drift apart.

Owns which fields are values of the chart; everything else is the manifests' word for word. Templates that have no
counterpart there are written by hand, beside the generated ones; `build` writes the files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from manifests.slots import Slots

Object = dict[str, Any]

CHART: Final = Path(__file__).parents[1] / "charts" / "purelb"
NAMESPACE: Final = "purelb"
_HEADER: Final = "{{- /* Made by `make manifests` from SOURCE. */ -}}\n"
_PROGRAMS: Final = ("allocator", "lbnodeagent")
_ENVIRONMENT: Final = {
    "allocator": ("purelb.forbidden", "purelb.page"),
    "lbnodeagent": ("purelb.agentEnvironment", "purelb.gossipKey"),
}
"""Program: what of its environment is not both programs' own."""
_LEASE: Final = "lbnodeagent-lease"
"""The role that is there only where agents publish Leases."""
_OVER_TLS: Final = "((.Values.monitoring).tls).enabled"
_OPTIONAL: Final = {
    "bird/bird-cm.yml": ("bird-configuration.yaml", "(.Values.bird).enabled"),
    "bird/bird.yml": ("bird.yaml", "(.Values.bird).enabled"),
    "monitoring/podmonitor.yaml": ("podmonitor.yaml", "((.Values.monitoring).podMonitor).enabled"),
    "monitoring/servicemonitor.yaml": ("servicemonitor.yaml", "((.Values.monitoring).serviceMonitor).enabled"),
    "monitoring/prometheusrule.yaml": ("prometheusrule.yaml", "((.Values.monitoring).prometheusRule).enabled"),
    "metrics-tls/access.yaml": ("metrics-access.yaml", _OVER_TLS),
    "networkpolicy/allocator.yaml": ("networkpolicy.yaml", "(.Values.networkPolicy).enabled"),
    "policy/agent-writes.yaml": ("policy.yaml", "(.Values.agentPolicy).enabled"),
}
"""File in manifests/: the template made of it, and the value that it is there by."""
_CLUSTER_WIDE: Final = ("Cluster", "ValidatingAdmissionPolicy")
"""What the names of kinds among them begin with that have no namespace."""
_AGENT: Final = "system:serviceaccount:purelb:lbnodeagent"
_USER: Final = (
    'system:serviceaccount:{{ .Release.Namespace }}:{{ include "purelb.serviceAccount" (list . "lbnodeagent") }}'
)
"""As whom agents write: in the manifests, and in a release."""
_RUNBOOKS: Final = '(.Values.monitoring.runbooks | default "")'
"""What stands before the path of a runbook."""
_KEPT: Final = "metadata:\n  annotations:\n    helm.sh/resource-policy: keep\n"
_VERSION: Final = "app.kubernetes.io/version"
_OF_A_RELEASE: Final = ("app.kubernetes.io/name", "app.kubernetes.io/part-of")
"""Labels that the chart has on all objects."""


def is_templated(obj: Object) -> bool:
    """CRDs go to the chart's crds/, and the namespace is for `helm install --create-namespace`."""
    return obj["kind"] not in ("CustomResourceDefinition", "Namespace")


def template_of(obj: Object) -> str:
    """The template of an object: its YAML with the chart's values in it."""
    slots, metadata, program = Slots(), obj["metadata"], obj["metadata"]["name"]
    condition = _condition(obj["kind"], program)
    more = " .Values.monitoring.labels" if obj["apiVersion"].startswith("monitoring.coreos.com/") else ""
    metadata["labels"] = slots.line(_labels("purelb.labels", metadata.get("labels"), more))
    match obj["kind"]:
        case "ServiceAccount":
            metadata["name"] = slots.scalar(_account(program))
            metadata["annotations"] = slots.optional("annotations", f"(.Values.{program}.serviceAccount).annotations")
        case "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding":
            _template_access(obj, slots)
        case "Deployment" | "DaemonSet":
            metadata["name"] = slots.scalar(_name(program))
            _template_workload(obj["spec"], program, slots)
        case "ConfigMap":
            metadata["name"] = slots.scalar(_name(program))
            obj["data"]["bird.conf"] = slots.text(".Values.bird.config", obj["data"]["bird.conf"])
        case "PodMonitor" | "ServiceMonitor" | "PrometheusRule":
            metadata["name"] = slots.scalar(_name(program))
            for rule in (rule for group in obj["spec"].get("groups", ()) for rule in group["rules"]):
                runbook = rule["annotations"]["runbook_url"]
                rule["annotations"]["runbook_url"] = slots.scalar(f'{{{{ printf "%s{runbook}" {_RUNBOOKS} | quote }}}}')
            for endpoint in obj["spec"].get("endpoints") or obj["spec"].get("podMetricsEndpoints") or ():
                if obj["kind"] == "PodMonitor":
                    endpoint["port"] = slots.scalar(_monitored(endpoint["port"]))
                endpoint["interval"] = slots.scalar(
                    f'{{{{ .Values.monitoring.interval | default "{endpoint["interval"]}" }}}}'
                )
                more = "{{- with .Values.monitoring.endpoint }}{{ toYaml . | nindent INDENT }}{{- end }}"
                endpoint["more"] = slots.line(more)
        case "Service":
            metadata["name"] = slots.scalar(_name(program))
            for port in obj["spec"]["ports"]:
                port["targetPort"] = slots.scalar(_monitored(port["targetPort"]))
        case "ValidatingAdmissionPolicy":
            metadata["name"] = slots.scalar(_name(program))
            for one in obj["spec"]["matchConditions"]:
                one["expression"] = slots.scalar(one["expression"].replace(_AGENT, _USER))
        case "ValidatingAdmissionPolicyBinding":
            metadata["name"] = obj["spec"]["policyName"] = slots.scalar(_name(program))
        case "NetworkPolicy":
            metadata["name"] = slots.scalar(_name(program))
            more = "{{- with .Values.networkPolicy.extraEgress }}{{ toYaml . | nindent INDENT }}{{- end }}"
            obj["spec"]["egress"].append({"name": slots.line(more)})
        case _:
            metadata["name"] = slots.scalar(_name(program))
    if metadata.get("namespace") == NAMESPACE:
        metadata["namespace"] = slots.scalar("{{ .Release.Namespace | quote }}")
    text = slots.fill(obj)
    return f"{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n" if condition else text


def _condition(kind: str, name: str) -> str:
    """The value that an object of the programs is there by; empty: it is always there."""
    match kind:
        case "ServiceAccount":
            return f'ne (toString (.Values.{name}.serviceAccount).create) "false"'
        case "PodDisruptionBudget":
            return "gt (int (.Values.allocator.replicas | default 2)) 1"
        case _:
            return ""


def _template_access(obj: Object, slots: Slots) -> None:
    obj["metadata"]["name"] = slots.scalar(_role(obj["metadata"]["name"]))
    if reference := obj.get("roleRef"):
        reference["name"] = slots.scalar(_role(reference["name"]))
    for subject in obj.get("subjects") or ():
        subject["name"] = slots.scalar(_account(subject["name"]))
        subject["namespace"] = slots.scalar("{{ .Release.Namespace | quote }}")


def _template_workload(spec: Object, program: str, slots: Slots) -> None:
    if "replicas" in spec:
        spec["replicas"] = slots.scalar(f"{{{{ .Values.{program}.replicas | default {spec['replicas']} }}}}")
    for key in ("strategy", "updateStrategy"):
        if key in spec:
            spec[key] = slots.block(f".Values.{program}.updateStrategy", spec[key])
    metadata = spec["template"]["metadata"]
    metadata["labels"] = slots.line(_labels("purelb.podLabels", metadata["labels"], f" .Values.{program}.podLabels"))
    annotations = metadata.get("annotations")
    if annotations:
        metadata["annotations"] = slots.mapping(f".Values.{program}.podAnnotations", annotations, ours_win=False)
    else:
        metadata["annotations"] = slots.optional("annotations", f".Values.{program}.podAnnotations")
    _template_pod(spec["template"]["spec"], program, slots)


def _template_pod(pod: Object, program: str, slots: Slots) -> None:
    pod["imagePullSecrets"] = slots.optional("imagePullSecrets", ".Values.imagePullSecrets")
    pod["affinity"] = slots.optional("affinity", f".Values.{program}.affinity")
    priority = f".Values.{program}.priorityClassName | default .Values.priorityClassName"
    pod["priorityClassName"] = slots.scalar(f'{{{{ {priority} | default "{pod["priorityClassName"]}" }}}}')
    for key in ("tolerations", "nodeSelector", "topologySpreadConstraints"):
        if key in pod:
            pod[key] = slots.block(f".Values.{program}.{key}", pod[key])
    (container,) = (one for one in pod["containers"] if one["name"] == program)
    container["resources"] = slots.block(f".Values.{program}.resources", container["resources"])
    _template_image(container, program, slots)
    if program in _PROGRAMS:
        _template_program(pod, container, program, slots)
    else:
        _template_bird(pod, container, slots)
    container["env"].append({"name": slots.line(_list(f".Values.{program}.extraEnv"))})


def _template_program(pod: Object, container: Object, program: str, slots: Slots) -> None:
    pod["serviceAccountName"] = slots.scalar(_account(program))
    if program == "allocator":
        pod["securityContext"] = slots.block(_own("securityContext"), pod["securityContext"])
    container["securityContext"] = slots.block(_context(program), container["securityContext"])
    for entry in container["env"]:
        if entry["name"] == "DEFAULT_ANNOUNCER":
            entry["value"] = slots.scalar("{{ .Values.defaultAnnouncer | quote }}")
    both = f'{{{{- include "purelb.environment" (list . "{program}") | nindent INDENT }}}}'
    ours = (f'{{{{- include "{name}" . | nindent INDENT }}}}' for name in _ENVIRONMENT[program])
    for line in (both, *ours):
        container["env"].append({"name": slots.line(line)})
    container["ports"].append({"name": slots.line('{{- include "purelb.metricsPort" . | nindent INDENT }}')})
    if program == "allocator":
        pod["containers"].append({"name": slots.line(_list(".Values.allocator.extraContainers"))})
    for whose, key, name in ((container, "volumeMounts", "Mounts"), (pod, "volumes", "Volumes")):
        include = f'include "purelb.more{name}" (list . "{program}")'
        if key in whose:
            whose[key].append({"name": slots.line(f"{{{{- {include} | nindent INDENT }}}}")})
        else:
            whose[key] = slots.listed(key, include)
    if program == "lbnodeagent":
        for where, name in ((container["volumeMounts"], "purelb.birdMount"), (pod["volumes"], "purelb.birdVolume")):
            where.append({"name": slots.line(f'{{{{- include "{name}" . | nindent INDENT }}}}')})


def _template_bird(pod: Object, container: Object, slots: Slots) -> None:
    values = {
        "UPLINK": '.Values.bird.uplink | default "gateway"',
        "NODE_AS": ".Values.bird.nodeAS | default 64515 | int64",
        "INTERFACE": '.Values.bird.interface | default "kube-lb0"',
        "BFD_SECONDS": ".Values.bird.bfdSeconds | default 1 | int64",
    }
    for entry in container["env"]:
        if value := values.get(entry["name"]):
            entry["value"] = slots.scalar(f"{{{{ {value} | quote }}}}")
    pod["tolerations"] = slots.line('{{- include "purelb.birdTolerations" . | nindent INDENT }}')
    (configuration,) = (one for one in pod["volumes"] if one["name"] == "config")
    configuration["configMap"]["name"] = slots.scalar(_name("bird-cm"))


def _template_image(container: Object, program: str, slots: Slots) -> None:
    policy = f'include "purelb.pullPolicy" (list . "{program}")'
    image = container["image"]
    container["image"] = slots.scalar(f'{{{{ include "purelb.image" (list . "{program}" "{image}") }}}}')
    if default := container.get("imagePullPolicy"):
        container["imagePullPolicy"] = slots.scalar(f'{{{{ {policy} | default "{default}" }}}}')
    else:
        _insert_after(container, "image", "imagePullPolicy", slots.optional("imagePullPolicy", policy))


def _monitored(port: str) -> str:
    """The port of the metrics: one of their own over TLS."""
    return f'{{{{ {_OVER_TLS} | ternary "metrics-tls" "{port}" }}}}'


def _list(value: str) -> str:
    """Further entries of a list."""
    return f"{{{{- with {value} }}}}{{{{ toYaml . | nindent INDENT }}}}{{{{- end }}}}"


def _name(name: str) -> str:
    return f'{{{{ include "purelb.name" (list . "{name}") }}}}'


def _role(name: str) -> str:
    return f'{{{{ include "purelb.role" (list . "{name.partition(":")[2]}") }}}}'


def _account(program: str) -> str:
    return f'{{{{ include "purelb.serviceAccount" (list . "{program}") | quote }}}}'


def _labels(template: str, labels: Mapping[str, str] | None, more: str) -> str:
    """The labels of an object: its own, those of the release, and `more`, a value of the chart, in this order."""
    own = " ".join(f'"{key}" "{value}"' for key, value in (labels or {}).items() if key not in _OF_A_RELEASE)
    return f'{{{{- include "{template}" (list . (dict {own}){more}) | nindent INDENT }}}}'


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


def chart_files(complete: str, crds: Path, manifests: Path) -> Iterator[tuple[Path, str]]:
    """Path and text of each generated file: of `complete`, all objects in one text, of the CRDs in that folder, and of
    what else is in manifests/."""
    yield from _program_files(complete)
    for name, (template, condition) in _OPTIONAL.items():
        objects = [one for one in yaml.safe_load_all((manifests / name).read_text()) if one]
        for one in objects:
            if not one["kind"].startswith(_CLUSTER_WIDE):
                one["metadata"].setdefault("namespace", NAMESPACE)
        text = "---\n".join(template_of(one) for one in objects)
        header = _HEADER.replace("SOURCE", f"manifests/{name}")
        yield CHART / "templates" / template, f"{header}{{{{- if {condition} }}}}\n{text}{{{{- end }}}}\n"
    for folder in ("", "legacy"):
        for source in sorted((crds / folder).glob("*.purelb.io.yaml")):
            text = source.read_text()
            if not folder:
                yield CHART / "crds" / source.name, text
            yield CHART / "files" / "crds" / folder / source.name, text.replace("metadata:\n", _KEPT, 1)


def _program_files(complete: str) -> Iterator[tuple[Path, str]]:
    files: dict[str, list[str]] = {}
    for obj in yaml.safe_load_all(complete):
        if obj and is_templated(obj):
            _without_version(obj)
            files.setdefault(_file_of(obj), []).append(template_of(obj))
    for name, documents in files.items():
        text = "---\n".join(documents)
        if name.startswith(_LEASE):
            text = f"{{{{- if .Values.lbnodeagent.nodeLease }}}}\n{text}{{{{- end }}}}\n"
        yield CHART / "templates" / name, _HEADER.replace("SOURCE", "purelb-complete.yaml") + text


def _without_version(obj: Object) -> None:
    """The release's version takes the place of the manifests'."""
    for metadata in (obj["metadata"], obj.get("spec", {}).get("template", {}).get("metadata", {})):
        metadata.get("labels", {}).pop(_VERSION, None)


def _file_of(obj: Object) -> str:
    program = obj["metadata"]["name"].rpartition(":")[2]
    return f"{program}.yaml" if obj["kind"] in ("Deployment", "DaemonSet") else f"{program}-access.yaml"
