"""A kernel's line says what its tests came to, also when it didn't come to its end."""

from __future__ import annotations

from kernels.results import outcome

REPORT = """<?xml version="1.0"?><testsuites><testsuite>
<testcase name="test_one" time="1"/>
<testcase name="test_two" time="1"><failure message="no">text</failure></testcase>
<testcase name="test_three" time="1"><skipped message="needs nft">text</skipped></testcase>
<testcase name="test_four" time="1"/>
<testcase name="test_four" time="1"><error message="at its end">text</error></testcase>
</testsuite></testsuites>"""


def test_passed_failed_and_skipped_are_counted_and_an_error_at_a_tests_end_is_a_failure() -> None:
    done = outcome("5.10.46", REPORT, 61.4)

    assert done.line == "5.10.46: passed 1, failed 2, skipped 1, 61 s"
    assert done.failed == ("test_two", "test_four")
    assert not done.is_well


def test_all_passed_is_well_and_none_is_not() -> None:
    assert outcome("6.1.0", '<testsuite><testcase name="test_one"/></testsuite>', 1.0).is_well
    assert not outcome("6.1.0", "<testsuite/>", 1.0).is_well


def test_a_kernel_that_left_no_report_says_why() -> None:
    assert outcome("5.10", None, 3.0).line == "5.10: passed 0, failed 0, skipped 0, 3 s (no report: see its log)"
    assert outcome("5.10", None, 9.0, "ended after 9 s").line.endswith("9 s (ended after 9 s)")
    assert not outcome("5.10", "<testsuite>", 3.0).is_well
