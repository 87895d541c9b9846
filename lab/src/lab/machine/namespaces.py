"""Linux namespaces: make, enter, run inside; and the few system calls around them that Python 3.11 lacks.

Owns the ctypes calls of the lab. Imports the standard library alone, because `launch` loads it in each
pod before the program itself; must not know what runs in a namespace.

All namespaces of the lab are anonymous: only file descriptors and processes hold them, so that the kernel
takes everything back when the last process of a lab is gone, however it went.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

# linux/sched.h
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MNT_DETACH = 2
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
# linux/prctl.h
PR_SET_PDEATHSIG = 1
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
# linux/capability.h, by number.
_CAPABILITY_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE "
    "NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT "
    "SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE "
    "AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ "
    "PERFMON BPF CHECKPOINT_RESTORE"
)
CAPABILITIES = tuple(_CAPABILITY_NAMES.split())

T = TypeVar("T")

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def unshare(flags: int) -> None:
    """unshare(2). Raises OSError."""
    _check(_libc.unshare(flags), "unshare")


def setns(fd: int, flags: int = 0) -> None:
    """setns(2) for the calling thread. Raises OSError."""
    _check(_libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2). Raises OSError."""
    arguments = (source.encode(), target.encode(), kind.encode() or None, flags, options.encode() or None)
    _check(_libc.mount(*arguments), f"mount on {target}")


def prctl(option: int, argument: int) -> int:
    """prctl(2) of two arguments. Raises OSError."""
    return _check(_libc.prctl(option, ctypes.c_ulong(argument), 0, 0, 0), f"prctl {option}")


def pivot_root(folder: str) -> None:
    """Make that mount point the root of this mount namespace and let go of the old one (pivot_root(2), NOTES).

    Raises OSError.
    """
    os.chdir(folder)
    _check(_libc.pivot_root(b".", b"."), f"pivot_root to {folder}")
    _check(_libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/")


def keep_capabilities(names: Iterable[str]) -> None:
    """Drop all others from the bounding set: after exec not even root has them (capabilities(7))."""
    kept = {CAPABILITIES.index(name) for name in names if name in CAPABILITIES}
    for number in range(len(CAPABILITIES)):
        if number not in kept and prctl(PR_CAPBSET_READ, number) == 1:
            prctl(PR_CAPBSET_DROP, number)


def set_hostname(name: str) -> None:
    """sethostname(2), at most 64 bytes (HOST_NAME_MAX). Raises OSError."""
    raw = name.encode()[:64]
    _check(_libc.sethostname(raw, len(raw)), "sethostname")


def enter_user_namespace() -> None:
    """Become root of a new user namespace in which only our own user exists (user_namespaces(7)).

    Raises OSError where the kernel or its settings refuse that.
    """
    uid, gid = os.geteuid(), os.getegid()
    unshare(CLONE_NEWUSER)
    _write("/proc/self/setgroups", "deny")
    _write("/proc/self/uid_map", f"0 {uid} 1")
    _write("/proc/self/gid_map", f"0 {gid} 1")


def new_network_namespace() -> int:
    """A new network namespace, as a file descriptor that holds it. Raises OSError."""

    def make() -> int:
        unshare(CLONE_NEWNET)
        return current_network_namespace()

    return _in_thread(make)


def current_network_namespace() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def inside(netns: int, work: Callable[[], T]) -> T:
    """Run `work` in that network namespace, in a thread of its own, and return its result.

    Namespaces belong to threads: sockets that `work` opens stay in that network wherever they are used later.
    """

    def enter_and_work() -> T:
        setns(netns, CLONE_NEWNET)
        return work()

    return _in_thread(enter_and_work)


def write_sysctls(settings: dict[str, str]) -> None:
    """Set `net.…` sysctls of the calling thread's network namespace, but those that the kernel lacks."""
    for name, value in settings.items():
        path = "/proc/sys/" + name.replace(".", "/")
        if os.path.exists(path):  # noqa: PTH110 - pathlib costs 20 ms at each start of a pod
            _write(path, value)


def _write(path: str, text: str) -> None:
    with open(path, "w") as file:  # noqa: PTH123
        file.write(text)


def _in_thread(work: Callable[[], T]) -> T:
    results: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return results[0]
