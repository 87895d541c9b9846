"""Inside out of a container: from an image's folder to a process that sees nothing else.

Owns mounts, devices, PID namespace and credentials of a container that runs from an image; `launch` calls it between
fork and exec. Like `launch` it imports the standard library alone and owns nothing after exec. What is mounted is what
the OCI runtime specification has for Linux ("Default Filesystems", "Default Devices") and what containerd masks.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from lab.machine import namespaces as ns

_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
MASKED = ("/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/scsi")
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)
_PLAIN = ns.MS_NOSUID | ns.MS_NODEV | ns.MS_NOEXEC


def enter(order: Mapping[str, Any], mounts: Mapping[str, str]) -> None:
    """Become process 1 of a container: `order` is a `Confinement`'s fields with `root` and `read_only_mounts`.

    The calling process stays behind as the container's parent: it hands on signals, and ends as the container does.
    """
    ns.unshare(ns.CLONE_NEWPID)
    pid = os.fork()
    if pid:
        _stay_behind(pid)
    ns.unshare(ns.CLONE_NEWNS | ns.CLONE_NEWIPC)
    _change_root(order, mounts)
    _drop_rights(order)


def _stay_behind(pid: int) -> None:
    for number in _FORWARDED:
        signal.signal(number, lambda number, _: os.kill(pid, number))
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    os._exit(128 - code if code < 0 else code)


# --- what it sees ---


def _change_root(order: Mapping[str, Any], mounts: Mapping[str, str]) -> None:
    ns.mount("none", "/", flags=ns.MS_REC | ns.MS_PRIVATE)
    sources = {target: os.open(source, os.O_PATH) for target, source in mounts.items()}
    root = order["scratch"]
    # The container's own layer is memory: it is gone with the container, as it has to be.
    ns.mount("tmpfs", root, "tmpfs", ns.MS_NODEV, "mode=0755,size=64m")
    merged, upper, work = (f"{root}/{name}" for name in ("root", "upper", "work"))
    for folder in (merged, upper, work):
        os.mkdir(folder)  # noqa: PTH102
    ns.mount("overlay", merged, "overlay", 0, f"lowerdir={order['root']},upperdir={upper},workdir={work}")
    _mount_system(merged)
    read_only = set(order["read_only_mounts"])
    for target, fd in sorted(sources.items()):
        _bind(f"/proc/self/fd/{fd}", f"{merged}{_resolve(merged, target)}", target in read_only)
        os.close(fd)
    ns.pivot_root(merged)
    for path in _READ_ONLY:
        if os.path.exists(path):  # noqa: PTH110
            _bind(path, path, read_only=True)
    for path in MASKED:
        if os.path.isdir(path):  # noqa: PTH112
            ns.mount("tmpfs", path, "tmpfs", ns.MS_RDONLY, "size=0")
        elif os.path.exists(path):  # noqa: PTH110
            ns.mount("/dev/null", path, flags=ns.MS_BIND)
    if order["read_only_root"]:
        ns.mount("none", "/", flags=ns.MS_REMOUNT | ns.MS_BIND | ns.MS_RDONLY)


def _mount_system(root: str) -> None:
    for name in ("proc", "sys", "dev"):
        os.makedirs(f"{root}/{name}", exist_ok=True)  # noqa: PTH103
    ns.mount("proc", f"{root}/proc", "proc", _PLAIN)
    ns.mount("sysfs", f"{root}/sys", "sysfs", _PLAIN | ns.MS_RDONLY)
    ns.mount("tmpfs", f"{root}/dev", "tmpfs", ns.MS_NOSUID, "mode=0755,size=64k")
    for name in _DEVICES:
        _bind(f"/dev/{name}", f"{root}/dev/{name}", read_only=False)
    for name, target in _LINKS.items():
        os.symlink(target, f"{root}/dev/{name}")  # noqa: PTH211
    os.mkdir(f"{root}/dev/shm")  # noqa: PTH102
    ns.mount("shm", f"{root}/dev/shm", "tmpfs", _PLAIN, "mode=1777,size=64m")


def _resolve(root: str, target: str) -> str:
    """The target with the image's own symlinks followed inside the image, such as /var/run -> /run."""
    found = ""
    for part in target.strip("/").split("/"):
        step = f"{found}/{part}"
        if os.path.islink(f"{root}{step}"):  # noqa: PTH114
            link = os.readlink(f"{root}{step}")  # noqa: PTH115
            step = _resolve(root, link if link.startswith("/") else f"{found}/{link}")
        found = os.path.normpath(step)
    return found


def _bind(source: str, target: str, read_only: bool) -> None:
    """Bind a file or folder; what it covers is made first if it isn't there."""
    if not os.path.exists(target):  # noqa: PTH110
        if os.path.isdir(source):  # noqa: PTH112
            os.makedirs(target)  # noqa: PTH103
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            os.close(os.open(target, os.O_CREAT | os.O_CLOEXEC, 0o644))
    ns.mount(source, target, flags=ns.MS_BIND)
    if read_only:
        ns.mount("none", target, flags=ns.MS_REMOUNT | ns.MS_BIND | ns.MS_RDONLY | ns.MS_NOSUID | ns.MS_NODEV)


# --- what it may do ---


def _drop_rights(order: Mapping[str, Any]) -> None:
    """User, groups and capabilities, in the order in which each is still allowed (capabilities(7))."""
    if order["capabilities"] is not None:
        ns.keep_capabilities(order["capabilities"])
    os.setgroups(order["groups"])
    os.setresgid(order["gid"], order["gid"], order["gid"])
    os.setresuid(order["uid"], order["uid"], order["uid"])
    if not order["may_gain_privileges"]:
        ns.prctl(ns.PR_SET_NO_NEW_PRIVS, 1)
    # Last: a change of user clears it (prctl(2)).
    ns.prctl(ns.PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.chdir(order["folder"])
    except OSError as failure:
        sys.stderr.write(f"chdir to {order['folder']}: {failure.strerror}\n")
        sys.exit(128)
