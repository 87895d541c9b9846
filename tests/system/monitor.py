"""Prints what changes among a host's addresses, line by line, until it is ended: ``ip monitor`` there."""

import os

if __name__ == "__main__":
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.execvp("ip", ["ip", "-oneline", "monitor", "address"])
