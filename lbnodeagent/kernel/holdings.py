"""Which addresses are ours on a kernel that keeps no mark on an address (IFA_PROTO, Linux 5.18 on). Pure.

An address is ours if it is held: noted, by interface, address and prefix length, before the kernel is asked for it and
until the kernel took it back; or if its label is ours, which IPv4 alone has. What merely looks like ours is not.
The text here is what outlives the agent; ledger.py keeps it. It knows no file and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from lbnodeagent.errors import AddressTaken, KernelError, LedgerError
from lbnodeagent.tables import AddressKey, IfIndex, Place, PresentAddress, Remove
from purelb.addresses import IPAddress

_FIRST_LINE: Final = "purelb-ledger 1"
_BOOT: Final = re.compile(r"boot ([0-9a-f-]{1,64})")
_NODE: Final = re.compile(r"node ([!-~]{1,253})")
_ENTRY: Final = re.compile(r"([1-9][0-9]{0,9}) ([!-~]{1,15}) ([0-9a-f.:]{2,45}/[0-9]{1,3})")
LARGEST: Final = 100_000
"""Entries that a ledger may have: ten times the Services that an agent is made for."""

_LABEL: Final = "purelb"
_LONGEST_LABEL: Final = 15
"""IFNAMSIZ without its NUL."""
_SHORTEST_WORD: Final = 3
"""Letters of our word that must have room behind the interface's name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An address that we put there, or are about to."""

    index: IfIndex
    interface: str
    """For the reader: an interface keeps its index when it is renamed."""
    address: IPAddress
    prefix_length: int

    @property
    def key(self) -> AddressKey:
        return self.index, self.address, self.prefix_length


@dataclass(frozen=True, slots=True)
class Life:
    """What a ledger speaks of: one boot of one node. Whatever it says of another is over, or was never ours."""

    boot: str
    """/proc/sys/kernel/random/boot_id (random(4))."""
    node: str


def keeps_marks(release: str) -> bool:
    """Whether a kernel of this release (``5.10.0-27-amd64``) keeps IFA_PROTO."""
    found = re.match(r"(\d+)\.(\d+)", release)
    return found is not None and (int(found[1]), int(found[2])) >= (5, 18)


def encode(life: Life, entries: Iterable[Entry]) -> str:
    """The ledger as text: three lines of head, then a line per address."""
    lines = [_FIRST_LINE, f"boot {life.boot}", f"node {life.node}"]
    lines += (f"{one.index} {one.interface} {one.address}/{one.prefix_length}" for one in entries)
    return "\n".join(lines) + "\n"


def decode(text: str) -> tuple[Life, tuple[Entry, ...]]:
    """Its life and its entries. Raises LedgerError, and nothing else: all of it holds, or none."""
    first, *rest = text.split("\n")
    if first != _FIRST_LINE or len(rest) < 3 or rest[-1]:
        raise LedgerError("it is no ledger of this version")
    boot, node = _BOOT.fullmatch(rest[0]), _NODE.fullmatch(rest[1])
    if boot is None or node is None:
        raise LedgerError("its head is broken")
    if len(rest) - 3 > LARGEST:
        raise LedgerError(f"it has more than {LARGEST} entries")
    return Life(boot[1], node[1]), tuple(_entry(line, number) for number, line in enumerate(rest[2:-1], 4))


def _entry(line: str, number: int) -> Entry:
    found = _ENTRY.fullmatch(line)
    if found is None:
        raise LedgerError(f"line {number} is broken")
    try:
        there = ip_interface(found[3])
    except ValueError:
        raise LedgerError(f"line {number} is broken") from None
    return Entry(IfIndex(int(found[1])), found[2], there.ip, there.network.prefixlen)


def label(interface: str) -> str | None:
    """IFA_LABEL of an IPv4 address of ours; None where the interface's name leaves too little room.

    It must begin with the interface's name and a colon, or programs that read it as a name (SIOCGIFCONF, getifaddrs(3))
    would look for an interface that doesn't exist. ``ip addr flush dev eth0 label eth0``, as ifdown and dhclient-script
    have it, then passes our address over.
    """
    whole = f"{interface}:{_LABEL}"[:_LONGEST_LABEL]
    return whole if len(whole) - len(interface) - 1 >= _SHORTEST_WORD else None


def is_label(text: str) -> bool:
    """Whether a label is ours. The kernel changes the part before the colon when an interface gets another name."""
    _, colon, word = text.rpartition(":")
    return bool(colon) and len(word) >= _SHORTEST_WORD and _LABEL.startswith(word)


class Holdings:
    """What we hold. ``expect`` before the kernel is asked, ``conclude`` with what it answered."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[AddressKey, Entry] = {one.key: one for one in entries}
        self._hoped: set[AddressKey] = set()
        """Noted because the kernel was asked for them; it has not said yet that they came."""
        self._absent: set[AddressKey] = set()
        """Those that weren't there at the last sweep."""

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def entries(self) -> Iterable[Entry]:
        return self._entries.values()

    def claims(self, key: AddressKey, label: str | None) -> bool:
        """Whether an address that the kernel has is ours."""
        return key in self._entries or (label is not None and is_label(label))

    def expect(self, changes: Iterable[Place | Remove]) -> bool:
        """The kernel is about to be asked for these. True if that is news."""
        before = len(self._entries)
        for change in changes:
            if isinstance(change, Place):
                spot = change.spot
                entry = Entry(spot.index, spot.interface, change.vip, spot.prefix_length)
                self._absent.discard(entry.key)
                if entry.key not in self._entries:
                    self._entries[entry.key] = entry
                    self._hoped.add(entry.key)
        return len(self._entries) != before

    def conclude(
        self, changes: Sequence[Place | Remove], results: Sequence[PresentAddress | KernelError | None]
    ) -> bool:
        """What came of each. True if that is news.

        An address that somebody else turned out to have isn't ours, unless it was before. After any other failure to
        add one it may be there (its answer was lost), so it stays noted; ``keep`` puts that right.
        """
        before = len(self._entries)
        for change, result in zip(changes, results, strict=True):
            match change, result:
                case Remove(), None:
                    self._forget((change.index, change.vip, change.prefix_length))
                case Place(), AddressTaken():
                    key = (change.spot.index, change.vip, change.spot.prefix_length)
                    if key in self._hoped:
                        self._forget(key)
                case Place(), PresentAddress():
                    self.expect([change])  # once more, when it was taken away just before
                    self._hoped.discard((change.spot.index, change.vip, change.spot.prefix_length))
        return len(self._entries) != before

    def adopt(self, adopted: Iterable[tuple[PresentAddress, str]]) -> bool:
        """An earlier run put these there, which wrote no ledger; each with its interface. True if that is news."""
        before = len(self._entries)
        for there, interface in adopted:
            self._entries[there.key] = Entry(there.index, interface, there.address, there.prefix_length)
        return len(self._entries) != before

    def keep(self, present: Iterable[AddressKey]) -> bool:
        """These are all the addresses that the kernel has: others are gone. True if that is news."""
        gone = self._entries.keys() - set(present)
        for key in gone:
            self._forget(key)
        return bool(gone)

    def swept(self, present: Iterable[AddressKey]) -> bool:
        """These are the addresses that are known of. True if that is news.

        What isn't known of may be there all the same, and not heard of yet: it's gone when it's absent twice.
        """
        absent = self._entries.keys() - set(present)
        gone, self._absent = absent & self._absent, absent - self._absent
        for key in gone:
            self._forget(key)
        return bool(gone)

    def _forget(self, key: AddressKey) -> None:
        self._entries.pop(key, None)
        self._hoped.discard(key)
        self._absent.discard(key)
