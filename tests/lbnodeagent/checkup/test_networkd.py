"""By which files systemd-networkd leaves addresses alone; as it was tried: tests/system/test_address_advice.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from lbnodeagent.checkup.networkd import harmful_file, keeps, state_of

FILE = "/run/systemd/network/10-netplan-eth0.network"


def configured(root: Path, text: str, name: str = FILE, **dropins: str) -> Path:
    """A node whose NIC 3 is configured by such a file; ``etc__z``: its drop-in z.conf below /etc."""
    files = {
        str(state_of(3, Path("/"))): f"# Private.\nADMIN_STATE=configured\nNETWORK_FILE={name}\n",
        name: text,
        **{
            f"/{folder}/systemd/network/{Path(name).name}.d/{dropin}.conf": content
            for key, content in dropins.items()
            for folder, dropin in [key.split("__")]
        },
    }
    for path, content in files.items():
        file = root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    return root


@pytest.mark.parametrize(
    ("text", "is_kept"),
    [
        ("[Match]\nName=eth0\n[Network]\nDHCP=ipv4\n", False),
        ("[Network]\nKeepConfiguration=yes\n", True),
        ("[Network]\n KeepConfiguration = TRUE \n", True),
        ("[Network]\nKeepConfiguration=static\n", False),
        ("[Network]\nKeepConfiguration=dhcp-on-stop\n", False),
        ("[Network]\nKeepConfiguration=yes\nKeepConfiguration=\n", False),
        ("[DHCPv4]\nKeepConfiguration=yes\n", False),
        ("[Network]\n# KeepConfiguration=yes\n", False),
    ],
)
def test_addresses_stay_if_its_last_word_is_yes(text: str, is_kept: bool, tmp_path: Path) -> None:
    assert keeps([text]) is is_kept
    assert harmful_file(3, configured(tmp_path, text)) == ("" if is_kept else FILE)


def test_a_drop_in_counts_more_than_the_file_and_one_in_etc_hides_that_of_its_name(tmp_path: Path) -> None:
    yes, no = "[Network]\nKeepConfiguration=yes\n", "[Network]\nKeepConfiguration=no\n"

    assert harmful_file(3, configured(tmp_path / "a", no, etc__purelb=yes)) == ""
    assert harmful_file(3, configured(tmp_path / "b", yes, run__late=no)) == FILE
    assert harmful_file(3, configured(tmp_path / "c", yes, run__late=no, etc__late=yes)) == ""
    assert harmful_file(3, configured(tmp_path / "d", no, etc__a=yes, run__b=no)) == FILE, "by their names' order"


def test_what_is_not_there_or_somewhere_else_says_nothing(tmp_path: Path) -> None:
    assert harmful_file(3, tmp_path) == ""
    assert harmful_file(4, configured(tmp_path / "a", "")) == ""
    assert harmful_file(3, configured(tmp_path / "b", "", name="/etc/passwd")) == ""
    assert harmful_file(3, configured(tmp_path / "c", "", name="/etc/systemd/network/../../passwd")) == ""
    (gone := configured(tmp_path / "d", "")).joinpath(FILE.lstrip("/")).unlink()
    assert harmful_file(3, gone) == ""
