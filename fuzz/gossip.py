"""Coverage-guided fuzzing of what the gossip reads from the network: ``make fuzz``.

Seeds are the captured packets and streams of the tests.  What was found to reach new code is kept in .fuzz/corpus for
the next run; an input that fails is written to .fuzz/ and belongs into memberlist/tests/test_hostile.py.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["memberlist"]):
    from hostile import seeds, try_input

FOLDER = Path(__file__).parents[1] / ".fuzz"


def main() -> None:
    """Arguments are libFuzzer's, such as -max_total_time=60."""
    corpus = FOLDER / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds():
        (corpus / name).write_bytes(data)
    limits = ["-rss_limit_mb=1024", "-timeout=5", f"-artifact_prefix={FOLDER}/", "-print_final_stats=1"]
    atheris.Setup([*sys.argv, *limits, str(corpus)], try_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
