# ISC's DHCP client. SETTING: the path of an enter hook.
start() {
    [ -z "$SETTING" ] || cp "$SETTING" /etc/dhcp/dhclient-enter-hooks.d/keep-vips
    ip link set eth0 up
    run
    until_true grep -qs ^lease /var/lib/dhcp/leases
}

run() {
    dhclient -d -pf /run/dhclient.pid -lf /var/lib/dhcp/leases eth0 >>/run/dhclient.log 2>&1 &
    program=$!
}

ask_again() {
    kill $program && wait $program
    run
}

release() { dhclient -r -pf /run/dhclient.pid -lf /var/lib/dhcp/leases eth0 && wait $program; run; }
