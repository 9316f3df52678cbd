"""Turns Redis's replies into an overview (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final, TypeAlias, cast

from couponpress.keys import LANES, PARTNER_SCOPE, Lane, run_scope
from couponpress.ledger.outage import down_of
from couponpress.ledger.presence import present_of
from couponpress.ledger.progress import Hold, HoldKind, run_status
from couponpress.ledger.rate import per_second, rate_in_force
from couponpress.outcome import OUTCOMES, State
from couponpress.overview.bound import Bound, Facts, bound_by
from couponpress.overview.eta import eta_of
from couponpress.overview.send_rate import SendRate
from couponpress.overview.server import redis_state
from couponpress.overview.snapshot import Counts, Ending, LaneOverview, Limit, Overview, Reason, RunOverview, Totals

_SECOND_US: Final = 1_000_000

Stored: TypeAlias = dict[bytes, bytes]
#: A run's hash, its reasons, and when these were seen.
RunRecord: TypeAlias = tuple[Stored, Stored, Stored]


def overview_of(told: Mapping[str, Any], runs: Mapping[str, RunRecord], sent: SendRate) -> Overview:
    """Return the overview that these replies tell.

    Args:
        told: the replies, by the names of `questions.questions_of`.
        runs: the records of the runs to show, by their numbers, in the order in which they are shown.
        sent: what is known of the send log.
    """
    seconds, micros = told["time"]
    now_us = seconds * _SECOND_US + micros
    submit, query = (_limit(told, name, now_us) for name in ("submit", "query"))
    sending = sent.sending(seconds)
    lanes = tuple(_lane(told, lane) for lane in LANES)
    in_force = {scope: text for scope, text in told["holds"].items() if Hold.from_json("", text).in_force(seconds)}
    holds = _holds(in_force, runs)
    processes = tuple(present_of(told["present"], seconds))
    down = down_of(told["outage"])
    effective = submit.effective_per_second
    bound = bound_by(
        Facts(
            waiting=sum(lane.counts.waiting for lane in lanes),
            delayed=sum(lane.counts.retrying + lane.counts.looking for lane in lanes),
            paused=sum(lane.counts.paused for lane in lanes),
            accepted=sum(lane.counts.accepted for lane in lanes),
            chunks=sum(lane.chunks for lane in lanes),
            held_chunks=sum(lane.held_chunks for lane in lanes),
            holds=holds,
            workers=[one for one in processes if one.role == "worker"],
            platform_down=down,
            sent_per_second=sending.now,
            fills_limit=effective is not None and sending.fills(effective),
            effective_per_second=effective,
            why_rate=submit.rate.why,
            quiet_seconds=submit.rate.quiet_seconds,
        )
    )
    return Overview(
        at=now_us / _SECOND_US,
        bound=bound,
        submit=submit,
        query=query,
        sending=sending,
        lanes=lanes,
        processes=processes,
        platform_down=down,
        holds=holds,
        dead_letter_chunks=told["dead chunks"],
        dead_letter_messages=told["dead messages"],
        retries=told["retries"],
        next_retry_at=_first_moment(told["next retry"]),
        lookups=told["lookups"],
        awaiting_chunks=told["awaiting"],
        awaiting_since=_first_moment(told["awaiting since"]),
        totals=_totals(told["totals"], told["callbacks"]),
        schedules=tuple(sorted((name.decode(), float(moment)) for name, moment in told["schedules"].items())),
        redis=redis_state(told["info"]),
        runs=tuple(
            _run(number, stored, in_force, lanes, bound, submit.effective_per_second, sending.now)
            for number, stored in runs.items()
        ),
        runs_kept=told["runs"],
        runs_unfinished=told["runs"] - told["finished"],
    )


def _first_moment(found: list[tuple[bytes, float]]) -> float | None:
    return found[0][1] / 1000 if found else None


def _limit(told: Mapping[str, Any], name: str, now_us: int) -> Limit:
    pace: Stored = told[f"{name} pace"]
    rate = rate_in_force(pace, told[f"{name} spacing"], now_us)
    chosen = rate.by_hand or rate.configured
    cut_us = int(pace.get(b"cut", 0))
    return Limit(
        rate=rate,
        configured_per_second=per_second(chosen) if chosen else None,
        effective_per_second=rate.effective_per_second,
        refused_at=cut_us / _SECOND_US if cut_us else None,
        refused=int(pace.get(b"refused", 0)),
        before_per_second=int(pace.get(b"before", 0)) or None,
        more_at=None if rate.found is None else now_us / _SECOND_US + rate.held_seconds,
    )


def _lane(told: Mapping[str, Any], lane: Lane) -> LaneOverview:
    counts = {}
    for field in fields(Counts):
        stored = told["counts"].get(f"{lane[0]} {field.name}".encode(), 0)
        counts[field.name] = max(int(stored), 0)  # a ledger that is older than these counts may end below nothing
    return LaneOverview(
        name=lane,
        counts=Counts(**counts),
        chunks=told[f"{lane} chunks"],
        held_chunks=told[f"{lane} held"],
        oldest_waiting_since=_first_moment(told[f"{lane} oldest"]),
    )


def _holds(stored: Stored, runs: Mapping[str, RunRecord]) -> tuple[Hold, ...]:
    found = []
    for stored_under, text in stored.items():
        kind, _, scope = stored_under.decode().partition(":")
        if kind == "run" and scope in runs:
            scope = runs[scope][0].get(b"name", b"").decode()
        found.append(Hold.from_json(scope or kind, text, cast(HoldKind, kind)))
    return tuple(sorted(found, key=lambda hold: hold.since))


def _run(
    number: str,
    stored: RunRecord,
    holds: Stored,
    lanes: tuple[LaneOverview, ...],
    bound: Bound,
    effective_per_second: float | None,
    sent_per_second: float,
) -> RunOverview:
    record, reasons, seen = stored
    held = holds.get(PARTNER_SCOPE.encode()) or holds.get(run_scope(number).encode())
    status = run_status(number, record, hold=Hold.from_json("", held).because if held else None)
    # Urgent specs go before bulk ones; of the same lane any may.
    before = sum(lane.counts.to_send for lane in lanes if lane.name in {"urgent", status.lane})
    others = before - (status.waiting + status.retrying + status.looking)
    eta = eta_of(
        status,
        others=max(others, 0),
        bound=bound,
        effective_per_second=effective_per_second,
        sent_per_second=sent_per_second,
    )
    return RunOverview(number, status, _reasons(reasons, seen), eta)


def _reasons(counts: Stored, seen: Stored) -> tuple[Reason, ...]:
    found = []
    for reason, count in sorted(counts.items(), key=lambda item: (-int(item[1]), item[0])):
        outcome, _, code = reason.decode().partition(" ")
        first, last, *places = seen[reason].decode().split() if reason in seen else ("", "")
        found.append(Reason(outcome, code, int(count), _moment(first), _moment(last), "".join(places)))
    return tuple(found)


def _moment(stored_ms: str) -> float | None:
    return int(stored_ms) / 1000 if stored_ms else None


def _totals(stored: Stored, callbacks: Stored) -> Totals:
    counts = {name.decode(): int(count) for name, count in stored.items()}
    endings = []
    for name, count in sorted(counts.items()):
        outcome, _, code = name.partition(" ")
        if outcome in OUTCOMES:
            endings.append(Ending(State(outcome).value, code, count))
    return Totals(
        endings=tuple(endings),
        tries=counts.get("tries", 0),
        throttled=counts.get("throttled", 0),
        callbacks=tuple(sorted((kind.decode(), int(count)) for kind, count in callbacks.items())),
    )
