"""Bodies in Kubernetes' protobuf, which kubectl's typed commands send (`create namespace`, `auth can-i`, ...).

Owns the envelope and the field numbers of the kinds that kubectl creates so. Types come from the built-in schemas, by
JSON name. Answers are JSON: every such client takes that too. Field numbers: `generated.proto` of k8s.io/api 1.36.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from .errors import JsonObject, unsupported_media_type
from .schemas import REF, BuiltInSchemas, short_name

MEDIA_TYPE: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"

# definition: field numbers and JSON names. A name with "+" is a message whose fields are inline in JSON.
_MESSAGES: Final = """
BoundObjectReference: 1 kind 2 apiVersion 3 name 4 uid
ClientIPConfig: 1 timeoutSeconds
ClusterRole: 1 metadata 2 rules
ClusterRoleBinding: 1 metadata 2 subjects 3 roleRef
ConfigMap: 1 metadata 2 data 3 binaryData 4 immutable
Container: 1 name 2 image 3 command 4 args 5 workingDir 6 ports 7 env 8 resources 14 imagePullPolicy 16 stdin 18 tty
ContainerPort: 1 name 2 hostPort 3 containerPort 4 protocol 5 hostIP
CronJob: 1 metadata 2 spec
CronJobSpec: 1 schedule 2 startingDeadlineSeconds 3 concurrencyPolicy 4 suspend 5 jobTemplate 8 timeZone
DeleteOptions: 1 gracePeriodSeconds 2 preconditions 3 orphanDependents 4 propagationPolicy 5 dryRun
Deployment: 1 metadata 2 spec
DeploymentSpec: 1 replicas 2 selector 3 template 4 strategy 5 minReadySeconds 6 revisionHistoryLimit 7 paused
DeploymentStrategy: 1 type 2 rollingUpdate
EnvVar: 1 name 2 value
Eviction: 1 metadata 2 deleteOptions
HTTPIngressPath: 1 path 2 backend 3 pathType
HTTPIngressRuleValue: 1 paths
Ingress: 1 metadata 2 spec
IngressBackend: 4 service
IngressRule: 1 host 2 +ingressRuleValue
IngressRuleValue: 1 http
IngressServiceBackend: 1 name 2 port
IngressSpec: 1 defaultBackend 2 tls 3 rules 4 ingressClassName
IngressTLS: 1 hosts 2 secretName
Job: 1 metadata 2 spec
JobSpec: 1 parallelism 2 completions 3 activeDeadlineSeconds 4 selector 6 template 7 backoffLimit 10 suspend
JobTemplateSpec: 1 metadata 2 spec
LabelSelector: 1 matchLabels 2 matchExpressions
LabelSelectorRequirement: 1 key 2 operator 3 values
LocalObjectReference: 1 name
Namespace: 1 metadata 2 spec
NamespaceSpec: 1 finalizers
NonResourceAttributes: 1 path 2 verb
ObjectMeta: 1 name 2 generateName 3 namespace 5 uid 6 resourceVersion 11 labels 12 annotations 13 ownerReferences 14 finalizers
ObjectReference: 1 kind 2 namespace 3 name 4 uid 5 apiVersion 6 resourceVersion 7 fieldPath
OwnerReference: 1 kind 3 name 4 uid 5 apiVersion 6 controller 7 blockOwnerDeletion
PodDisruptionBudget: 1 metadata 2 spec
PodDisruptionBudgetSpec: 1 minAvailable 2 selector 3 maxUnavailable
PodSpec: 2 containers 3 restartPolicy 4 terminationGracePeriodSeconds 7 nodeSelector 8 serviceAccountName 10 nodeName
PodTemplateSpec: 1 metadata 2 spec
PolicyRule: 1 verbs 2 apiGroups 3 resources 4 resourceNames 5 nonResourceURLs
Preconditions: 1 uid 2 resourceVersion
PriorityClass: 1 metadata 2 value 3 globalDefault 4 description 5 preemptionPolicy
ResourceAttributes: 1 namespace 2 verb 3 group 4 version 5 resource 6 subresource 7 name
ResourceQuota: 1 metadata 2 spec
ResourceQuotaSpec: 1 hard 2 scopes
ResourceRequirements: 1 limits 2 requests
Role: 1 metadata 2 rules
RoleBinding: 1 metadata 2 subjects 3 roleRef
RoleRef: 1 apiGroup 2 kind 3 name
RollingUpdateDeployment: 1 maxUnavailable 2 maxSurge
Secret: 1 metadata 2 data 3 type 4 stringData 5 immutable
SelfSubjectAccessReview: 1 metadata 2 spec
SelfSubjectAccessReviewSpec: 1 resourceAttributes 2 nonResourceAttributes
SelfSubjectReview: 1 metadata
SelfSubjectRulesReview: 1 metadata 2 spec
SelfSubjectRulesReviewSpec: 1 namespace
Service: 1 metadata 2 spec
ServiceAccount: 1 metadata 2 secrets 3 imagePullSecrets 4 automountServiceAccountToken
ServiceBackendPort: 1 name 2 number
ServicePort: 1 name 2 protocol 3 port 4 targetPort 5 nodePort 6 appProtocol
ServiceSpec: 1 ports 2 selector 3 clusterIP 4 type 5 externalIPs 7 sessionAffinity 8 loadBalancerIP 9 loadBalancerSourceRanges 10 externalName 11 externalTrafficPolicy 17 ipFamilyPolicy 18 clusterIPs 19 ipFamilies 20 allocateLoadBalancerNodePorts 21 loadBalancerClass 22 internalTrafficPolicy 23 trafficDistribution
Subject: 1 kind 2 apiGroup 3 name 4 namespace
SubjectAccessReview: 1 metadata 2 spec
SubjectAccessReviewSpec: 1 resourceAttributes 2 nonResourceAttributes 3 user 4 groups 6 uid
TokenRequest: 1 metadata 2 spec
TokenRequestSpec: 1 audiences 3 boundObjectRef 4 expirationSeconds
TokenReview: 1 metadata 2 spec
TokenReviewSpec: 1 token 2 audiences
"""  # noqa: E501

# Go sends plain fields also when they are empty, pointers only when they are set: in these, empty means something.
_POINTERS: Final = frozenset(
    [
        "allocateLoadBalancerNodePorts",
        "automountServiceAccountToken",
        "backoffLimit",
        "completions",
        "expirationSeconds",
        "gracePeriodSeconds",
        "immutable",
        "orphanDependents",
        "parallelism",
        "replicas",
        "suspend",
    ]
)


class WireError(ValueError):
    """The bytes are no protobuf of the kind that they claim to be."""


class ProtobufReader:
    def __init__(self, schemas: BuiltInSchemas) -> None:
        self._schemas = schemas
        self._messages: dict[str, dict[int, str]] = {}
        for line in _MESSAGES.strip().splitlines():
            name, _, rest = line.partition(": ")
            words = rest.split()
            self._messages[name] = {int(number): field for number, field in zip(words[::2], words[1::2], strict=True)}

    def read(self, body: bytes) -> JsonObject:
        """The object as JSON. Raises WireError, or `StatusError` 415 for a kind whose fields are not known here."""
        if not body.startswith(_MAGIC):
            raise WireError("no protobuf of Kubernetes")
        envelope = dict(_fields(body[len(_MAGIC) :]))
        kind_of = {number: _text(value) for number, value in _fields(_bytes(envelope.get(1, b"")))}
        version, kind = kind_of.get(1, ""), kind_of.get(2, "")
        group = version.rpartition("/")[0]
        obj: JsonObject = {"kind": kind, "apiVersion": version}
        root = self._schemas.root(group, kind)
        if root is None or kind not in self._messages:
            raise unsupported_media_type(("application/json", "application/yaml"))
        obj.update(self._message(kind, root, _bytes(envelope.get(2, b""))))
        return obj

    def _message(self, name: str, schema: JsonObject, raw: bytes) -> JsonObject:
        known = self._messages.get(name, {})
        properties = self._schemas.resolve(schema).get("properties", {})
        out: JsonObject = {}
        for number, value in _fields(raw):
            field = known.get(number)
            if field is None:
                continue
            if field.startswith("+"):
                inline = field[1].upper() + field[2:]
                out.update(self._message(inline, schema, _bytes(value)))
                continue
            if field == "uid" and "uid" not in properties:
                field = "uID"
            if field in properties:
                self._put(out, field, properties[field], value)
        return out

    def _put(self, out: JsonObject, field: str, schema: JsonObject, value: int | bytes) -> None:
        kind = schema.get("type")
        if kind == "array":
            items = schema.get("items", {})
            out.setdefault(field, []).append(self._value(items, value))
            return
        if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
            entry = dict(_fields(_bytes(value)))
            inner = self._value(schema["additionalProperties"], entry.get(2, b""))
            out.setdefault(field, {})[_text(entry.get(1, b""))] = inner
            return
        made = self._value(schema, value)
        if made or field in _POINTERS:
            out[field] = made

    def _value(self, schema: JsonObject, value: int | bytes) -> Any:
        ref = schema.get("$ref") or next((part.get("$ref") for part in schema.get("allOf", ())), None)
        if ref:
            return self._message(short_name(ref.removeprefix(REF)), schema, _bytes(value))
        if schema.get("format") == "int-or-string":
            parts = dict(_fields(_bytes(value)))
            return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))
        if "oneOf" in schema:  # a quantity
            return _text(next((inner for _, inner in _fields(_bytes(value))), b""))
        match schema.get("type"), schema.get("format"):
            case "integer", _:
                return _signed(value)
            case "boolean", _:
                return bool(value)
            case "string", "byte":
                return base64.b64encode(_bytes(value)).decode()
            case "string", "date-time":
                return _time(_bytes(value))
            case _:
                return _text(value)


def _time(raw: bytes) -> str | None:
    seconds = dict(_fields(raw)).get(1)
    if not isinstance(seconds, int):
        return None
    return datetime.fromtimestamp(_signed(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# The wire format: https://protobuf.dev/programming-guides/encoding/


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise WireError("a number is cut off")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values in order. Raises WireError."""
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        match key & 7:
            case 0:
                number, at = _varint(raw, at)
                yield key >> 3, number
            case 2:
                length, at = _varint(raw, at)
                if at + length > len(raw):
                    raise WireError("a field is cut off")
                yield key >> 3, raw[at : at + length]
                at += length
            case 1:
                yield key >> 3, raw[at : at + 8]
                at += 8
            case 5:
                yield key >> 3, raw[at : at + 4]
                at += 4
            case wire:
                raise WireError(f"wire type {wire}")


def _bytes(value: int | bytes) -> bytes:
    if not isinstance(value, bytes):
        raise WireError("a number where a message belongs")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _bytes(value).decode()
    except UnicodeDecodeError:
        raise WireError("text that is not UTF-8") from None


def _signed(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise WireError("a message where a number belongs")
    return value - (1 << 64) if value >= 1 << 63 else value
