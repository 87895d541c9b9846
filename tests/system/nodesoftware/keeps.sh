# Runs systemd-networkd on an eth0 that nobody answers on, with SETTING in its file and DROPIN in a drop-in below /etc, and
# has PYTHON say what the agent's look finds of that file. Usage: keeps.sh PYTHON
here=$(dirname "$0")
. "$here/enter.sh"
. "$here/networkd.sh"

# Without a server no lease comes, and the link is never done.
is_configured() { grep -qs ^NETWORK_FILE= "/run/systemd/netif/links/$index"; }

ip link set lo up
ip link add eth0 type veth peer name peer0
ip link set peer0 up
index=$(cat /sys/class/net/eth0/ifindex)
mkdir -p /etc/systemd/network/10-eth0.network.d
[ -z "${DROPIN:-}" ] || printf '[Network]\n%s\n' "$DROPIN" >/etc/systemd/network/10-eth0.network.d/purelb.conf
start
"$1" -c 'from lbnodeagent.checkup.reading import look
from lbnodeagent.checkup.facts import Expected
from purelb.addresses import parse_network
(nic,) = look(Expected(subnets=frozenset({parse_network("fd00:10:31::/64")}))).nics
print(f"found:{nic.harmful_file}")'
