"""Requests over the control socket: answers, sentences that refuse, descriptors, and labs that are gone."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.command import control
from lab.command.control import Answer
from lab.errors import FaultRefused, LabError, NoLab

T = TypeVar("T")


async def _handle(op: str, arguments: dict[str, Any]) -> Answer:
    match op:
        case "add":
            return Answer({"sum": arguments["a"] + arguments["b"]})
        case "refuse":
            raise FaultRefused("not that one")
        case "stumble":
            raise OSError("no buffer space")
        case "open":
            return Answer({}, (os.open("/dev/null", os.O_RDONLY),))
        case _:
            await asyncio.sleep(60)
            return Answer()


def _ask(folder: Path, ask: Callable[[], T]) -> T:
    """Run a blocking client against a serving lab."""

    async def serve_and_ask() -> T:
        listening = control.listen(folder)
        with listening:
            serving = asyncio.create_task(control.serve(listening, _handle))
            try:
                return await asyncio.to_thread(ask)
            finally:
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)

    return asyncio.run(serve_and_ask())


def test_a_request_is_answered(tmp_path: Path) -> None:
    assert _ask(tmp_path, lambda: control.request(tmp_path, "add", a=1, b=2)).values == {"sum": 3}


def test_a_refusal_arrives_as_its_sentence(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"^not that one$"):
        _ask(tmp_path, lambda: control.request(tmp_path, "refuse"))


def test_a_mistake_fails_its_request_and_ends_no_lab(tmp_path: Path) -> None:
    def stumble_and_add() -> dict[str, Any]:
        with pytest.raises(LabError, match=r"^stumble: OSError: no buffer space$"):
            control.request(tmp_path, "stumble")
        return control.request(tmp_path, "add", a=1, b=2).values

    assert _ask(tmp_path, stumble_and_add) == {"sum": 3}


def test_namespaces_travel_as_descriptors(tmp_path: Path) -> None:
    (fd,) = _ask(tmp_path, lambda: control.request(tmp_path, "open")).fds

    assert Path(f"/proc/self/fd/{fd}").readlink() == Path("/dev/null")
    os.close(fd)


def test_a_lab_that_does_not_answer_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"no answer to 'sleep' in 0\.1 s"):
        _ask(tmp_path, lambda: control.request(tmp_path, "sleep", 0.1))


def test_a_folder_deeper_than_a_socket_address_may_be(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)

    assert _ask(deep, lambda: control.request(deep, "add", a=2, b=2)).values == {"sum": 4}


def test_the_supervisors_pid_is_told_by_the_kernel(tmp_path: Path) -> None:
    def pid() -> int:
        with control.connect(tmp_path) as connection:
            return control.supervisor_pid(connection)

    assert _ask(tmp_path, pid) == os.getpid()


def test_no_lab_and_a_dead_lab_are_both_no_lab(tmp_path: Path) -> None:
    with pytest.raises(NoLab):
        control.connect(tmp_path)
    control.listen(tmp_path).close()
    with pytest.raises(NoLab, match="purelb-lab up"):
        control.connect(tmp_path)
    assert _ask(tmp_path, lambda: control.request(tmp_path, "add", a=1, b=1)).values == {"sum": 2}
