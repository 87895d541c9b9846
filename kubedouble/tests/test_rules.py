"""The pure parts that decide: selectors, schemas, CEL, field sets, columns, paths, protobuf."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedouble.ages import age, human_duration
from kubedouble.cel import compile_rules
from kubedouble.columns import BUILT_IN_COLUMNS
from kubedouble.errors import StatusError
from kubedouble.fault import Fault, Meeting
from kubedouble.fieldsets import Typed, fields_of, from_fields_v1, merge, shown, to_fields_v1, without
from kubedouble.jsonpath import find
from kubedouble.negotiation import accept, read_yaml
from kubedouble.paths import Target, parse
from kubedouble.protobuf import ProtobufReader, WireError
from kubedouble.resources import BUILT_IN, version_priority
from kubedouble.schemas import built_in_schemas, short_name
from kubedouble.selectors import matches_label_selector, parse_fields, parse_labels
from kubedouble.structural import default, parse_duration, prune, validate


class TestSelectors:
    @pytest.mark.parametrize(
        ("text", "labels", "taken"),
        [
            ("a=1", {"a": "1"}, True),
            ("a==1,b", {"a": "1"}, False),
            ("a!=1", {}, True),
            ("a in (1, 2)", {"a": "2"}, True),
            ("a notin (1,2)", {}, True),
            ("!a", {"a": ""}, False),
            ("a", {"a": ""}, True),
            ("a>5,a<7", {"a": "6"}, True),
            ("a>5", {"a": "many"}, False),
        ],
    )
    def test_labels(self, text: str, labels: dict[str, str], taken: bool) -> None:
        selector = parse_labels(text)

        assert selector is not None
        assert selector({"metadata": {"labels": labels}}) is taken

    def test_text_that_is_no_selector_is_refused(self) -> None:
        with pytest.raises(StatusError, match="unable to parse requirement"):
            parse_labels("a=b=c")
        with pytest.raises(StatusError, match=r"field label not supported: spec\.x"):
            parse_fields("spec.x=1", "/services")

    def test_fields_compare_as_text(self) -> None:
        schedulable = parse_fields("spec.unschedulable=false", "/nodes")

        assert schedulable is not None
        assert schedulable({"spec": {}})
        assert not schedulable({"spec": {"unschedulable": True}})

    def test_a_null_label_selector_takes_nothing_and_an_empty_one_all(self) -> None:
        expression = {"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}

        assert not matches_label_selector(None, {})
        assert matches_label_selector({}, {"a": "1"})
        assert matches_label_selector(expression, {})
        assert not matches_label_selector(expression, {"a": "1"})


class TestPaths:
    @pytest.mark.parametrize(
        ("method", "path", "query", "target"),
        [
            ("GET", "/api/v1/services", {}, Target("list", "", "v1", "services")),
            ("GET", "/api/v1/services", {"watch": "1"}, Target("watch", "", "v1", "services")),
            ("GET", "/api/v1/watch/services", {}, Target("watch", "", "v1", "services")),
            ("PATCH", "/api/v1/namespaces/n/services/a/status", {},
             Target("patch", "", "v1", "services", "n", "a", "status")),
            ("GET", "/api/v1/namespaces/n", {}, Target("get", "", "v1", "namespaces", "n", "n")),
            ("PUT", "/api/v1/namespaces/n/finalize", {},
             Target("update", "", "v1", "namespaces", "n", "n", "finalize")),
            ("DELETE", "/apis/purelb.io/v1/namespaces/n/servicegroups", {},
             Target("deletecollection", "purelb.io", "v1", "servicegroups", "n")),
            ("GET", "/apis/apps/v1", {}, None),
            ("GET", "/version", {}, None),
        ],
    )  # fmt: skip
    def test_a_path_says_what_is_asked(
        self, method: str, path: str, query: dict[str, str], target: Target | None
    ) -> None:
        assert parse(method, path, query) == target

    def test_versions_are_preferred_as_kubernetes_does(self) -> None:
        versions = ["v1alpha1", "v2", "foo", "v1beta2", "v10", "v1", "v1beta1"]

        assert sorted(versions, key=version_priority) == ["v10", "v2", "v1", "v1beta2", "v1beta1", "v1alpha1", "foo"]

    def test_accept_takes_the_first_form_it_knows(self) -> None:
        assert accept("application/json;as=Table;v=v1;g=meta.k8s.io,application/json").form == "Table"
        assert accept("application/vnd.kubernetes.protobuf,application/json").form == ""
        with pytest.raises(StatusError):
            accept("text/html")

    def test_times_in_yaml_stay_text(self) -> None:
        assert read_yaml(b"a: 2026-01-01T00:00:00Z\nb: 1\n") == {"a": "2026-01-01T00:00:00Z", "b": 1}


SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "default": {},
            "properties": {
                "size": {"type": "integer", "default": 3},
                "kept": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                "named": {"type": "object", "additionalProperties": {"type": "object", "properties": {
                    "x": {"type": "boolean", "default": True}}}},
                "null": {"type": "string", "nullable": True},
            },
        }
    },
}  # fmt: skip


class TestStructuralSchemas:
    def test_pruning_says_what_it_drops(self) -> None:
        obj = {"apiVersion": "v", "metadata": {"any": 1}, "spec": {"odd": 1, "kept": {"odd": 2}}, "more": 1}

        clean, gone = prune(obj, SCHEMA)

        assert clean == {"apiVersion": "v", "metadata": {"any": 1}, "spec": {"kept": {"odd": 2}}}
        assert gone == ["spec.odd", "more"]

    def test_defaults_go_into_defaulted_objects_and_maps(self) -> None:
        obj: dict[str, Any] = {}
        default(obj, SCHEMA)
        assert obj == {"spec": {"size": 3}}

        filled: dict[str, Any] = {"spec": {"size": None, "named": {"a": {}}, "null": None}}
        default(filled, SCHEMA)
        assert filled == {"spec": {"size": 3, "named": {"a": {"x": True}}, "null": None}}

    @pytest.mark.parametrize(
        ("schema", "value", "sentence"),
        [
            ({"type": "string", "minLength": 2}, "a",
             'x: Invalid value: "a": x in body should be at least 2 chars long'),
            ({"type": "string", "format": "ipv4"}, "z", 'x: Invalid value: "z": x in body must be of type ipv4: "z"'),
            ({"type": "string", "format": "cidr"}, "1.2.3.4", 'x in body must be of type cidr: "1.2.3.4"'),
            ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, 5, "should be less than 5"),
            ({"type": "number", "multipleOf": 0.5}, 0.7, "should be a multiple of 0.5"),
            ({"type": "array", "minItems": 1}, [], "x: Invalid value: 0: x in body should have at least 1 items"),
            ({"type": "array", "maxItems": 1}, [1, 2], "x: Too many: 2: must have at most 1 items"),
            ({"type": "array", "uniqueItems": True}, [1, 1], "shouldn't contain duplicates"),
            ({"type": "object", "minProperties": 1}, {}, "should have at least 1 properties"),
            ({"type": "object", "required": ["y"]}, {}, "x.y: Required value"),
            ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, {"a": 1, "b": 1},
             "one and only one schema (oneOf)"),
            ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, {}, "at least one schema (anyOf)"),
            ({"not": {"required": ["a"]}}, {"a": 1}, "must not validate the schema (not)"),
            ({"x-kubernetes-int-or-string": True}, True, 'must be of type integer,string: "boolean"'),
            ({"type": "string"}, None, 'x: Invalid value: "null": x in body must be of type string: "null"'),
        ],
    )  # fmt: skip
    def test_what_is_refused(self, schema: dict[str, Any], value: Any, sentence: str) -> None:
        causes = [cause.sentence() for cause in validate(value, schema, "x", root=False)]

        assert any(sentence in cause for cause in causes), causes

    def test_durations_are_gos(self) -> None:
        assert parse_duration("1h30m") == timedelta(minutes=90)
        assert parse_duration("-250ms") == timedelta(milliseconds=-250)
        with pytest.raises(ValueError, match="invalid duration"):
            parse_duration("1 day")


def rule(text: str, value: Any, old: Any = None, **schema: Any) -> list[str]:
    """What a rule at the root says of an object."""
    rules = compile_rules({"x-kubernetes-validations": [{"rule": text}], **schema})
    assert not rules.errors("")
    return [cause.message for cause in rules.check(value, old)]


class TestCel:
    @pytest.mark.parametrize(
        "text",
        [
            "isIP('10.0.0.1') && isIP('fd00::1') && !isIP('10.0.0.256')",
            "!isIP('::ffff:1.2.3.4') && !isIP('010.1.1.1')",
            "isCIDR('10.0.0.0/8') && isCIDR('10.1.1.1/8') && !isCIDR('10.0.0.0') && !isCIDR('10.0.0.0/33')",
            "ip('10.0.0.1').family() == 4 && ip('fd00::1').family() == 6",
            "ip('fd00::1') == ip('fd00:0::1') && ip.isCanonical('fd00::1') && !ip.isCanonical('fd00:0::1')",
            "cidr('10.0.0.0/8').containsIP('10.1.2.3') && !cidr('10.0.0.0/8').containsIP(ip('11.0.0.1'))",
            "!cidr('10.0.0.0/8').containsIP(ip('fd00::1'))",
            "cidr('10.0.0.0/8').containsCIDR('10.1.0.0/16') && !cidr('10.1.0.0/16').containsCIDR(cidr('10.0.0.0/8'))",
            "cidr('10.1.2.3/8').masked() == cidr('10.0.0.0/8') && cidr('10.1.2.3/8').ip() == ip('10.1.2.3')",
            "cidr('10.0.0.0/26').prefixLength() == 26 && string(ip('10.0.0.1')) == '10.0.0.1'",
            "ip('127.0.0.1').isLoopback() && ip('0.0.0.0').isUnspecified() && ip('8.8.8.8').isGlobalUnicast()",
            "ip('fe80::1').isLinkLocalUnicast() && ip('224.0.0.5').isLinkLocalMulticast()",
            "'10.0.0.1-10.0.0.9'.split('-').all(part, isIP(part))",
            "'a-b'.replace('-', '+') == 'a+b' && ' x '.trim() == 'x' && 'Ab'.lowerAscii() == 'ab'",
            "'hello'.substring(1, 3) == 'el' && 'hello'.indexOf('l') == 2 && 'hello'.lastIndexOf('l') == 3",
            "'a1b22'.findAll('[0-9]+') == ['1', '22'] && 'abc'.matches('^a.c$') && 'x%d'.format([3]) == 'x3'",
            "[1, 2].isSorted() && [1, 2].sum() == 3 && [1, 3].max() == 3 && [1, 2].indexOf(2) == 1",
            "[1, 2, 3].exists_one(x, x == 2) && ['a', 'b'].join('-') == 'a-b' && size('abc') == 3",
        ],
    )  # fmt: skip
    def test_functions(self, text: str) -> None:
        assert rule(text, {}) == []

    def test_names_that_are_no_identifiers_are_escaped(self) -> None:
        properties = {"a-b": {"type": "string"}, "namespace": {"type": "string"}}

        assert rule("self.a__dash__b == 'x' && self.__namespace__ == 'y'", {"a-b": "x", "namespace": "y"},
                    properties=properties) == []  # fmt: skip

    def test_a_message_can_be_made_by_an_expression(self) -> None:
        rules = compile_rules(
            {
                "type": "object",
                "x-kubernetes-validations": [
                    {"rule": "self.n < 3", "messageExpression": "'%d is too much'.format([self.n])", "fieldPath": ".n"}
                ],
            }
        )

        assert [cause.sentence() for cause in rules.check({"n": 4}, None)] == ["n: Invalid value: 4 is too much"]

    def test_a_transition_rule_waits_for_an_old_value(self) -> None:
        assert rule("self.n >= oldSelf.n", {"n": 1}) == []
        assert rule("self.n >= oldSelf.n", {"n": 1}, {"n": 2}) == ["Invalid value: failed rule: self.n >= oldSelf.n"]

    @pytest.mark.parametrize(
        "text",
        [
            "!isIP(self.s) || [ip(self.s)].all(a, a.family() == 4)",
            "['x'].all(a, !isIP(self.s) || cidr(self.s + '/8').containsIP('10.0.0.1'))",
            "isIP(self.s) && ip(self.s).family() == 4 ? false : true",
            "['a', self.s].exists(a, a == 'a' || ip(a).family() == 4)",
        ],
    )
    def test_what_is_decided_on_the_left_is_not_asked_on_the_right(self, text: str) -> None:
        assert rule(text, {"s": "no address"}) == []

    def test_an_error_that_nothing_decides_refuses(self) -> None:
        [sentence] = rule("ip(self.s).family() == 4 || self.n > 5", {"s": "no address", "n": 1})

        assert "unable to parse IP evaluating rule" in sentence

    def test_a_pattern_that_re2_refuses_refuses_the_object(self) -> None:
        [sentence] = rule("'eth0'.matches(self.s) in [true, false]", {"s": "(?!lo)"})

        assert "error parsing regexp: " in sentence
        assert rule("'eth0'.matches(self.s) in [true, false]", {"s": "^lo$"}) == []

    def test_what_an_update_leaves_as_it_was_is_not_checked_again(self) -> None:
        assert rule("self.n > 5", {"n": 1}, {"n": 1}) == []
        assert rule("self.n > 5", {"n": 2}, {"n": 1}) != []

    def test_items_of_a_keyed_list_are_compared_with_their_old_selves(self) -> None:
        item = {
            "type": "object",
            "properties": {"name": {"type": "string"}, "n": {"type": "integer"}},
            "x-kubernetes-validations": [{"rule": "self.n == oldSelf.n", "message": "fixed"}],
        }
        rules = compile_rules(
            {"type": "array", "items": item, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
        )
        old: Any = [{"name": "a", "n": 1}, {"name": "b", "n": 2}]
        new: Any = [{"name": "b", "n": 3}, {"name": "c", "n": 9}, {"name": "a", "n": 1}]

        assert [cause.field for cause in rules.check(new, old)] == ["[0]"]

    def test_what_can_not_be_evaluated_is_a_refusal(self) -> None:
        assert "unable to parse IP" in rule("ip(self.a).family() == 4", {"a": "z"})[0]
        assert "no such key: b" in rule("self.b == 1", {"a": 1})[0]

    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("self.", "Syntax error"),
            ("nonsense(self)", "undeclared reference to 'nonsense'"),
            ("other.a == 1", "undeclared reference to 'other'"),
            ("self.b == 1", "undefined field 'b'"),
        ],
    )
    def test_what_does_not_compile_is_said_at_the_definition(self, text: str, why: str) -> None:
        schema = {"properties": {"a": {"type": "string"}}, "x-kubernetes-validations": [{"rule": text}]}

        errors = compile_rules(schema).errors("schema")

        assert [error.field for error in errors] == ["schema.x-kubernetes-validations[0].rule"]
        assert why in errors[0].message


PORTS: dict[str, Any] = {
    "properties": {
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {"properties": {"port": {}, "protocol": {}, "name": {}}},
        },
        "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {}},
        "whole": {"x-kubernetes-map-type": "atomic"},
    }
}
TYPED = Typed(PORTS, lambda schema: schema)


class TestFieldSets:
    def test_items_are_known_by_their_keys(self) -> None:
        fields = fields_of({"ports": [{"port": 80, "name": "a"}], "tags": ["x"], "whole": {"a": {"b": 1}}}, TYPED)

        item = 'k:{"port":80,"protocol":"TCP"}'
        assert fields == {
            ("f:ports", item),
            ("f:ports", item, "f:port"),
            ("f:ports", item, "f:name"),
            ("f:tags", 'v:"x"'),
            ("f:whole",),
        }
        assert shown(("f:ports", item, "f:name")) == '.ports[port=80,protocol="TCP"].name'

    def test_a_merge_keeps_what_it_does_not_name(self) -> None:
        live = {"ports": [{"port": 80, "protocol": "TCP", "name": "a"}, {"port": 81, "protocol": "TCP"}], "tags": ["x"]}
        intent = {"ports": [{"port": 81, "name": "b"}], "tags": ["y"], "whole": {"c": 1}}

        merged = merge(live, intent, TYPED)

        assert [port.get("name") for port in merged["ports"]] == ["a", "b"]
        assert merged["tags"] == ["x", "y"]
        assert without(merged, TYPED, ("f:ports", 'k:{"port":80,"protocol":"TCP"}'))["ports"] == [
            {"port": 81, "protocol": "TCP", "name": "b"}
        ]

    @given(
        st.sets(
            st.lists(st.sampled_from(["f:a", "f:b", 'k:{"n":1}', 'v:"x"']), min_size=1, max_size=4).map(tuple),
            max_size=8,
        )
    )
    def test_fields_v1_keeps_leaves_and_items(self, fields: set[tuple[str, ...]]) -> None:
        kept = {
            path
            for path in fields
            if path[-1].startswith("k:") or not any(other[: len(path)] == path != other for other in fields)
        }

        assert from_fields_v1(to_fields_v1(kept)) == kept


class TestColumns:
    @pytest.mark.parametrize(
        ("seconds", "text"),
        [(0, "0s"), (119, "119s"), (120, "2m"), (192, "3m12s"), (900, "15m"),
         (3 * 3600 + 300, "3h5m"), (9 * 3600, "9h"),
         (50 * 3600, "2d2h"), (30 * 86400, "30d"), (800 * 86400, "2y70d"), (-5, "<invalid>")],
    )  # fmt: skip
    def test_ages(self, seconds: int, text: str) -> None:
        assert human_duration(seconds) == text

    def test_an_age_is_counted_from_a_time(self) -> None:
        assert age((datetime.now(UTC) - timedelta(seconds=61)).isoformat()) == "61s"
        assert age(None) == "<unknown>"

    def cells(self, table: str, obj: dict[str, Any]) -> dict[str, Any]:
        obj.setdefault("metadata", {"name": "a"})
        return {column.name: column.cell(obj) for column in BUILT_IN_COLUMNS[table]}

    def test_services(self) -> None:
        balanced = {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000}]},
                    "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "h"}]}}}  # fmt: skip

        assert self.cells("/services", balanced)["External-IP"] == "10.0.0.1,h"
        assert self.cells("/services", balanced)["Port(s)"] == "80:30000/TCP"
        assert self.cells("/services", {"spec": {"type": "LoadBalancer"}})["External-IP"] == "<pending>"
        assert self.cells("/services", {"spec": {"type": "ExternalName", "externalName": "x"}})["External-IP"] == "x"

    def test_pods(self) -> None:
        running = {"name": "main", "ready": True, "restartCount": 2, "state": {"running": {}}}
        crashed = {"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        base: dict[str, Any] = {"spec": {"containers": [{}]}}

        shown = self.cells("/pods", {**base, "status": {"phase": "Running", "containerStatuses": [running]}})
        assert shown | {"Age": ""} == {
            "Name": "a", "Ready": "1/1", "Status": "Running", "Restarts": "2", "Age": "", "IP": "<none>",
            "Node": "<none>", "Nominated Node": "<none>", "Readiness Gates": "<none>",
        }  # fmt: skip
        waiting = {**base, "status": {"phase": "Running", "containerStatuses": [crashed]}}
        assert self.cells("/pods", waiting)["Status"] == "CrashLoopBackOff"
        dying = {**base, "metadata": {"name": "a", "deletionTimestamp": "x"}, "status": {"phase": "Running"}}
        assert self.cells("/pods", dying)["Status"] == "Terminating"

    @pytest.mark.parametrize(
        ("path", "found"),
        [
            (".spec.a", [1]),
            ("{.spec.a}", [1]),
            (".spec.list[0].n", ["x"]),
            (".spec.list[*].n", ["x", "y"]),
            ('.spec.list[?(@.n=="y")].v', [2]),
            (".spec.list[?(@.v>1)].n", ["y"]),
            (r".metadata.labels.a\.b/c", ["d"]),
            (".metadata.labels['a.b/c']", ["d"]),
            (".spec.nothing.here", []),
            (".spec.[", []),
        ],
    )
    def test_json_paths(self, path: str, found: list[Any]) -> None:
        obj = {
            "spec": {"a": 1, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]},
            "metadata": {"labels": {"a.b/c": "d"}},
        }

        assert find(obj, path) == found


class TestSchemasOfTheClient:
    def test_every_field_that_the_client_maps_is_known(self) -> None:
        """The models say their fields twice; what we read from the one must be what the other says."""
        schemas = built_in_schemas()
        for resource in BUILT_IN:
            schemas.root(resource.group, resource.kind)
        models = Path(schemas._models)
        checked = 0
        for class_name, module in schemas._files.items():
            definition = next(
                (schemas._definitions[name] for name in _names(class_name) if name in schemas._definitions), None
            )
            if definition is None:
                continue
            text = (models / f"{module}.py").read_text()
            mapped = re.search(r"attribute_map: ClassVar\[Dict\[str, str\]\] = (\{.*?\})", text, re.DOTALL)
            assert mapped is not None
            assert set(ast.literal_eval(mapped[1]).values()) == set(definition["properties"]), class_name
            checked += 1
        assert checked > 300

    def test_lists_say_how_they_merge(self) -> None:
        schemas = built_in_schemas()
        schemas.root("", "Pod")
        containers = schemas.definition("io.k8s.api.core.v1.PodSpec")["properties"]["containers"]

        assert containers["x-kubernetes-patch-merge-key"] == "name"
        assert short_name(containers["items"]["$ref"]) == "Container"


def _names(class_name: str) -> list[str]:
    from kubedouble.schemas import _definition_name

    return [_definition_name(class_name)]


class TestProtobuf:
    # `kubectl create namespace foo` and `kubectl auth can-i create pods`, as they were on the wire.
    NAMESPACE = (
        b'k8s\x00\n\x0f\n\x02v1\x12\tNamespace\x12\x1b\n\x13\n\x03foo\x12\x00\x1a\x00"\x00*\x002\x008\x00B\x00'
        b'\x12\x00\x1a\x02\n\x00\x1a\x00"\x00'
    )
    REVIEW = (
        b'k8s\x00\n2\n\x17authorization.k8s.io/v1\x12\x17SelfSubjectAccessReview\x12?\n\x10\n\x00\x12\x00\x1a\x00"\x00*\x00'
        b'2\x008\x00B\x00\x12!\n\x1f\n\x07default\x12\x06create\x1a\x00"\x00*\x04pods2\x00:\x00\x1a\x08\x08\x00\x12\x00\x1a\x00'
        b' \x00\x1a\x00"\x00'
    )

    def reader(self) -> ProtobufReader:
        return ProtobufReader(built_in_schemas())

    def test_what_kubectl_sends_is_read(self) -> None:
        assert self.reader().read(self.NAMESPACE) == {
            "kind": "Namespace", "apiVersion": "v1", "metadata": {"name": "foo"},
        }  # fmt: skip
        assert self.reader().read(self.REVIEW)["spec"] == {
            "resourceAttributes": {"namespace": "default", "verb": "create", "resource": "pods"}
        }

    @given(st.binary(max_size=60))
    def test_garbage_is_refused_and_nothing_worse(self, body: bytes) -> None:
        for raw in (body, b"k8s\x00" + body, self.NAMESPACE[:-1] + body, self.NAMESPACE[: len(body)]):
            try:
                self.reader().read(raw)
            except (WireError, StatusError):
                continue


def test_a_fault_meets_by_all_that_it_names() -> None:
    fault = Fault("status", verb="patch", resource="services", user_agent="kopf")
    meets: Callable[..., bool] = lambda **more: fault.meets(  # noqa: E731
        Meeting(**{"method": "PATCH", "verb": "patch", "resource": "services", "user_agent": "kopf/1.45", **more})
    )

    assert meets()
    assert not meets(verb="get")
    assert not meets(resource="pods")
    assert not meets(user_agent="kubectl")
    assert not Fault("read-only").meets(Meeting("GET", verb="list"))
    assert not Fault("expire-watches").meets(Meeting("GET", verb="list"))
