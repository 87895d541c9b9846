"""The last steps of a child between fork and exec: enter namespaces, mount, drop capabilities, exec.

Runs as `python -I -S -c ... ` with one JSON argument (`Launch`), in about 40 ms; owns nothing after exec.
It is a program rather than a `preexec_fn` because the supervisor has threads, and between fork and exec
of a process with threads Python code may deadlock.
"""

from __future__ import annotations

import json
import os
import signal
import sys

from lab.machine import namespaces


def main() -> None:
    """Enter what `sys.argv[1]` says and become the program."""
    order = json.loads(sys.argv[1])
    namespaces.prctl(namespaces.PR_SET_PDEATHSIG, 9)
    if order.get("terminal"):
        import fcntl  # few programs have one, and the others start quicker without
        import termios

        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who starts a lab in the background ignores ^C
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    if order.get("netns") is not None:
        namespaces.setns(order["netns"], namespaces.CLONE_NEWNET)
        os.close(order["netns"])
    if order.get("hostname"):
        namespaces.unshare(namespaces.CLONE_NEWUTS)
        namespaces.set_hostname(order["hostname"])
    if order.get("container") is not None:
        from lab.machine import sandbox  # most programs need none, and start quicker without

        sandbox.enter(order["container"], order["mounts"])
    else:
        if order.get("mounts"):
            _mount_pod_volumes(order["mounts"])
        if order.get("capabilities") is not None:
            namespaces.keep_capabilities(order["capabilities"])
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and what it becomes would inherit that
        signal.signal(ignored, signal.SIG_DFL)
    argv = order["argv"]
    try:
        os.execvp(argv[0], argv)
    except OSError as failure:
        # As a container runtime says it; 128 is its exit code for "could not start".
        sys.stderr.write(f"exec {argv[0]}: {failure.strerror}\n")
        sys.exit(128)


def _mount_pod_volumes(mounts: dict[str, str]) -> None:
    """Bind folders and files (path in the pod -> source) in a mount namespace that no other process sees.

    The pod has a /run of its own: there a folder may appear that the machine does not have. Elsewhere a file
    can only take the place of one that is there.
    """
    namespaces.unshare(namespaces.CLONE_NEWNS)
    namespaces.mount("none", "/", flags=namespaces.MS_REC | namespaces.MS_PRIVATE)
    # Sources are opened first: a lab folder that is itself below /run disappears under the new mount.
    sources = {os.path.realpath(target): os.open(source, os.O_PATH) for target, source in mounts.items()}
    flags = namespaces.MS_NOSUID | namespaces.MS_NODEV
    namespaces.mount("tmpfs", os.path.realpath("/var/run"), "tmpfs", flags, "mode=0755,size=16m")
    for target, fd in sources.items():
        source = f"/proc/self/fd/{fd}"
        if os.path.isdir(source):  # noqa: PTH112
            os.makedirs(target, exist_ok=True)  # noqa: PTH103
        elif not os.path.exists(target):  # noqa: PTH110
            os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
            with open(target, "x"):  # noqa: PTH123
                pass
        namespaces.mount(source, target, flags=namespaces.MS_BIND)
        os.close(fd)
