# Runs a program on an eth0 with a DHCP server at the other end, beside addresses as PureLB places them. Prints a line for
# each operation: its name, and which of the addresses were still there afterwards. Usage: scene.sh PROGRAM OPERATION...
# IS_STATIC: the host has its own address from something else. HARMFUL: operations that are waited for until they harm.
here=$(dirname "$0")
. "$here/enter.sh"
. "$here/$1.sh"
vip=10.31.188.64 vip6=fd00:10:31::1:64 own=10.31.188.11

place() {
    ip addr add $vip/16 dev eth0 noprefixroute valid_lft 300 preferred_lft 300
    ip addr add $vip6/64 dev eth0 noprefixroute nodad valid_lft 300 preferred_lft 0
} 2>/dev/null

is_harmed() { ! has $vip $vip6; }

serve() {
    nsenter --target=$wire --net bash "$here/serve.sh" "$mac" peer0 $own &
    server=$!
}

# The server gives another address from now on, and the client asks for the one that it had.
other_address() {
    own=10.31.188.12
    kill $server && wait $server
    serve
    ask_again
}

# The server is gone, and the lease ends, two minutes after it was given or renewed last. The last operation of a scene.
expire() {
    kill $server && wait $server
    local end=$((SECONDS + 150))
    while has $own && ((SECONDS < end)); do sleep 0.5; done
    has $own && echo "gave up waiting: for the end of the lease"
}

ip link set lo up
ip link add eth0 type veth peer name peer0
echo 1 >/proc/sys/net/ipv4/conf/eth0/promote_secondaries # as PureLB sets it
mac=$(cat /sys/class/net/eth0/address)
unshare --net sh -c 'touch /run/wire; exec sleep infinity' &
wire=$!
until_true test -e /run/wire
ip link set peer0 netns $wire
nsenter --target=$wire --net sh -c 'ip addr add 10.31.254.251/16 dev peer0; ip link set peer0 up'
serve
[ -z "${IS_STATIC:-}" ] || { ip link set eth0 up && ip addr add $own/16 dev eth0; }
start
until_true has $own
for operation in "${@:2}"; do
    place
    $operation >/run/said 2>&1 || cat /run/said
    [ $operation = expire ] || until_true has $own
    [[ " ${HARMFUL:-} " != *" $operation "* ]] || until_true is_harmed
    sleep 0.7
    echo "$operation:$(has $vip && echo " IPv4")$(has $vip6 && echo " IPv6")"
done
