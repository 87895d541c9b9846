"""Record the demo as docs/img/demo.cast: `python -m docs.drawings.record`, or `make recording`. As root; ten seconds.

Owns the terminal that is recorded: 80 columns, 24 rows. The file is asciicast v2, which asciinema plays too.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Iterator

from docs.drawings.recording import CAST

COLUMNS, ROWS = 80, 24


def recorded(command: list[str]) -> Iterator[tuple[float, str]]:
    """What a command prints on a terminal of its own: seconds since its begin, and whole lines; exits if it fails."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    began, rest = time.monotonic(), b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # EIO: nobody has the other end any more
            part = b""
        if not part:
            break
        whole, newline, rest = (rest + part).rpartition(b"\n")
        if newline:
            yield round(time.monotonic() - began, 3), (whole + newline).decode()
    _, status = os.waitpid(pid, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(command)}: exit code {code}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="purelb-lab-") as folder:
        output = list(recorded([sys.executable, "-m", "lab", "--dir", folder, "demo"]))
    header = {"version": 2, "width": COLUMNS, "height": ROWS, "title": "make demo"}
    lines = [json.dumps(header), *(json.dumps([at, "o", data]) for at, data in output)]
    CAST.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
