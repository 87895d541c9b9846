# systemd-networkd. SETTING: a line of the [Network] section.
start() {
    mkdir -p /run/systemd/network /run/systemd/netif/{links,leases,lldp}
    {
        printf '[Match]\nName=eth0\n[Network]\nAddress=fd00:10:31::188:11/64\nDHCP=ipv4\n'
        printf '%s\n' "$SETTING"
    } >/run/systemd/network/10-eth0.network
    chown -R systemd-network /run/systemd/netif
    chmod -R a+rX /run/systemd /run/dbus
    start_bus
    run
    until_true is_configured
}

is_configured() { [[ $(networkctl --no-legend list eth0 2>/dev/null) == *" configured"* ]]; }

run() {
    caps=+net_admin,+net_raw,+net_bind_service,+net_broadcast
    setpriv --reuid=systemd-network --regid=systemd-network --clear-groups --ambient-caps $caps --inh-caps $caps \
        /usr/lib/systemd/systemd-networkd >>/run/networkd.log 2>&1 &
    program=$!
}

ask_again() { networkctl renew eth0; }
reload() { touch /run/systemd/network/10-eth0.network && networkctl reload; }
reconfigure() { networkctl reconfigure eth0; }
restart() { kill $program && wait $program; run; }
