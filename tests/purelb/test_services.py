"""The view of a Service, and the patch that makes an allocation one write."""

from __future__ import annotations

import datetime
import json
from ipaddress import ip_address
from typing import Any

import pytest

from purelb import names
from purelb.addresses import Family
from purelb.services import (
    Port,
    ServiceKey,
    ServiceView,
    annotations_patch,
    describe_ingress,
    named_group,
    status_patch,
    view_service,
)


def service(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = {
        "metadata": {
            "name": "web",
            "namespace": "shop",
            "uid": "u1",
            "resourceVersion": "7",
            "creationTimestamp": "2026-05-20T07:58:32Z",
            "annotations": {"purelb.io/allocated-by": "PureLB"},
        },
        "spec": {
            "type": "LoadBalancer",
            "ipFamilies": ["IPv6", "IPv4"],
            "ports": [{"port": 80}, {"port": 53, "protocol": "UDP"}],
        },
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.1"}, {"hostname": "example.org"}, {"ip": "oops"}]}},
    }
    return body | changes


def test_what_is_read_of_a_service() -> None:
    view = view_service(service())

    assert view.key == ServiceKey("shop", "web")
    assert str(view.key) == "shop/web"
    assert view.created == datetime.datetime(2026, 5, 20, 7, 58, 32, tzinfo=datetime.UTC)
    assert view.ip_families == (Family.IPV6, Family.IPV4)
    assert view.ports == {Port("TCP", 80), Port("UDP", 53)}
    assert view.is_load_balancer
    assert view.is_branded


def test_what_is_no_address_in_a_status_is_left_out() -> None:
    assert view_service(service()).ingress == (ip_address("10.0.0.1"),)


def test_an_address_that_a_status_names_twice_is_one() -> None:
    entries = [{"ip": text} for text in ("fd00::1", "10.0.0.1", "fd00:0::1", "10.0.0.1")]

    view = view_service(service(status={"loadBalancer": {"ingress": entries}}))

    assert view.ingress == (ip_address("fd00::1"), ip_address("10.0.0.1"))


def test_a_bare_service_is_read_with_the_apis_defaults() -> None:
    view = view_service({"metadata": {"name": "a", "namespace": "b"}})

    assert (view.type, view.ingress, view.is_branded, view.deleting) == ("ClusterIP", (), False, False)


def test_an_allocation_is_one_patch_bound_to_what_was_read() -> None:
    patch = status_patch(view_service(service()), [ip_address("10.0.0.2")], {"purelb.io/allocated-by": "PureLB"})

    assert patch == {
        "metadata": {"resourceVersion": "7", "uid": "u1", "annotations": {"purelb.io/allocated-by": "PureLB"}},
        "status": {"loadBalancer": {"ingress": [{"ip": "10.0.0.2", "ipMode": "VIP"}, {"hostname": "example.org"}]}},
    }


def test_a_release_empties_the_status_and_drops_the_annotation() -> None:
    status = {"loadBalancer": {"ingress": [{"ip": "10.0.0.1", "ipMode": "VIP"}]}}
    patch = status_patch(view_service(service(status=status)), [], {"purelb.io/allocated-from": None})

    assert patch["status"] == {"loadBalancer": {"ingress": None}}
    assert patch["metadata"]["annotations"] == {"purelb.io/allocated-from": None}


def test_annotations_are_patched_on_what_was_read() -> None:
    assert annotations_patch(view_service(service()), {"a": "b"})["metadata"]["resourceVersion"] == "7"


def test_a_status_is_described_as_the_article_shows_it() -> None:
    assert describe_ingress([ip_address("10.31.188.64")]) == "{Ingress:[{IP:10.31.188.64 Hostname: Ports:[]}]}"


def test_the_backend_is_equal_for_the_same_pods_and_empty_where_any_node_serves() -> None:
    def backend(name: str = "web", **spec: Any) -> str:
        return view_service({"metadata": {"name": name, "namespace": "shop"}, "spec": spec}).backend

    pods = {"app": "web", "tier": "front"}
    assert backend(externalTrafficPolicy="Cluster", selector=pods) == backend(selector=pods) == ""
    assert backend(externalTrafficPolicy="Local", selector=pods) == "shop/app=web,tier=front"
    assert backend("other", externalTrafficPolicy="Local", selector=dict(reversed(pods.items()))) == (
        backend(externalTrafficPolicy="Local", selector=pods)
    )
    assert backend("a", externalTrafficPolicy="Local") != backend("b", externalTrafficPolicy="Local")


def managed(*writers: tuple[str, dict[str, Any]], subresource: str = "status") -> list[dict[str, Any]]:
    """What metadata.managedFields says of these managers' fields."""
    return [
        {"manager": name, "operation": "Update", "subresource": subresource, "fieldsV1": fields}
        for name, fields in writers
    ]


INGRESS: dict[str, Any] = {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}


def test_who_wrote_the_addresses_is_known_by_the_managed_fields() -> None:
    def writer(fields: list[dict[str, Any]]) -> str:
        return view_service(service(metadata={"name": "a", "namespace": "b", "managedFields": fields})).ingress_writer

    assert writer(managed(("kubectl", {"f:metadata": {}}), ("k3s", INGRESS))) == "k3s"
    assert writer(managed(("purelb-allocator", INGRESS), ("k3s", INGRESS))) == "purelb-allocator"
    assert writer(managed(("k3s", INGRESS), subresource="")) == ""
    assert writer(managed(("k3s", {"f:status": []}))) == ""
    assert writer([]) == ""


def test_who_said_of_which_group_they_are_is_known_too_and_stays_so_when_another_writes_them() -> None:
    def giver(fields: list[dict[str, Any]]) -> str:
        return view_service(service(metadata={"name": "a", "namespace": "b", "managedFields": fields})).giver

    note: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}, "f:purelb.io/allocated-from": {}}}}
    assert giver(managed(("purelb-allocator", note), ("k3s", INGRESS))) == "purelb-allocator"
    assert giver(managed(("allocator", note), subresource="")) == "allocator"
    assert giver(managed(("allocator", note), ("helm", note))) == "allocator"
    assert giver(managed(("purelb-allocator", INGRESS), ("kubectl", note))) == "kubectl"
    assert giver(managed(("purelb-allocator", INGRESS))) == ""


def test_since_when_its_addresses_are_announced_is_known_by_the_managed_fields() -> None:
    def announced(*times: str) -> datetime.datetime | None:
        note: dict[str, Any] = {"f:metadata": {"f:annotations": {"f:purelb.io/announcing-IPv4": {}}}}
        written = [{**managed(("purelb-lbnodeagent", note))[0], "time": time} for time in times]
        others = managed(("purelb-allocator", INGRESS))
        return view_service(
            service(metadata={"name": "a", "namespace": "b", "managedFields": others + written})
        ).announced

    assert announced() is None
    later = datetime.datetime(2026, 11, 29, 9, 0, 1, tzinfo=datetime.UTC)
    assert announced("2026-11-29T09:00:01Z", "2026-11-28T23:00:00Z") == later


def test_what_lost_our_annotations_is_ours_as_long_as_the_addresses_are_of_our_hand() -> None:
    def view(writer: str, **changes: Any) -> bool:
        metadata = {"name": "a", "namespace": "b", "managedFields": managed((writer, INGRESS))}
        return view_service(service(metadata=metadata, **changes)).is_branded

    assert view("purelb-allocator")
    assert not view("k3s")
    assert not view("purelb-allocator", status={})


def test_a_service_of_another_class_is_none_of_ours_whatever_its_annotations_say() -> None:
    def view(class_name: str) -> bool:
        return view_service(service(spec={"type": "LoadBalancer", "loadBalancerClass": class_name})).is_branded

    assert view("purelb.io/purelbv2")
    assert not view("another.example/lb")


def test_what_others_wrote_into_an_entry_stays_and_goes_along_with_another_address() -> None:
    entries: list[dict[str, Any]] = [
        {"ip": "10.0.0.1", "ipMode": "Proxy", "hostname": "a.example.org"},
        {"ip": "10.0.0.2", "ipMode": "VIP", "ports": [{"port": 80, "protocol": "TCP"}]},
        {"hostname": "b.example.org"},
    ]
    view = view_service(service(status={"loadBalancer": {"ingress": entries}}))

    def written(*addresses: str) -> Any:
        return status_patch(view, map(ip_address, addresses), {})["status"]["loadBalancer"]["ingress"]

    assert written("10.0.0.1", "10.0.0.2") == entries
    assert written("10.0.0.2", "10.0.0.1") == [entries[1], entries[0], entries[2]]
    assert written("10.0.0.1", "10.0.0.9") == [entries[0], {**entries[1], "ip": "10.0.0.9"}, entries[2]]
    assert written("10.0.0.2", "fd00::1", "fd00::2") == [
        entries[1],
        {**entries[0], "ip": "fd00::1"},
        {"ip": "fd00::2", "ipMode": "VIP"},
        entries[2],
    ]
    assert written() == [entries[2]]


def test_a_service_of_another_type_keeps_no_entry_at_all() -> None:
    status = {"loadBalancer": {"ingress": [{"hostname": "b.example.org"}]}}

    patch = status_patch(view_service(service(spec={"type": "ClusterIP"}, status=status)), [], {})

    assert patch["status"] == {"loadBalancer": {"ingress": None}}


def test_of_what_a_tenant_writes_there_no_more_groups_are_read_than_a_service_can_have() -> None:
    def groups(text: str) -> tuple[str, ...]:
        return view_service({"metadata": metadata | {"annotations": {names.ALLOCATED_FROM: text}}}).allocated_from

    metadata = {"namespace": "test", "name": "web"}
    assert groups("a, b,,c ") == ("a", "b", "c")
    assert len(groups("a," * 100_000)) == 256
    assert groups("x" * 254 + ",a") == ("a",)
    assert groups(",".join(["n" * 253] * 256)) == ("n" * 253,) * 256


def test_each_address_is_of_its_own_group_or_all_are_of_the_last_that_is_named() -> None:
    def groups(text: str) -> list[str]:
        annotations = {names.ALLOCATED_FROM: text}
        ingress = [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}, {"ip": "fd00::1"}]
        status = {"loadBalancer": {"ingress": ingress}}
        metadata = {"namespace": "test", "name": "web", "annotations": annotations}
        view = view_service({"metadata": metadata, "status": status})
        return [view.group_of(address) for address in view.ingress]

    assert groups("a,b,c") == ["a", "b", "c"]
    assert groups("a,b") == ["a", "b", "b"]
    assert groups("a") == ["a", "a", "a"]
    assert groups("") == ["", "", ""]


def test_an_annotation_that_nobody_here_reads_is_not_kept() -> None:
    copy = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "example.org/owner": "shop"}
    meant = {"purelb.io/misspelt": "x", "metallb.io/address-pool": "pool"}

    view = view_service(service(metadata=service()["metadata"] | {"annotations": copy | meant}))

    assert view.annotations == meant


def test_what_many_services_have_alike_is_in_memory_once() -> None:
    def read() -> ServiceView:
        body = service()
        body["spec"] |= {"externalTrafficPolicy": "Local", "selector": {"app": "web"}}
        return view_service(json.loads(json.dumps(body)))

    one, other = read(), read()

    assert one.key.namespace is other.key.namespace
    assert one.type is other.type
    assert one.ports is other.ports
    assert one.external_traffic_policy is other.external_traffic_policy
    assert next(iter(one.annotations)) is next(iter(other.annotations))
    assert one.annotations["purelb.io/allocated-by"] is other.annotations["purelb.io/allocated-by"]


@pytest.mark.parametrize(("text", "name"), [("shop", "shop"), (" shop\n", "shop"), (" ", None), ("", None)])
def test_blanks_around_the_name_of_a_group_mean_nothing(text: str, name: str | None) -> None:
    metadata = service()["metadata"] | {"annotations": {names.SERVICE_GROUP: text}}

    assert named_group(view_service(service(metadata=metadata))) == name
