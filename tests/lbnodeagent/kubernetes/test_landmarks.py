"""What an agent reads of whose addresses are whose."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from lbnodeagent.kubernetes.landmarks import address_of, landmarks, nameservers

RESOLV_CONF = """# made by hand
search tcinternal
nameserver 10.31.188.53
nameserver 127.0.0.53
nameserver fe80::1%eth0
nameserver nonsense
nameserver
options ndots:5
"""


def test_the_resolvers_and_the_api_server_are_known() -> None:
    assert landmarks(("10.96.0.1", "https://[fd00::6]:6443"), RESOLV_CONF) == {
        ip_address("10.31.188.53"): "a resolver (/etc/resolv.conf)",
        ip_address("10.96.0.1"): "the API server's address",
        ip_address("fd00::6"): "the API server's address",
    }


def test_a_file_of_a_thousand_resolvers_is_not_believed() -> None:
    assert len(list(nameservers("".join(f"nameserver 10.0.0.{number % 256}\n" for number in range(1000))))) == 16


@pytest.mark.parametrize("server", ["", "api.example", "https://api.example:6443", "https://"])
def test_a_name_is_not_looked_up(server: str) -> None:
    assert address_of(server) is None
