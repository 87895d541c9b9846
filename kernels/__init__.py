"""``make kernels``: the agent's system tests on the kernels of other Debian releases, in user-mode-linux.

A kernel runs as a process, with this machine's file system as its own, read-only: Python, kubectl and this repository
are there as they are here. packages.py gets the kernels, machine.py boots one, init.sh is what runs in it, results.py
reads what came of it. None of them knows what the tests are about.
"""
