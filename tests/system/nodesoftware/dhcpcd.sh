# dhcpcd. SETTING: a line of dhcpcd.conf.
start() {
    printf 'nodev\nallowinterfaces eth0\nipv4only\nnoarp\n%s\n' "$SETTING" >/etc/dhcpcd.conf
    ip link set eth0 up
    run
}

run() {
    rm -f /run/dhcpcd/sock
    dhcpcd --nobackground --quiet >>/run/dhcpcd.log 2>&1 &
    program=$!
    # Without one that listens, what is to tell it something takes the interface itself.
    until_true test -S /run/dhcpcd/sock
}

# Of all that it manages: named on the command line, it would manage an interface that its file denies it, too.
ask_again() { dhcpcd --rebind; }
release() { dhcpcd --release && wait $program; run; }
restart() { dhcpcd --exit && wait $program; run; }
