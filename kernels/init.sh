#!/bin/sh
# The first process of the kernel: prepares what systemd would, runs pytest, halts. Its environment comes from the kernel's
# command line: REPOSITORY and EXCHANGE (folders of the machine; the latter may be written to) and MODULES (modprobe's
# --dirname). In EXCHANGE it finds `arguments`, one a line, and leaves `release` and `report.xml`.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PYTHONDONTWRITEBYTECODE=1
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for folder in /tmp /run /root /var/tmp; do mount -t tmpfs -o mode=1777 tmpfs $folder; done
mkdir -p /dev/shm /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t devpts devpts /dev/pts
for folder in "$REPOSITORY" "$EXCHANGE" "$MODULES"; do # again, where they are below one of the new ones
  mkdir -p "$folder" && mount -t hostfs hostfs "$folder" -o "$folder"
done
mount -o remount,ro "$REPOSITORY"
mount -o remount,ro "$MODULES"
printf '#!/bin/sh\nexec modprobe --dirname="%s" "$@"\n' "$MODULES" >/run/modprobe
chmod +x /run/modprobe
echo /run/modprobe >/proc/sys/kernel/modprobe
ip link set lo up
hostname kernels
uname -r >"$EXCHANGE/release"
cd "$REPOSITORY" || exit
xargs --delimiter='\n' --arg-file="$EXCHANGE/arguments" .venv/bin/python -m pytest -p no:cacheprovider \
  --junitxml="$EXCHANGE/report.xml" --color=no </dev/null
echo o >/proc/sysrq-trigger # off; poweroff wants an init to talk to
