"""One node's VIPs, without I/O and without a clock.

Inputs are ``now`` (monotonic seconds) with what the control plane told, the gossip said, the kernel notified of, a
neighbour claimed, the routing software is, the kernel answered, or nothing but the time (``tick``). After each take
``outputs()``, and call ``tick`` at ``next_deadline()``. Everything that happens only marks VIPs to be looked at; what
is then done follows from what is (turn.py). The same inputs give the same outputs.
"""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Final, assert_never

from lbnodeagent.bird.status import BirdStatus
from lbnodeagent.dataplane.implications import Implications
from lbnodeagent.dataplane.outputs import Answer, Counted, Execute, JoinAtOnce, Output, SayMeta
from lbnodeagent.dataplane.state import State
from lbnodeagent.dataplane.telling import tables
from lbnodeagent.dataplane.timers import run_timers
from lbnodeagent.dataplane.turn import take_leave, take_turn
from lbnodeagent.election.candidacy import Candidacy
from lbnodeagent.flows.tables import Adopted, FlowCounts, Stray
from lbnodeagent.gate.looks import Looked
from lbnodeagent.gossip.events import (
    CutOff,
    Deaf,
    GossipEnded,
    GossipStarted,
    KeyRetired,
    PeerAlive,
    PeerEvent,
    PeerGone,
    StoodStill,
)
from lbnodeagent.gossip.flowsmessage import FlowsMessage
from lbnodeagent.gossip.meta import HandoverMessage, Meta
from lbnodeagent.gossip.straymessage import StrayAnswer, StrayQuestion
from lbnodeagent.kernel.notifications import Change, Dump
from lbnodeagent.kernel.watch import note, read
from lbnodeagent.messages import (
    Begun,
    BehindApi,
    Configured,
    FoundWrong,
    KeysKnown,
    NodeAddresses,
    NodeExcluded,
    NodeFailing,
    PeersKnown,
    Synced,
    Told,
    VipChanged,
)
from lbnodeagent.tables import FOREVER, IfIndex, Mac, Outcome
from purelb.addresses import IPAddress
from purelb.statedump import Table
from purelb.version import Version

log = logging.getLogger(__name__)

REPORT_HOLD: Final = 1.0
"""Seconds for which reports wait at most while there are VIPs to be looked at."""


class Core:
    """``start`` it with what the kernel has; ``leave`` gives the VIPs away."""

    def __init__(self, node: str, version: Version, *, asks_first: bool = True) -> None:
        """``version``: of this agent, for its peers to know. ``asks_first``: for IPv4 addresses of new Services."""
        self.has_left = False
        """Everything that had to be given away or withdrawn is."""
        self._state = State(node, version, asks_first=asks_first)
        self._implied = Implications(self._state)
        self._needs_turn = False
        self._takes_leave = False
        self._turn: Generator[Execute, Answer, None] | None = None
        self._report_at = 0.0
        self._now = 0.0
        self._outputs: list[Output] = []
        self._said = Meta()

    # --- life --------------------------------------------------------------------------------------------------------

    def start(self, now: float, dump: Dump) -> None:
        """This is what the kernel has: what an earlier run left is adopted."""
        self._now = now
        read(dump, self._state.present)
        self._state.connected.look(self._state.present, self._state.config.dummy_interface, now)
        self._state.routes.adopt(dump.marked_routes)
        self._state.adoption.offer()
        for there in list(self._state.present.all_ours()):
            self._state.statuses.adopt(there.address)
            self._state.wanted.adopt(there)
        if adopted := list(self._state.wanted):
            self._state.mark(adopted)
            log.info("adopted", extra={"vips": len(adopted)})

    def leave(self, now: float) -> None:
        """Hand over the VIPs that get a new owner and withdraw the rest; ``has_left`` becomes true when it's done.

        Routed VIPs stay, with a lifetime: other nodes have them too, and a restart is nothing for routers to hear of.
        """
        self._now = now
        self._state.candidacy.is_leaving = True
        self._state.are_links_dirty = self._needs_turn = True
        self._implied.candidacy_changed(now)
        self._state.mark_all()

    def pause(self, now: float, within: int) -> None:
        """This agent ends, and ``within`` seconds the next one is there, which adopts what this node has: it stays.

        ``has_left`` becomes true when it may end. Peers must have heard of it by then: it is in the meta. What is
        another node's is handed over first.
        """
        self._now = now
        self._state.candidacy.returns_within = within
        self._needs_turn = True
        self._implied.candidacy_changed(now)
        self._state.mark_all()

    @property
    def may_pause(self) -> bool:
        """Whether all peers would leave this node's VIPs to it, and it knows which are."""
        return self._state.candidacy.is_candidate and self._state.is_configured and self._state.members.all_wait

    # --- what happens ------------------------------------------------------------------------------------------------

    def told(self, now: float, told: Told) -> None:
        """The control plane says what is wanted, or how things are."""
        self._now = now
        match told:
            case Begun():
                self._state.wanted.begin_again()
                self._state.statuses.repeat()
                self._implied.repeat()
                self._needs_turn = True
            case VipChanged(vip, wanted):
                self._implied.vip_changed(vip, wanted, now)
            case Configured(config):
                self._state.config, self._state.is_configured = config, True
                self._state.candidacy.weight = config.weight
                self._state.neighbours.configure(config.garp, now)
                self._state.sweeps.lifetime_is(config.local_addressing.valid_lifetime, now)
                self._implied.configured(now)
            case KeysKnown():
                pass  # the gossip's own
            case PeersKnown(peers, running):
                self._state.candidacy.is_alone = not peers
                self._state.members.expected = running
                self._implied.candidacy_changed(now)
            case NodeAddresses(internal, external):
                self._state.landmarks.node_has(internal, external)
                self._implied.surroundings_changed(now)
            case NodeExcluded(is_excluded):
                self._implied.excluded(now, is_excluded=is_excluded)
            case NodeFailing(failure):
                self._state.gate.node_is(failure)
                self._implied.candidacy_changed(now)
            case BehindApi() | FoundWrong():
                self._state.candidacy.is_told(told)
                self._implied.candidacy_changed(now)
            case Synced():
                self._state.candidacy.is_synced = True
                self._state.wanted.synced()
                self._state.adoption.end()
                self._implied.candidacy_changed(now)
                self._state.mark_all()
            case _:
                assert_never(told)

    def peer(self, now: float, event: PeerEvent) -> None:
        """The gossip has news: elect again, as far as it matters."""
        self._now = now
        match event:
            case GossipStarted():
                self._implied.owners_changed(self._state.candidacy.gossip_started(now), now)
            case GossipEnded():
                self._state.candidacy.hears_peers = False
                self._implied.owners_changed(self._state.candidacy.answered(now, is_answered=True), now)
            case PeerAlive(node, meta, address):
                self._implied.peer_alive(node, meta, address, now)
            case PeerGone(node, for_good):
                self._implied.peer_gone(node, now, for_good=for_good)
            case Deaf(is_deaf):
                self._state.candidacy.is_deaf = is_deaf
                self._implied.candidacy_changed(now)
            case CutOff(is_cut_off):
                self._implied.owners_changed(self._state.candidacy.answered(now, is_answered=not is_cut_off), now)
            case StoodStill():
                self._implied.stood_still(now)
            case KeyRetired():
                self._state.members.key_retired()
            case FlowsMessage():
                self._state.flows.received(event, now)
            case StrayQuestion() | StrayAnswer():
                self._state.flows.told_of_strays(event, now)
            case HandoverMessage():
                learned = self._state.negotiation.received(event, now)
                self._implied.owners_changed(learned.changed, now, "left" if event.is_leaving else "elected")
                self._state.mark(learned.look_at)
            case _:
                assert_never(event)
        self._state.mark_hosts()

    def kernel(self, now: float, changes: Iterable[Change]) -> None:
        """The kernel notifies of changes, its own and ours."""
        self._now = now
        noted = note(changes, self._state.present)
        for taken in noted.taken_away:
            self._implied.taken_away(taken, now)
        self._state.mark(noted.touched)
        if noted.surroundings:
            self._implied.surroundings_changed(now)

    def claim(self, now: float, index: IfIndex, vip: IPAddress, mac: Mac) -> bool:
        """A host says on an interface that it has ``vip`` (RFC 5227 section 2.4). Whether that is of interest here."""
        heard = self._state.claims.heard(index, vip, mac, now)
        if heard is None:
            return False
        self._now = now
        self._implied.owners_changed((vip,) if heard.has_changed else (), now)
        self._state.mark((vip,) if heard.is_to_be_looked_at else ())
        if heard.conflict is not None:
            self._outputs += (Counted("conflicts", 1), heard.conflict)
        return True

    def await_router(self, now: float) -> None:
        """Hold routed VIPs that aren't here yet back until ``router`` says that something routes them."""
        self._state.router.begin(now)

    def router(self, now: float, status: BirdStatus) -> None:
        """How the routing software is."""
        self._now = now
        if self._state.router.is_now(status, now):
            self._state.mark_all()

    def await_looks(self, now: float) -> None:
        """The data path will be ``looked`` at: until then this node serves where nobody else does."""
        self._state.gate.begin()
        self._implied.candidacy_changed(now)

    def looked(self, now: float, looked: Looked) -> None:
        """How this node's data path looks."""
        self._now = now
        self._state.gate.looked(looked, now)
        self._implied.looked(now)

    def keep_flows(self, now: float, adopted: frozenset[Adopted] = frozenset()) -> None:
        """The kernel has what it takes to keep the flows of VIPs that move, and goes on with these."""
        self._state.flows.begin(adopted, now)
        self._state.candidacy.keeps_flows = True

    def flows_looked(self, now: float, counts: Mapping[IPAddress, int]) -> None:
        """So many flows are served here for VIPs of others."""
        self._state.flows.looked(counts, now)

    def flows_astray(self, now: float, version: int, strays: Sequence[Stray]) -> None:
        """The kernel holds back what comes for these connections to routed VIPs."""
        self._state.flows.astray(version, strays, now)

    def executed(self, now: float, outcomes: list[Outcome]) -> None:
        """The kernel has done what ``Execute`` asked for; one outcome per action, in its order."""
        assert self._turn is not None
        self._now = now
        self._go_on(self._turn, (now, outcomes))

    def tick(self, now: float) -> None:
        """Do what is due. While the kernel is at work nothing is."""
        if self._turn is not None:
            return
        self._now = now
        swept = run_timers(self._state, self._implied, now)
        if swept is not None:
            self._outputs.append(swept)
        self._needs_turn = False
        self._go_on(take_turn(self._state, now), None)

    # --- what follows ------------------------------------------------------------------------------------------------

    def outputs(self) -> list[Output]:
        """What is to be done now, once; in this order, so that neighbours hear of a VIP before its last owner does."""
        outputs: list[Output] = [*self._state.neighbours.take_frames(), *self._state.negotiation.take_messages()]
        if self._state.members.own is not self._said:
            self._said = self._state.members.own
            outputs.append(SayMeta(self._said))
        if self._state.candidacy.take_haste():
            outputs.append(JoinAtOnce())
        outputs += [*self._state.flows.take(), *self._implied.take(), *self._state.refusals.take()]
        rest, self._outputs = self._outputs, []
        return [*outputs, *self._state.takeovers.take(), *rest]

    def next_deadline(self) -> float:
        """When ``tick`` must be called next; a time that is past: at once."""
        if self._turn is not None:
            return FOREVER
        if self._needs_turn or self._state.is_turn_due:
            return self._now
        return self._state.deadline

    @property
    def candidacy(self) -> Candidacy:
        """This node's part in the election, for metrics."""
        return self._state.candidacy

    @property
    def flow_counts(self) -> FlowCounts:
        """For metrics."""
        return self._state.flows.counts

    @property
    def stray_counts(self) -> tuple[int, int]:
        """The connections that other nodes were asked for, and those that one of them serves; for metrics."""
        return self._state.flows.stray_counts

    @property
    def nowhere_count(self) -> int:
        """The VIPs that no node has, if this is the node that tells; for metrics."""
        return self._state.nowhere.count

    def tables(self, now: float) -> tuple[Table, ...]:
        """All that is known here, for whoever debugs it."""
        return tables(self._state, now)

    # --- the turn ----------------------------------------------------------------------------------------------------

    def _go_on(self, turn: Generator[Execute, Answer, None], answer: Answer | None) -> None:
        """Run a turn up to the next thing that the kernel is to do, or to its end."""
        try:
            self._outputs.append(next(turn) if answer is None else turn.send(answer))
        except StopIteration:
            self._turn = None
            self._end_turn()
        else:
            self._turn = turn

    def _end_turn(self) -> None:
        self._send_reports()
        self._call_roll()
        if self._state.candidacy.returns_within and self._state.is_set_up_to_stay(self._now):
            self.has_left = True
        if not self._state.candidacy.is_leaving or not self._state.has_withdrawn():
            return
        if self._takes_leave:
            self.has_left = True
        else:
            self._takes_leave = True
            self._go_on(take_leave(self._state, self._now), None)

    def _send_reports(self) -> None:
        """Tell how VIPs stand once all are looked at; while there is no end of that, every now and then."""
        statuses, now = self._state.statuses, self._now
        if not statuses.has_unsent:
            self._report_at = now + REPORT_HOLD
        elif not self._state.has_dirty_vips or now >= self._report_at:
            self._outputs += statuses.take()
            self._report_at = now + REPORT_HOLD

    def _call_roll(self) -> None:
        """Tell who is there once all VIPs are looked at: a takeover comes first."""
        if self._state.has_dirty_vips:
            return
        if (attendance := self._state.rollcall.take(self._now)) is not None:
            self._outputs.append(attendance)
