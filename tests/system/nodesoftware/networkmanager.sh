# NetworkManager. SETTING: a line of the [keyfile] section.
start() {
    mkdir -p /run/NetworkManager /etc/NetworkManager/system-connections
    printf '[main]\nplugins=keyfile\nauth-polkit=false\nno-auto-default=*\n[keyfile]\n%s\n' "$SETTING" \
        >/etc/NetworkManager/NetworkManager.conf
    {
        printf '[connection]\nid=lan\nuuid=5be8f99f-0450-407d-9155-6d6f2df6b49d\ntype=ethernet\ninterface-name=eth0\n'
        printf '[ipv4]\nmethod=auto\n[ipv6]\nmethod=manual\naddress1=fd00:10:31::188:11/64\n'
    } >/etc/NetworkManager/system-connections/lan.nmconnection
    chmod 600 /etc/NetworkManager/system-connections/lan.nmconnection
    start_bus
    run
}

run() {
    NetworkManager --no-daemon >>/run/networkmanager.log 2>&1 &
    program=$!
    until_true nmcli --terse general status >/dev/null 2>&1
}

reapply() { nmcli device reapply eth0; }
up() { nmcli connection up lan; }
restart() { kill $program && wait $program; run; }
