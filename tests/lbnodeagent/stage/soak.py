"""``make soak``: many histories on all cores, the seeds of those that fail printed; ``SEED=n`` plays one again."""

from __future__ import annotations

import logging
import os
import sys
import time
from multiprocessing import Pool

from tests.lbnodeagent.stage.histories import fails, history, planned_history, shortened


def failure(seed: int) -> tuple[str, list[str]] | None:
    """How the histories of a seed fail, made as short as they still do."""
    for told in (history(seed), planned_history(seed)):
        if fails(told):
            short = shortened(told)
            return str(short), fails(short)
    return None


def main() -> int:
    """The exit code: 1 if a law was broken."""
    count, first = int(os.environ.get("HISTORIES", "50000")), int(os.environ.get("FIRST", "0"))
    if seed := os.environ.get("SEED"):
        first, count = int(seed), 1
    logging.disable(logging.CRITICAL)
    begun, failures = time.monotonic(), 0
    with Pool() as pool:
        for done, failed in enumerate(pool.imap_unordered(failure, range(first, first + count), chunksize=20), 1):
            if failed is not None:
                failures += 1
                print(failed[0], *failed[1], sep="\n  ", flush=True)
            if done % 5000 == 0:
                print(f"{done} seeds, {2 * done} histories, {failures} failures", flush=True)
    print(f"{2 * count} histories from seed {first} on in {time.monotonic() - begun:.0f} s: {failures} broke a law")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
