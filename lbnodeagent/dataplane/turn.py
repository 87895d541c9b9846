"""One turn of the data plane: links, routes, one batch of VIPs, reports. Pure.

It yields what the kernel is to do and goes on with the answer, so that it reads from top to bottom; who waits for the
kernel is the driver's matter. What happens meanwhile is in the state when it goes on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Final

from lbnodeagent.dataplane.invariants import Facts, refusal_of
from lbnodeagent.dataplane.outputs import Answer, Execute
from lbnodeagent.dataplane.planner import plan, plan_adopted, plan_links
from lbnodeagent.dataplane.state import State
from lbnodeagent.tables import Action, Outcome, Place, Refused, Remove
from purelb.addresses import IPAddress

BATCH: Final = 64
"""VIPs per pass: a failover waits for no more than that when a thousand VIPs are being placed."""


def take_turn(state: State, now: float) -> Generator[Execute, Answer, None]:
    """Do what is marked, of the VIPs at most BATCH."""
    if state.are_links_dirty and state.is_configured:
        state.are_links_dirty = False
        now, outcomes = yield from _ask(state, plan_links(state.link_situation()), now)
        if any(isinstance(outcome, Refused) for outcome in outcomes):
            state.sweeps.retry_links(now)
    if state.can_renew_routes:
        state.are_routes_dirty = False
        now, _ = yield from _ask(state, state.routes.renew(), now)
    if vips := state.take_batch(BATCH):
        yield from _look_at(state, vips, now)


def _look_at(state: State, vips: Sequence[IPAddress], now: float) -> Generator[Execute, Answer, None]:
    """A pass over some VIPs."""
    spared = {vip for vip in vips if state.is_spared(vip)}
    nowhere = state.why_nowhere(vips)
    for vip in vips:
        state.negotiation.settle(vip, now, is_wanted=vip in state.wanted)
        state.linger.look(vip, now, is_going=state.is_going(vip, is_spared=vip in spared))
        state.nowhere.look(vip, now, is_nowhere=vip in nowhere)
    state.look_at_flows(vips, now)  # before one is placed, as its flows may come at once
    situation = state.situation(vips, now, spared=spared, nowhere=nowhere)
    actions, blocked = plan(situation) if state.is_configured else (plan_adopted(situation), [])
    state.refusals.note(vips, (one.refusal for one in blocked if one.refusal is not None))
    state.decisions.note(actions, blocked, situation)
    now, outcomes = yield from _ask(state, [*state.routes.prepare(actions), *actions], now, situation.facts)
    for action in actions:
        match action:
            case Place(vip, spot, is_renewal=False) if spot.is_local:
                state.neighbours.placed(vip, now)
            case Remove(vip, index):
                state.neighbours.withdrawn(vip)
                state.removals.forget(vip)
                state.removed_from(index)
            case _:
                pass
    for one in blocked:
        state.neighbours.ask_whether_free(one.vip, one.interface, now)
    state.neighbours.announce_placed(vips, now)
    state.negotiation.answer(vips)
    state.look_at_flows(vips, now)
    state.statuses.note(vips, actions, blocked, outcomes, situation.config.dummy_interface, now)
    state.note_placed(vips, now)
    for vip in vips:
        if vip not in state.wanted:
            state.statuses.forget((vip,))
            state.neighbours.forget(vip)
            state.removals.forget(vip)
    yield from _ask(state, state.routes.note(vips), now)


def _ask(
    state: State, actions: Sequence[Action], now: float, known: Facts | None = None
) -> Generator[Execute, Answer, Answer]:
    """Have the kernel do this; when it had, and what came of it. ``known``: what is known of its VIPs at this moment.

    Everything goes through the rules here, also what the planner has held against them. Of a route that a rule forbids
    nothing is noted: by the same rule each of its VIPs is refused.
    """
    facts = known or state.facts(action.vip for action in actions if isinstance(action, Place | Remove))
    allowed: list[Action] = []
    refused: list[Outcome] = []
    for action in actions:
        refusal = refusal_of(action, facts)
        if refusal is None:
            allowed.append(action)
        else:
            if isinstance(action, Place | Remove):
                state.refusals.note((refusal.vip,), (refusal,))
            refused.append(Refused(action, refusal.reason))
    if not allowed:
        return now, refused
    state.requested.begin(allowed)
    now, outcomes = yield Execute(tuple(allowed))
    state.requested.end(outcomes)
    return now, [*outcomes, *refused]


def take_leave(state: State, now: float) -> Generator[Execute, Answer, None]:
    """The last turn: what is left behind has an end."""
    yield from _ask(state, state.routes.leave(), now)
