"""What a request says: selectors, paths, media types, what it asks faults for, protobuf."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubedouble.errors import StatusError
from kubedouble.fault import Fault, Meeting
from kubedouble.negotiation import accept, read_yaml
from kubedouble.paths import Target, parse
from kubedouble.protobuf import ProtobufReader, WireError
from kubedouble.resources import version_priority
from kubedouble.schemas import built_in_schemas
from kubedouble.selectors import matches_label_selector, parse_fields, parse_labels


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
