"""The advice of docs/failover.md and of `AddressRemoved`, tried with the real programs, and what they do without it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lbnodeagent.kernel.addressmanagers import DHCPCD, NETWORK_MANAGER, NETWORKD
from tests.system.nodesoftware import command

pytestmark = pytest.mark.timeout(120)

DOCUMENT = Path(__file__).parents[2] / "docs" / "failover.md"
HOOK = re.search(
    r"^```sh\n(# /etc/dhcp/dhclient-enter-hooks.d/.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE
)
NETWORKD_SETTING = NETWORKD.setting.split()[0]
BOTH, IPV6, NONE = "IPv4 IPv6", "IPv6", ""


ENDS: dict[str, str] = {"networkd": BOTH, "networkmanager": BOTH, "dhclient": IPV6, "dhcpcd": BOTH}
"""What is left of PureLB's addresses when the DHCP server is gone, and the lease ends."""


@pytest.fixture(scope="module", autouse=True)
def ends() -> Iterator[dict[str, subprocess.Popen[str]]]:
    """A lease takes two minutes at least to end: meanwhile the other tests are run."""
    scenes = {
        program: subprocess.Popen(
            ["unshare", "--net", *command("scene.sh", program, "expire", HARMFUL="" if families == BOTH else "expire")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for program, families in ENDS.items()
    }
    yield scenes
    for scene in scenes.values():
        scene.kill()
        scene.wait()


def afterwards(program: str, setting: str, expected: dict[str, str], *, is_static: bool = False) -> dict[str, str]:
    """The families of PureLB's addresses that were there after each operation, by what the program was told to do."""
    harmful = " ".join(operation for operation, families in expected.items() if families != BOTH)
    environment = {"SETTING": setting, "HARMFUL": harmful, **({"IS_STATIC": "yes"} if is_static else {})}
    done = subprocess.run(
        ["unshare", "--net", *command("scene.sh", program, *expected, **environment)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert "gave up" not in done.stdout, done.stdout + done.stderr
    found = (line.partition(":") for line in done.stdout.splitlines())
    return {operation: families.strip() for operation, _, families in found if operation in expected}


@pytest.mark.parametrize(
    ("setting", "reconfigured"), [("", NONE), ("KeepConfiguration=static", NONE), (NETWORKD_SETTING, BOTH)]
)
def test_systemd_networkd_with_a_lease(setting: str, reconfigured: str) -> None:
    expected = {"ask_again": BOTH, "reload": reconfigured, "reconfigure": reconfigured, "restart": BOTH}

    assert afterwards("networkd", setting, expected) == expected


@pytest.mark.parametrize(("setting", "reconfigured"), [("KeepConfiguration=static", NONE), (NETWORKD_SETTING, BOTH)])
def test_systemd_networkd_with_an_address_of_its_file(setting: str, reconfigured: str) -> None:
    expected = {"reconfigure": reconfigured}
    # Nothing else to wait for: a link without a lease is configured once networkd gives routers up, after 12 s.
    static = "DHCP=no\nIPv6AcceptRA=no\nAddress=10.31.188.11/16"

    assert afterwards("networkd", f"{static}\n{setting}", expected) == expected


@pytest.mark.parametrize(
    ("setting", "dropin", "found"),
    [
        ("", "", "/run/systemd/network/10-eth0.network"),
        ("KeepConfiguration=static", NETWORKD_SETTING, ""),
        (NETWORKD_SETTING, "KeepConfiguration=static", "/run/systemd/network/10-eth0.network"),
    ],
    ids=["without it", "in a drop-in", "a drop-in takes it back"],
)
def test_the_agents_look_finds_the_setting_before_anything_happens(setting: str, dropin: str, found: str) -> None:
    environment = {"SETTING": setting, "DROPIN": dropin, "PYTHONPATH": str(DOCUMENT.parents[1])}
    looking = command("keeps.sh", sys.executable, **environment)
    done = subprocess.run(["unshare", "--net", *looking], capture_output=True, text=True, check=False)

    assert done.stdout.splitlines()[-1:] == [f"found:{found}"], done.stdout + done.stderr


def test_network_manager_takes_addresses_away_when_it_is_told_to_apply_a_connection() -> None:
    expected = {"restart": BOTH, "reapply": NONE, "up": NONE}

    assert afterwards("networkmanager", "", expected) == expected


def test_network_manager_keeps_away_from_what_it_does_not_manage() -> None:
    setting = NETWORK_MANAGER.setting.split()[0].format(interface="eth0")
    expected = {"restart": BOTH, "reapply": BOTH, "up": BOTH}

    assert afterwards("networkmanager", setting, expected, is_static=True) == expected


def test_dhclient_takes_all_of_ipv4_away_with_a_lease() -> None:
    expected = {"ask_again": BOTH, "release": IPV6, "other_address": IPV6}

    assert afterwards("dhclient", "", expected) == expected


def test_dhclient_with_the_hook_takes_its_own_address_away(tmp_path: Path) -> None:
    assert HOOK is not None
    (hook := tmp_path / "hook").write_text(HOOK[1])
    expected = {"ask_again": BOTH, "release": BOTH, "other_address": BOTH}

    assert afterwards("dhclient", str(hook), expected) == expected


@pytest.mark.parametrize(("setting", "is_static"), [("", False), (DHCPCD.setting.split(" in ")[0], True)])
def test_dhcpcd_takes_its_own_address_away_at_most(setting: str, is_static: bool) -> None:
    expected = {"ask_again": BOTH, "release": BOTH, "restart": BOTH}

    found = afterwards("dhcpcd", setting.format(interface="eth0"), expected, is_static=is_static)

    assert found == expected


@pytest.mark.timeout(240)
@pytest.mark.parametrize("program", ENDS)
def test_of_these_dhclient_alone_takes_addresses_away_at_the_end_of_a_lease(
    ends: dict[str, subprocess.Popen[str]], program: str
) -> None:
    said = ends[program].communicate()[0]

    assert "gave up" not in said, said
    assert f"expire:{' ' if ENDS[program] else ''}{ENDS[program]}" in said.splitlines()
