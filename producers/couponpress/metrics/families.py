"""An overview as metric families for Prometheus: names, labels and help (pure).

Names follow Prometheus's rules: a base unit at the end, `_total` for what only grows. Every label's values come from a
closed set; the name of a schedule is the one text of an operator's own that is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Final, get_args

from couponpress.ledger.presence import Role
from couponpress.ledger.progress import HoldKind
from couponpress.ledger.request_durations import BOUNDS_SECONDS, Histogram
from couponpress.metrics.codes import shown_code
from couponpress.metrics.text_format import Family
from couponpress.overview.bound import BoundKind
from couponpress.overview.snapshot import Counts, Overview

#: What becomes of a callback; see the receiver. One of another kind is told with its kind behind it.
CALLBACK_RESULTS: Final = ("done", "repeated", "unknown", "test", "other")
#: What a worker says of itself; see `couponpress health`.
WORKER_STATES: Final = (
    "sending",
    "waiting",
    "idle",
    "held",
    "platform down",
    "platform unreached",
    "Redis away",
    "Redis full",
    "stopping",
    "stuck",
)
_METHODS: Final = {"submit": "POST", "query": "GET", "upload": "POST", "certificates": "GET"}


def redis_up(*, up: bool) -> Family:
    """Return whether Redis answers; the one family that is there when it does not."""
    return _gauge("couponpress_redis_up", "1 while Redis answers the metrics service, else 0.").add(up)


def families_of(overview: Overview, durations: Iterable[Histogram], acts: int) -> Iterator[Family]:
    """Yield every family; `acts` is how many acts of people the audit log has ever taken."""
    yield redis_up(up=True)
    yield from _specs(overview)
    yield from _lanes(overview)
    yield from _rates(overview)
    yield _durations(durations)
    yield from _completion(overview)
    yield from _troubles(overview)
    yield from _processes(overview)
    yield from _redis(overview)
    yield from _runs(overview)
    noted = "Acts of people, and denials, that the audit log noted: pause, resume, cancel, redrive, limit and the like."
    yield _counter("couponpress_operator_acts", noted).add(acts)


def _specs(overview: Overview) -> Iterator[Family]:
    states = _gauge("couponpress_specs", "Specs of the runs that are kept, by state.")
    for field in fields(Counts):
        states.add(sum(getattr(lane.counts, field.name) for lane in overview.lanes), state=field.name)
    yield states
    help_text = "Specs that ended, by outcome and code; one that is sent again and ends again counts again."
    finished = _counter("couponpress_specs_finished", help_text)
    endings: Counter[tuple[str, str]] = Counter()
    for ending in overview.totals.endings:
        endings[ending.outcome, shown_code(ending.code)] += ending.count
    for (outcome, code), count in sorted(endings.items()):
        finished.add(count, outcome=outcome, code=code)
    yield finished
    yield _counter("couponpress_tries", "Tries that were spent on specs.").add(overview.totals.tries)


def _lanes(overview: Overview) -> Iterator[Family]:
    help_text = "How long the spec has waited to be sent that has waited longest; 0 while none waits."
    age = _gauge("couponpress_oldest_spec_age_seconds", help_text)
    chunks = _gauge("couponpress_open_chunks", "Chunks of up to 100 specs that wait to be sent.")
    for lane in overview.lanes:
        age.add(_age(overview, lane.oldest_waiting_since), lane=lane.name)
        chunks.add(lane.chunks, lane=lane.name)
    yield age
    yield chunks


def _rates(overview: Overview) -> Iterator[Family]:
    told = {
        "configured": "The limit as it is configured or set by hand.",
        "effective": "How many requests really leave at the limit in force, after all that refusals taught.",
    }
    for kind, help_text in told.items():
        family = _gauge(f"couponpress_rate_limit_{kind}_requests_per_second", help_text)
        for operation, limit in (("submit", overview.submit), ("query", overview.query)):
            value = limit.configured_per_second if kind == "configured" else limit.effective_per_second
            if value is not None:
                family.add(value, operation=operation)
        yield family
    peak = "The most submits in any window of 1 s within the last ten minutes."
    yield _gauge("couponpress_rate_window_peak_requests", peak).add(overview.sending.most)
    yield _gauge("couponpress_rate_requests_per_second", "Submits a second, the mean of 5 s.").add(overview.sending.now)
    refused = 'Answers of the platform that said "too fast".'
    yield _counter("couponpress_throttled_answers", refused).add(overview.totals.throttled)


def _durations(durations: Iterable[Histogram]) -> Family:
    help_text = "How long calls of the platform took, of all processes together."
    family = Family("couponpress_http_client_request_duration_seconds", "histogram", help_text)
    for one in durations:
        failed = one.status if one.status >= "4" else ""  # `other` counts as failed too
        family.add_histogram(
            (*map(str, BOUNDS_SECONDS), "+Inf"),
            one.counts,
            one.sum_seconds,
            operation=one.operation,
            http_request_method=_METHODS[one.operation],
            http_response_status_code=one.status,
            error_type=one.error or failed,
        )
    return family


def _completion(overview: Overview) -> Iterator[Family]:
    callbacks = _counter("couponpress_callbacks", "Callbacks that arrived, by what became of them.")
    results = dict.fromkeys(CALLBACK_RESULTS, 0)
    for kind, count in overview.totals.callbacks:
        result = kind.partition(" ")[0]
        results[result if result in results else "other"] += count
    for result, count in results.items():
        callbacks.add(count, result=result)
    yield callbacks
    silent = "How long the accepted specs are silent that are silent longest: no callback came, and nobody asked."
    age = _age(overview, overview.awaiting_since)
    yield _gauge("couponpress_oldest_unanswered_age_seconds", silent).add(age)
    lookups = "Specs that are asked about before they may be sent again."
    yield _gauge("couponpress_lookups", lookups).add(overview.lookups)


def _troubles(overview: Overview) -> Iterator[Family]:
    breaker = _gauge("couponpress_breaker_open", "1 while a process finds the platform down, else 0.")
    yield breaker.add(overview.platform_down is not None)
    holds = _gauge("couponpress_holds", "Holds in force, by what they hold.")
    for kind in get_args(HoldKind):
        holds.add(sum(hold.kind == kind for hold in overview.holds), kind=kind)
    yield holds
    dead = "Chunks among the dead letters."
    yield _gauge("couponpress_dead_letter_chunks", dead).add(overview.dead_letter_chunks)
    bound = _gauge("couponpress_bound_by", "1 for what the fleet is bound by, else 0.")
    for cause in get_args(BoundKind):
        bound.add(overview.bound.kind == cause, cause=cause)
    yield bound
    help_text = "When a night of a schedule was last over in order, seconds since 1970."
    success = _gauge("couponpress_schedule_last_success_timestamp_seconds", help_text)
    for name, moment in overview.schedules:
        success.add(moment, schedule=name)
    yield success


def _processes(overview: Overview) -> Iterator[Family]:
    processes = _gauge("couponpress_processes", "Processes that run, by what they are.")
    for role in get_args(Role):
        processes.add(sum(one.role == role for one in overview.processes), role=role)
    yield processes
    workers = _gauge("couponpress_workers", "Workers that run, by what they do.")
    states = Counter(one.state if one.state in WORKER_STATES else "other" for one in overview.workers)
    for state in (*WORKER_STATES, "other"):
        workers.add(states[state], state=state)
    yield workers


def _redis(overview: Overview) -> Iterator[Family]:
    redis = overview.redis
    yield _gauge("couponpress_redis_memory_used_bytes", "Memory that Redis uses.").add(redis.memory_used)
    most = "Memory that Redis may use; 0 when it has no bound of its own."
    yield _gauge("couponpress_redis_memory_max_bytes", most).add(redis.memory_max)
    troubles = "Things that are wrong with Redis; `couponpress top` names them."
    yield _gauge("couponpress_redis_troubles", troubles).add(len(redis.troubles))


def _runs(overview: Overview) -> Iterator[Family]:
    runs = _gauge("couponpress_runs", "Runs that are kept.")
    runs.add(overview.runs_unfinished, state="unfinished")
    yield runs.add(overview.runs_kept - overview.runs_unfinished, state="finished")


def _age(overview: Overview, since: float | None) -> float:
    return 0.0 if since is None else max(overview.at - since, 0.0)


def _gauge(name: str, help_text: str) -> Family:
    return Family(name, "gauge", help_text)


def _counter(name: str, help_text: str) -> Family:
    return Family(name, "counter", help_text)
