"""What kube-proxy's modes have."""

from __future__ import annotations

from ipaddress import ip_address

from lab.kubeproxy.mode import Mode, bound_addresses
from lab.kubeproxy.services import ServicePort
from lab.settings import PROXY_MODES


def test_the_command_knows_all_modes() -> None:
    assert tuple(mode.value for mode in Mode) == PROXY_MODES


def test_every_address_of_a_service_is_bound_once() -> None:
    vip, other = ip_address("10.31.188.64"), ip_address("fd00:10:31::64")
    port = ServicePort("default", "web", "", "tcp", 80, ip_address("10.188.0.7"), load_balancer_ips=(vip,))
    six = ServicePort("default", "web", "", "tcp", 80, ip_address("fd00:1::7"), external_ips=(other,))

    assert bound_addresses([port, port, six]) == {vip, other, port.cluster_ip, six.cluster_ip}
