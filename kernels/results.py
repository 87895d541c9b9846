"""What came of a kernel: its line, from the report that pytest wrote there (JUnit's XML). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Outcome:
    """One kernel's tests."""

    version: str
    """As ``uname -r`` says it; else what was to be booted."""
    passed: int = 0
    failed: tuple[str, ...] = ()
    """Names of the tests that failed, those that met an error too."""
    skipped: int = 0
    seconds: float = 0.0
    """From the start of the kernel to its end."""
    trouble: str = ""
    """Why there is no report, or why it doesn't tell all."""

    @property
    def is_well(self) -> bool:
        return not self.failed and not self.trouble and self.passed > 0

    @property
    def line(self) -> str:
        counts = f"passed {self.passed}, failed {len(self.failed)}, skipped {self.skipped}"
        return f"{self.version}: {counts}, {self.seconds:.0f} s" + (f" ({self.trouble})" if self.trouble else "")


def outcome(version: str, report: str | None, seconds: float, trouble: str = "") -> Outcome:
    """From the text of a report; None: there is none."""
    if report is None:
        return Outcome(version, seconds=seconds, trouble=trouble or "no report: see its log")
    try:
        cases = list(ElementTree.fromstring(report).iter("testcase"))
    except ElementTree.ParseError:
        return Outcome(version, seconds=seconds, trouble=trouble or "its report is broken: see its log")
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    # A test and its end can both have an error, and are two entries then.
    names = tuple(dict.fromkeys(case.get("name", "") for case in failed))
    ended = {case.get("name", "") for case in (*failed, *skipped)}
    passed = {case.get("name", "") for case in cases} - ended
    return Outcome(version, len(passed), names, len(skipped), seconds, trouble)
