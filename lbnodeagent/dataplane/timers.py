"""What is due because time has passed, of all parts of the data plane. Pure; ``now`` is monotonic seconds."""

from __future__ import annotations

from lbnodeagent.dataplane.implications import Implications
from lbnodeagent.dataplane.outputs import Swept
from lbnodeagent.dataplane.state import State
from lbnodeagent.tables import FOREVER


def run_timers(state: State, implied: Implications, now: float) -> Swept | None:
    """Mark what is to be looked at; what a look at everything has seen, if that was due."""
    state.mark(state.negotiation.run_due(now))
    implied.ask_wire(now)
    state.neighbours.run_due(now)
    state.flows.run_due(now)
    state.mark(state.statuses.due(now))
    state.mark(state.linger.due(now))
    if lasted := state.nowhere.due(now):
        state.mark(lasted)
        state.rollcall.mark()
    if state.router.look(now):
        state.mark_all()
    is_judgement_due = state.gate.deadline is not None and now >= state.gate.deadline
    if is_judgement_due or (not state.candidacy.is_candidate and not state.candidacy.is_leaving):
        implied.candidacy_changed(now)
    due = state.sweeps.due(now)
    swept = None
    if due.renewals:
        state.mark([there.address for there in state.present.all_ours() if there.expires != FOREVER])
    if due.everything:
        state.are_routes_dirty = True
        state.members.forget_old(now)
        state.mark_hosts()
        state.connected.look(state.present, state.config.dummy_interface, now)
        implied.owners_changed(state.candidacy.elect(now), now)
        swept = Swept(frozenset(one.key for one in state.present.all_ours()))
        state.mark_all()
    state.are_links_dirty = state.are_links_dirty or due.links or due.everything
    return swept
