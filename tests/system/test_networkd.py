"""The advice for systemd-networkd, tried with the real one: with it our addresses survive what it does to a link."""

from __future__ import annotations

import subprocess

import pytest

from lbnodeagent.kernel.addressmanagers import NETWORKD

NETWORKD_PROGRAM = "/usr/lib/systemd/systemd-networkd"
VIP, VIP6 = "10.31.188.64", "fd00:10:31::64"

pytestmark = pytest.mark.timeout(60)

# In a mount namespace, with a /run and a bus of its own. A read-only /sys says that there's no udev to wait for.
SCENE = f"""
set -u
ip link set lo up
ip link add eth0 type veth peer name peer0
ip link set peer0 up
mount -t sysfs none /sys && mount -o remount,ro /sys
mount -t tmpfs run /run
mkdir -p /run/systemd/network /run/dbus /run/systemd/netif/links /run/systemd/netif/leases /run/systemd/netif/lldp
file=/run/systemd/network/10-eth0.network
printf '[Match]\\nName=eth0\\n[Network]\\nAddress=10.31.188.11/16\\n%s\\n' "$KEEP" > $file
chown -R systemd-network /run/systemd/netif
chmod -R a+rX /run/systemd /run/dbus
bus=$(dbus-daemon --system --fork --nopidfile --nosyslog --print-pid)
caps=+net_admin,+net_raw,+net_bind_service,+net_broadcast
setpriv --reuid=systemd-network --regid=systemd-network --clear-groups --ambient-caps $caps --inh-caps $caps \\
  {NETWORKD_PROGRAM} >/dev/null 2>&1 &
networkd=$!
for _ in $(seq 100); do ip -br addr show eth0 | grep -q 10.31.188.11 && break; sleep 0.1; done
ip addr add {VIP}/16 dev eth0 noprefixroute valid_lft 20 preferred_lft 20
ip addr add {VIP6}/64 dev eth0 noprefixroute nodad valid_lft 20 preferred_lft 0
networkctl reconfigure eth0
for _ in $(seq 30); do sleep 0.1; ip -br addr show eth0 | grep -q {VIP} || break; done
ls /run/systemd/netif/links
ip -br addr show eth0
kill $networkd $bus
"""


@pytest.mark.parametrize(
    ("setting", "is_kept"), [("", False), ("KeepConfiguration=static", False), (NETWORKD.setting.split()[0], True)]
)
def test_what_we_advise_keeps_our_addresses_and_nothing_less_does(setting: str, is_kept: bool) -> None:
    command = ["unshare", "--net", "--mount", "--propagation", "private", "env", f"KEEP={setting}", "bash", "-c", SCENE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert "10.31.188.11/16" in done.stdout, done.stdout + done.stderr
    assert (f"{VIP}/16" in done.stdout, f"{VIP6}/64" in done.stdout) == (is_kept, is_kept)
