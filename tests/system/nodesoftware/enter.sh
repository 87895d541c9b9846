# A machine's worth of node software, in namespaces of its own: sourced first, in a mount namespace and a PID namespace.
# Lays the files that ./prepare fetched over the machine's, and gives /run, /etc and /var/lib a layer that goes away.
# SOFTWARE: where ./prepare put them.
set -u
export PATH=$PATH:/usr/sbin:/sbin

mount -t tmpfs run /run
mkdir -p /run/layers/{etc,lib,etc-work,lib-work} /run/dbus
mount -t overlay -o "ro,lowerdir=$SOFTWARE/usr:/usr" usr /usr
mount -t overlay -o "lowerdir=$SOFTWARE/etc:/etc,upperdir=/run/layers/etc,workdir=/run/layers/etc-work" etc /etc
mount -t overlay -o "lowerdir=$SOFTWARE/var/lib:/var/lib,upperdir=/run/layers/lib,workdir=/run/layers/lib-work" lib /var/lib
# A read-only /sys says that there's no udev to wait for.
mount -t sysfs none /sys && mount -o remount,ro /sys

# until_true COMMAND...: waits up to half a minute, of which a busy machine needs some.
until_true() {
    local end=$((SECONDS + 30))
    until "$@"; do
        ((SECONDS < end)) || { echo "gave up waiting: $*"; return 1; }
        sleep 0.05
    done
}

# has ADDRESS...: whether eth0 has all of them.
has() {
    local now address
    now=$(ip -oneline addr show dev eth0)
    for address; do [[ $now == *" $address/"* ]] || return 1; done
}

start_bus() {
    dbus-daemon --system --fork --nopidfile --nosyslog 2>/dev/null
}
