"""What a change means for this node's VIPs: who owns them now, which are looked at again, what is told of it. Pure.

``core`` says what changed; ``now`` is monotonic seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

from lbnodeagent import tables
from lbnodeagent.dataplane.outputs import Adopted, Counted, Output, RemovedOften, counted
from lbnodeagent.dataplane.state import State
from lbnodeagent.dataplane.takeovers import Cause
from lbnodeagent.election.changes import Changes
from lbnodeagent.gate.failures import Failure
from lbnodeagent.kernel.watch import TakenAway
from lbnodeagent.returnpath.ways import ReturnWays, ways_of
from lbnodeagent.tables import PresentAddress, WantedVip
from purelb.addresses import IPAddress

log = logging.getLogger(__name__)


class Implications:
    """Brings ``state`` up to date; what is to be told is taken with ``take`` after each input."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._changes = Changes(state.node, state.members, state.candidacy, state.present)
        self._told_members = tables.Members(frozenset())
        self._circumstances = state.circumstances()
        self._was_spokesman = False
        self._silence = ""
        self._ways: ReturnWays | None = None
        """By which answers are to leave; None: it isn't known yet, and what an earlier run left stays."""
        self._adopted: list[tuple[PresentAddress, str]] = []
        self._outputs: list[Output] = []

    def take(self) -> list[Output]:
        """What is to be told, once."""
        outputs, self._outputs = self._outputs, []
        if self._adopted:
            outputs.append(Adopted(tuple(self._adopted)))
            self._adopted = []
        return outputs

    def repeat(self) -> None:
        """Tell who wasn't there before how things are."""
        self._outputs += [self._told_members, self.serving()]
        self._state.rollcall.repeat()
        if self._state.subnets.found is not None:
            self._outputs.append(self._state.subnets.found)
        if self._ways is not None:
            self._outputs.append(self._ways)

    def candidacy_changed(self, now: float, cause: Cause = "elected") -> None:
        """This node, or another, became a candidate or ceased to be one, serves or doesn't, or is elsewhere."""
        self._judge(now)
        self.owners_changed(self._state.candidacy.update(now), now, cause)
        circumstances = self._state.circumstances()
        if circumstances != self._circumstances:
            self._circumstances = circumstances
            self._state.mark_all()
        if self._state.candidacy.is_spokesman != self._was_spokesman:
            # What nobody has is told by another node now.
            self._was_spokesman = self._state.candidacy.is_spokesman
            self._state.mark(self._state.candidacy.unowned())
        self._state.rollcall.mark()
        self._tell_members()

    def excluded(self, now: float, *, is_excluded: bool) -> None:
        """This node is to have VIPs only where no other can, or not only then."""
        is_news = is_excluded != self._state.candidacy.is_excluded
        self._state.candidacy.is_excluded = is_excluded
        self.candidacy_changed(now)
        if is_news:
            self._state.mark_all()

    def peer_alive(self, node: str, meta: bytes, address: IPAddress, now: float) -> None:
        """Another node takes part, or says something else of itself; not all of that is of weight for the election."""
        if self._state.members.joined(node, meta, address, now):
            self.candidacy_changed(now)
        self._state.flows.alive(node, now)
        self._state.rollcall.mark()

    def peer_gone(self, node: str, now: float, *, for_good: bool) -> None:
        """Another node died, or left (``for_good``)."""
        self._state.members.gone(node, now, for_good=for_good)
        self._state.flows.gone(node, now, for_good=for_good)
        if not for_good:
            self._state.takeovers.peer_died(now)
        self.candidacy_changed(now, "left" if for_good else "died")

    def owners_changed(self, vips: Iterable[IPAddress], since: float, cause: Cause = "elected") -> None:
        """These VIPs have another owner, which was noticed at ``since``."""
        vips = list(vips)
        self._state.note_won(vips, cause, since)
        self._outputs += counted(self._changes.tally(vips))
        self._state.mark(vips)
        if vips:
            self._state.rollcall.mark()

    def vip_changed(self, vip: IPAddress, wanted: WantedVip | None, now: float) -> None:
        """``vip`` is wanted so, or no longer."""
        state = self._state
        had = state.candidacy.is_owner(vip)
        if is_new := state.wanted.change(vip, wanted):
            self._outputs += counted(self._changes.first(vip))
        if wanted is not None:
            self._adopt(vip)
            state.candidacy.leave_to_absent((vip,), now)
            if not state.present.ours(vip):
                state.candidacy.doubt((vip,), now, are_new=True)
            if not had:
                state.note_won((vip,), "new" if is_new else "planned", now)
        state.mark((vip,))
        state.rollcall.mark()

    def surroundings_changed(self, now: float) -> None:
        """An interface, a default route, an address of the node's own or the configuration changed."""
        state = self._state
        before = state.subnets.found
        state.are_links_dirty = True
        state.connected.look(state.present, state.config.dummy_interface, now)
        own = state.landmarks.own(state.config.dummy_interface)
        self.owners_changed(state.subnets.look(state.config if state.is_configured else None, own, now), now)
        self._tell_members()
        if state.subnets.found is not None and state.subnets.found != before:
            self._outputs.append(state.subnets.found)
        self._find_ways()
        state.mark_all()

    def configured(self, now: float) -> None:
        """There is another configuration: what is wrong with it is told anew."""
        self._ways = None
        self.surroundings_changed(now)

    def _find_ways(self) -> None:
        """By which NIC and router answers leave."""
        state = self._state
        ways = ways_of(state.config.return_path, state.subnets.here, state.present) if state.is_configured else None
        if ways is not None and ways != self._ways:
            self._ways = ways
            self._outputs.append(ways)

    def _adopt(self, vip: IPAddress) -> None:
        """An address that looks like one of an earlier run is one, as a Service has it."""
        for there, interface in self._state.adoption.claim(vip):
            self._state.statuses.adopt(vip)
            self._adopted.append((there, interface))

    def taken_away(self, taken: TakenAway, now: float) -> None:
        """Somebody else took an address away. One of ours the next pass puts back."""
        state, gone = self._state, taken.address
        if not gone.is_ours:
            self._lost_own(gone, taken.by, now)
            return
        if gone.dad == "running" and state.detection.is_new(gone.address, now):
            # The kernel removes an address of finite lifetime that another host turned out to have.
            state.detection.failed(gone.address, now)
            return
        link = state.present.links.get(gone.index)
        if link is None or gone.address not in state.wanted or gone.expires <= now:
            return  # it went with its interface, or as it should
        self._outputs.append(Counted("restored", 1))
        about = {"vip": str(gone.address), "interface": link.name, "port": taken.by}
        log.warning("removed by somebody else", extra=about)
        times = state.removals.noticed(gone.address, now)
        if times:
            self._outputs.append(RemovedOften(gone.address, link.name, times, taken.by))

    def _lost_own(self, gone: PresentAddress, by: int, now: float) -> None:
        """The node's own address went from a NIC: with it goes each VIP of its subnet, as the node is there no more."""
        state = self._state
        subnet = next(
            (one for one in state.subnets.here if one.index == gone.index and gone.address in one.network), None
        )
        if subnet is None or not any(vip in subnet.network for vip in state.wanted):
            return
        state.own_removals.forget_old(now)
        times = state.own_removals.noticed(gone.address, now)
        if times:
            self._outputs.append(RemovedOften(gone.address, subnet.interface, times, by, is_nodes_own=True))

    def looked(self, now: float) -> None:
        """At this node's data path: most looks change nothing, and cost no election."""
        candidacy = self._state.candidacy
        before = candidacy.failing, candidacy.is_proxied
        self._judge(now)
        if before != (candidacy.failing, candidacy.is_proxied):
            self.candidacy_changed(now)

    def _judge(self, now: float) -> None:
        """Whether this node serves."""
        state = self._state
        before = state.candidacy.failing
        failing = state.gate.judge(now, are_others_proxied=state.members.are_others_proxied)
        state.candidacy.failing, state.candidacy.is_proxied = failing, state.gate.is_proxied(now)
        if failing == before or failing is Failure.UNSEEN or (failing is None and before is Failure.UNSEEN):
            return
        if failing is None:
            log.info("the node's data path works")
        else:
            log.warning("the node's data path doesn't work", extra={"reason": failing.clause})
        self._outputs.append(self.serving())

    def ask_wire(self, now: float) -> None:
        """What is to be asked while this node may be cut off; what nobody has is its own."""
        witnesses = self._state.witnesses
        self.owners_changed(witnesses.ask(now), self._state.takeovers.asked(now), "died")
        self.owners_changed(witnesses.ask_of_absent(now), now, "died")
        self.owners_changed(self._state.candidacy.catch_up(now), now)
        if witnesses.trouble != self._silence:
            self._silence = witnesses.trouble
            self._outputs.append(self.serving())

    def stood_still(self, now: float) -> None:
        """This agent did: each of its VIPs may be another node's by now, or the kernel let it go."""
        self._state.mark(self._state.candidacy.stood_still(now))

    def serving(self) -> tables.Serving:
        """Whether this node serves, to be told."""
        failing = self._state.candidacy.failing
        return tables.Serving(self._silence if failing in (None, Failure.UNSEEN) else failing.clause)

    def _tell_members(self) -> None:
        members = self._changes.members()
        if members != self._told_members:
            self._told_members = members
            self._outputs.append(members)
