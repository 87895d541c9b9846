"""Other programs that answer Services of type LoadBalancer, at work on ours. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from kubectl_purelb.cluster import Cluster
from kubectl_purelb.diagnosis.surroundings import Surroundings
from purelb.addresses import listed
from purelb.checks import Check, Finding
from purelb.services import ServiceKey

_NAMED: Final = 5
_OFF: Final = {
    "servicelb (k3s)": "start k3s with --disable=servicelb, or give the Service spec.loadBalancerClass",
    "MetalLB": "give MetalLB's programs --lb-class=metallb.io/metallb, or remove it",
    "kube-vip": "set lb_class_only=true on kube-vip, or svc_enable=false, or remove it",
    "OpenELB": "kubectl delete deployment openelb-manager -n openelb-system, once none of its Services is in use",
}


def of_others(cluster: Cluster, around: Surroundings) -> Iterable[Finding]:
    """By their workloads, and by what they have written."""
    ours = {service.key: service for service in cluster.ours}
    classless = {key for key, service in ours.items() if service.load_balancer_class is None}
    seen: set[str] = set()
    busy: dict[str, list[ServiceKey]] = {}
    for controller in around.controllers:
        if controller.service is not None:
            if controller.service in classless:
                busy.setdefault(controller.name, []).append(controller.service)
        elif cluster.default_announcer and controller.name not in seen:
            seen.add(controller.name)
            what = f"{controller.name} ({controller.where}) takes Services without a class for its own, as PureLB does"
            yield Finding(Check.OTHER_CONTROLLER, what, _OFF[controller.name], "cluster")
    for name, services in busy.items():
        seen.add(name)
        what = f"{name} serves Services of PureLB's: {listed([str(key) for key in sorted(services)], _NAMED)}"
        yield Finding(Check.OTHER_CONTROLLER, what, _OFF[name], "cluster")
    writers: dict[str, list[ServiceKey]] = {}
    for key, service in ours.items():
        if service.ingress and service.is_written_by_others:
            writers.setdefault(service.ingress_writer, []).append(key)
    for writer, services in writers.items():
        if not seen:  # who wrote them was named already
            what = f"{writer} has written the addresses of {listed([str(key) for key in sorted(services)], _NAMED)}"
            first = min(services)
            remedy = (
                f"let {writer} leave them, or give them its class: kubectl get svc {first.name} -n {first.namespace} "
                "-o yaml --show-managed-fields tells what it writes"
            )
            yield Finding(Check.OTHER_CONTROLLER, what, remedy, "cluster")
