"""``python -m kernels``: boots each kernel, runs the agent's system tests in it, prints a line for each."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kernels.machine import run_tests
from kernels.packages import RELEASES, KernelsError, fetch
from kernels.results import Outcome

REPOSITORY: Final = Path(__file__).resolve().parents[1]
CACHE: Final = REPOSITORY / ".lab" / "kernels"
"""The unpacked packages, and each kernel's log."""
TESTS: Final = "tests/system/test_agent*.py"
MINUTES: Final = 40.0
"""For one kernel: a user-mode kernel has one processor, and a system call there costs about thirty times as much."""


def main(argv: Sequence[str]) -> int:
    """Returns the exit code: 0 if every test passed on every kernel, 1 if not, 2 if a kernel couldn't be had."""
    parser = argparse.ArgumentParser("python -m kernels", description=__doc__)
    versions = [release.version for release in RELEASES]
    parser.add_argument("--kernel", action="append", choices=versions, help="only this one; may be repeated")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for each kernel (default: %(default)s)")
    parser.add_argument("arguments", nargs="*", help=f"of pytest; files among them replace {TESTS}")
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell in the background has it ignored
        signal.signal(number, signal.default_int_handler)
    options, more = parser.parse_known_args(argv)
    arguments = [*options.arguments, *more]
    if not any(one.startswith("tests/") for one in arguments):
        arguments += sorted(str(file.relative_to(REPOSITORY)) for file in REPOSITORY.glob(TESTS))
    is_well = True
    for release in RELEASES:
        if options.kernel and release.version not in options.kernel:
            continue
        try:
            kernel = fetch(release, CACHE)
        except KernelsError as error:
            print(f"{release.version}: {error}", file=sys.stderr)
            return 2
        log = CACHE / f"{release.version}.log"
        print(f"{release.version}: booting; what it says is in {log}", file=sys.stderr)
        done = run_tests(kernel, release.version, arguments, REPOSITORY, log, options.minutes * 60)
        _tell(done)
        is_well = is_well and done.is_well
    return 0 if is_well else 1


def _tell(done: Outcome) -> None:
    print(done.line, flush=True)
    for name in done.failed:
        print(f"  failed: {name}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
