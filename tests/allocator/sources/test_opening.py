"""Whoever keeps no addresses elsewhere pays nothing for those who do."""

from __future__ import annotations

import subprocess
import sys


def test_what_speaks_to_sources_is_imported_only_where_a_group_needs_it() -> None:
    heavy = {"google.protobuf", "grpc", "pynetbox", "requests"}
    code = f"import sys, allocator.__main__; print(sorted({heavy!r} & set(sys.modules)))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert printed.strip() == "[]"
