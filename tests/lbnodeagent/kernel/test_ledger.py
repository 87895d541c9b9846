"""The ledger outlives the agent, not the boot; whatever happens to its file, addresses are placed all the same."""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from lbnodeagent.errors import LedgerHeld
from lbnodeagent.kernel.holdings import Life, encode
from lbnodeagent.kernel.ledger import Ledger, this_life
from tests.lbnodeagent.kernel.test_holdings import ENTRY, LIFE, PLACED, place, remove
from tests.lbnodeagent.scenes import VIP


def claims(folder: Path, life: Life = LIFE) -> bool:
    """Whether an agent that starts now knows the address."""
    with Ledger(folder, life) as ledger:
        return ledger.holdings.claims(ENTRY.key, None)


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder in which an agent left a ledger."""
    with Ledger(tmp_path / "purelb", LIFE) as ledger:
        ledger.expect([place()])
        ledger.conclude([place()], [PLACED])
    return tmp_path / "purelb"


def test_an_agent_knows_what_the_one_before_it_placed(kept: Path) -> None:
    assert claims(kept)
    assert (kept / "ledger").read_text() == encode(LIFE, [ENTRY])
    assert (kept / "ledger").stat().st_mode & 0o077 == 0


def test_it_is_written_before_the_kernel_is_asked(tmp_path: Path) -> None:
    with Ledger(tmp_path, LIFE) as ledger:
        ledger.expect([place()])

        assert "10.31.188.64/16" in (tmp_path / "ledger").read_text()


def test_many_that_an_earlier_run_left_without_a_note_are_written_once(tmp_path: Path) -> None:
    many = [replace(PLACED, address=VIP + number) for number in range(100)]
    with Ledger(tmp_path, LIFE) as ledger:
        ledger.adopt((there, "eth0") for there in many)
        written = (tmp_path / "ledger").stat().st_ino
        assert ledger.holdings.claims(many[-1].key, None)
        ledger.adopt(())

        assert (tmp_path / "ledger").stat().st_ino == written
    assert (tmp_path / "ledger").read_text().count("eth0") == 100


def test_what_was_removed_is_not_known_any_more(kept: Path) -> None:
    with Ledger(kept, LIFE) as ledger:
        ledger.conclude([remove()], [None])

    assert not claims(kept)


def test_a_reboot_empties_it(kept: Path) -> None:
    assert not claims(kept, Life("another-boot", LIFE.node))


def test_that_of_another_node_counts_for_nothing_and_is_told(kept: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert not claims(kept, Life(LIFE.boot, "w12"))
    assert "can't be read" in caplog.text


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"purelb-ledger 1\nboot x\n", b"purelb-ledger 2\n"])
def test_a_broken_one_is_begun_anew(kept: Path, content: bytes) -> None:
    (kept / "ledger").write_bytes(content)

    with Ledger(kept, LIFE) as ledger:
        assert ledger.trouble is not None
        ledger.expect([place()])
        assert ledger.trouble is None

    assert claims(kept)


def test_one_that_others_may_write_to_is_not_believed(kept: Path) -> None:
    (kept / "ledger").chmod(0o666)

    assert not claims(kept)


def test_a_link_and_a_pipe_in_its_place_are_not_followed(kept: Path) -> None:
    (kept / "ledger").rename(kept / "elsewhere")
    (kept / "ledger").symlink_to("elsewhere")
    assert not claims(kept)

    (kept / "ledger").unlink()
    os.mkfifo(kept / "ledger")
    assert not claims(kept)


def test_an_agent_that_died_while_it_wrote_leaves_the_old_one(kept: Path) -> None:
    (kept / "ledger.new").write_text("half")

    assert claims(kept)
    with Ledger(kept, LIFE) as ledger:
        ledger.conclude([remove()], [None])
    assert not claims(kept)


def test_two_agents_do_not_share_it(kept: Path) -> None:
    with Ledger(kept, LIFE), pytest.raises(LedgerHeld, match="another agent runs on this node"), Ledger(kept, LIFE):
        pass

    assert claims(kept)


def test_one_that_cannot_be_written_is_told_once_and_kept_as_soon_as_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (tmp_path / "purelb").write_text("a file where the folder belongs")

    with Ledger(tmp_path / "purelb", LIFE) as ledger:
        ledger.expect([place()])
        ledger.conclude([place()], [PLACED])
        assert ledger.trouble is not None
        assert ledger.holdings.claims(ENTRY.key, None)
        assert caplog.text.count("can't be read") == 1
        (tmp_path / "purelb").unlink()
        ledger.keep([ENTRY.key])
        assert ledger.trouble is None

    assert caplog.text.count("is kept again") == 1
    assert claims(tmp_path / "purelb")


def test_a_lock_that_the_file_system_refuses_is_tried_again(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", refuse)
        with Ledger(kept, LIFE) as ledger:
            assert ledger.trouble == os.strerror(errno.ENOLCK)
            patch.undo()
            ledger.expect([place()])
            assert ledger.trouble is None
            with pytest.raises(LedgerHeld), Ledger(kept, LIFE):
                pass


def test_another_agent_that_got_it_meanwhile_is_told_of_and_ends_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "purelb").write_text("a file where the folder belongs")
    with Ledger(tmp_path / "purelb", LIFE) as ledger:
        (tmp_path / "purelb").unlink()
        with Ledger(tmp_path / "purelb", LIFE):
            ledger.expect([place()])
            assert ledger.trouble is not None
            assert "another agent runs on this node" in ledger.trouble
        ledger.conclude([place()], [PLACED])
        assert ledger.trouble is None

    assert claims(tmp_path / "purelb")


def test_the_boot_is_the_kernels_own_word() -> None:
    assert this_life("w11") == Life(Path("/proc/sys/kernel/random/boot_id").read_text().strip(), "w11")
