"""Whatever the API server does wrong, to whatever verb of the allocator: soon after, it is as if it had not been."""

from __future__ import annotations

import pytest

from tests.faults.allocators import AllocatorWorld
from tests.faults.verdicts import (
    test_after_a_fault_the_world_is_as_if_it_had_not_been,
    test_no_fault_leaves_a_traceback_or_a_task,
)

__all__ = ["test_after_a_fault_the_world_is_as_if_it_had_not_been", "test_no_fault_leaves_a_traceback_or_a_task"]

PROGRAM = AllocatorWorld
pytestmark = pytest.mark.timeout(300)
