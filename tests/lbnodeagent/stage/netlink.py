"""What stands between an agent and its node's kernel: the part of ``kernel/netlink.py``, in virtual time.

Notifications of an interface come in their order, those of two interfaces in any, and all of them as late as the node
makes them. When too many wait they are lost, and everything is read again, which takes a moment too. On a kernel
without marks the real holdings say which addresses are ours; their text outlives the agent.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from lbnodeagent.errors import AddressTaken, KernelError
from lbnodeagent.kernel.adoption import has_signature
from lbnodeagent.kernel.holdings import Holdings, Life, decode, encode, label
from lbnodeagent.kernel.meanwhile import Meanwhile
from lbnodeagent.kernel.notifications import AddressGone, AddressSeen, Change, Dump, LinkGone, LinkSeen, RoutesRead
from lbnodeagent.tables import (
    DUMMY_ALIAS,
    FOREVER,
    Action,
    AddressKey,
    Done,
    IfIndex,
    Outcome,
    Place,
    PresentAddress,
    Refused,
    Remove,
)
from tests.lbnodeagent.stage.kernel import EEXIST, FakeKernel, News

PROMPT: tuple[float, float] = (0.0, 0.003)
"""Seconds until a notification of the kernel is heard, on a node that isn't busy."""
READING: tuple[float, float] = (0.001, 0.3)
"""Seconds that reading everything takes: what it says is as old, and what the agent did meanwhile is not in it."""


@dataclass(slots=True)
class Seam:
    """What of a node outlives its agent."""

    has_marks: bool
    """Whether its kernel keeps IFA_PROTO."""
    lateness: tuple[float, float] = PROMPT
    ledger: str = ""
    """The text of the ledger, on a kernel without marks."""


@dataclass(slots=True)
class FakeNetlink:
    """One run's sockets. ``hear`` has the agent hear what is told after so many seconds."""

    node: str
    kernel: FakeKernel
    seam: Seam
    chance: random.Random
    now: Callable[[], float]
    after: Callable[[float, Callable[[], None]], None]
    hear: Callable[[list[Change]], None]
    _holdings: Holdings | None = None
    _heard_at: dict[IfIndex, float] = field(default_factory=dict)
    """When the last notification of an interface that was sent so far is heard."""
    _losses: int = 0
    _is_reading: bool = False
    """Everything, as notifications were lost."""
    _meanwhile: Meanwhile | None = None
    """From when it's asked for until it's there."""

    def __post_init__(self) -> None:
        if not self.seam.has_marks:
            entries = decode(self.seam.ledger)[1] if self.seam.ledger else ()
            self._holdings = Holdings(entries)

    # --- reading -----------------------------------------------------------------------------------------------------

    def read(self) -> Dump:
        """Everything, at the start."""
        dump = self.kernel.dump()
        return self._kept(replace(dump, addresses=tuple(self._seen(there, 0.0) for there in dump.addresses)))

    def _kept(self, dump: Dump) -> Dump:
        present = [there.key for there in dump.addresses]
        if self._holdings is not None and self._holdings.keep(present):
            self._save()
        return dump

    def _seen(self, there: PresentAddress, age: float) -> PresentAddress:
        """An address as a message says it that was sent ``age`` seconds ago: lifetimes are counted from now on."""
        seen = replace(there, expires=there.expires + age) if there.expires != FOREVER else there
        if self._holdings is None:
            return seen
        link = self.kernel.links.get(there.index)
        word = label(link.name) if link is not None and there.is_ours and there.address.version == 4 else None
        return replace(
            seen,
            is_ours=self._holdings.claims(there.key, word),
            looks_ours=has_signature(
                there.address,
                is_on_made=link is not None and link.alias == DUMMY_ALIAS,
                no_prefix_route=there.no_prefix_route,
                preferred=0,
                valid=0 if there.expires == FOREVER else int(there.expires - self.now()),
            ),
        )

    # --- notifications -----------------------------------------------------------------------------------------------

    def notified(self, news: Iterable[News]) -> None:
        """The kernel sends these."""
        by_interface: dict[IfIndex, list[News]] = {}
        for one in news:
            by_interface.setdefault(_interface_of(one), []).append(one)
        for index, batch in by_interface.items():
            late = self.chance.uniform(*self.seam.lateness)
            at = max(self.now() + late, self._heard_at.get(index, 0.0), self._heard_at.get(IfIndex(0), 0.0))
            self._heard_at[index] = at
            self._pass_on(batch, at)

    def _pass_on(self, batch: Sequence[News], at: float) -> None:
        losses, sent = self._losses, self.now()

        def pass_on() -> None:
            if losses == self._losses:
                self.hear([self._read(one, self.now() - sent) for one in batch])

        self.after(at - sent, pass_on)

    def _read(self, one: News, age: float) -> Change:
        match one:
            case AddressSeen(there):
                return AddressSeen(self._seen(there, age))
            case RoutesRead():
                return RoutesRead(self.kernel.default_routes())
            case LinkSeen() | LinkGone() | AddressGone():
                return one

    def overrun(self) -> None:
        """The socket's buffer is full: what waits in it is lost, and that is heard."""
        if self._is_reading:
            return
        self._losses += 1
        self._is_reading = True
        begins = self.chance.uniform(*self.seam.lateness)
        takes = self.chance.uniform(*READING)
        # What is sent from now on waits until all was read.
        self._heard_at = {IfIndex(0): self.now() + begins + takes}

        def begin() -> None:
            dump, read_at = self.kernel.dump(), self.now()
            meanwhile = self._meanwhile = Meanwhile()

            def end() -> None:
                self._is_reading, self._meanwhile = False, None
                seen = [self._seen(there, self.now() - read_at) for there in dump.addresses]
                self.hear([self._kept(replace(dump, addresses=meanwhile.over(seen), marked_routes=()))])

            self.after(takes, end)

        self.after(begins, begin)

    # --- changing ----------------------------------------------------------------------------------------------------

    def execute(self, actions: Sequence[Action]) -> list[Outcome]:
        """As the executor does it."""
        changes = [action for action in actions if isinstance(action, Place | Remove)]
        if self._holdings is not None and self._holdings.expect(changes):
            self._save()
        outcomes = self.kernel.execute(actions, self.now())
        results = [_result(one) for one in outcomes if isinstance(one.action, Place | Remove)]
        if self._holdings is not None and self._holdings.conclude(changes, results):
            self._save()
        if self._meanwhile is not None:
            self._meanwhile.note(changes, results)
        return outcomes

    def adopt(self, adopted: Iterable[tuple[PresentAddress, str]]) -> None:
        if self._holdings is not None and self._holdings.adopt(adopted):
            self._save()

    def swept(self, present: Iterable[AddressKey]) -> None:
        if self._holdings is not None and self._holdings.swept(present):
            self._save()

    def _save(self) -> None:
        assert self._holdings is not None
        self.seam.ledger = encode(Life("0", self.node), self._holdings.entries)


def _interface_of(news: News) -> IfIndex:
    match news:
        case LinkSeen(link):
            return link.index
        case LinkGone(index) | AddressGone(index):
            return index
        case AddressSeen(there):
            return there.index
        case RoutesRead():
            return IfIndex(1)


def _result(outcome: Outcome) -> PresentAddress | KernelError | None:
    match outcome:
        case Done(_, there):
            return there
        case Refused(_, reason):
            return AddressTaken(reason, 17) if reason == EEXIST else KernelError(reason, 12)
