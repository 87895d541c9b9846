"""Which NICs answer for addresses of other interfaces."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbnodeagent.kernel.arp import answering_for_others


@pytest.mark.parametrize(
    ("everywhere", "eth0", "answers"), [("0", "0", True), ("1", "0", False), ("0", "2", False), ("0", "", False)]
)
def test_the_greater_setting_of_all_and_the_nic_counts(
    tmp_path: Path, everywhere: str, eth0: str, answers: bool
) -> None:
    for name, value in (("all", everywhere), ("eth0", eth0)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "arp_ignore").write_text(f"{value}\n")

    assert answering_for_others(("eth0",), tmp_path) == (("eth0",) if answers else ())
