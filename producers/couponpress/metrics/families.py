"""An overview as metric families for Prometheus: names, labels and help (pure).

Names follow Prometheus's rules: a base unit at the end, `_total` for what only grows. Every label's values come from a
closed set; the name of a schedule is the one text of an operator's own that is shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from itertools import accumulate
from typing import Final, get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from couponpress.ledger.audit import ActName
from couponpress.ledger.presence import Role
from couponpress.ledger.progress import HoldKind
from couponpress.ledger.request_durations import BOUNDS_SECONDS, Histogram
from couponpress.metrics.codes import shown_code
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


def redis_up(*, up: bool) -> Metric:
    """Return whether Redis answers; the one family that is there when it does not."""
    return _gauge("couponpress_redis_up", "1 while Redis answers the metrics service, else 0.", up)


def families_of(overview: Overview, durations: Iterable[Histogram], acts: Mapping[ActName, int]) -> Iterator[Metric]:
    """Yield every family; `acts` says how often the audit log has ever taken each act."""
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
    yield _acts(acts)


def _specs(overview: Overview) -> Iterator[Metric]:
    states = GaugeMetricFamily("couponpress_specs", "Specs of the runs that are kept, by state.", labels=["state"])
    for field in fields(Counts):
        states.add_metric([field.name], sum(getattr(lane.counts, field.name) for lane in overview.lanes))
    yield states
    help_text = "Specs that ended, by outcome and code; one that is sent again and ends again counts again."
    finished = CounterMetricFamily("couponpress_specs_finished", help_text, labels=["outcome", "code"])
    endings: Counter[tuple[str, str]] = Counter()
    for ending in overview.totals.endings:
        endings[ending.outcome, shown_code(ending.code)] += ending.count
    for labels, count in sorted(endings.items()):
        finished.add_metric(labels, count)
    yield finished
    yield _counter("couponpress_tries", "Tries that were spent on specs.", overview.totals.tries)


def _lanes(overview: Overview) -> Iterator[Metric]:
    help_text = "How long the spec has waited to be sent that has waited longest; 0 while none waits."
    age = GaugeMetricFamily("couponpress_oldest_spec_age_seconds", help_text, labels=["lane"])
    waiting = "Chunks of up to 100 specs that wait to be sent."
    chunks = GaugeMetricFamily("couponpress_open_chunks", waiting, labels=["lane"])
    for lane in overview.lanes:
        age.add_metric([lane.name], _age(overview, lane.oldest_waiting_since))
        chunks.add_metric([lane.name], lane.chunks)
    yield age
    yield chunks


def _rates(overview: Overview) -> Iterator[Metric]:
    told = {
        "configured": "The limit as it is configured or set by hand.",
        "effective": "How many requests really leave at the limit in force, after all that refusals taught.",
    }
    for kind, help_text in told.items():
        name = f"couponpress_rate_limit_{kind}_requests_per_second"
        family = GaugeMetricFamily(name, help_text, labels=["operation"])
        for operation, limit in (("submit", overview.submit), ("query", overview.query)):
            value = limit.configured_per_second if kind == "configured" else limit.effective_per_second
            if value is not None:
                family.add_metric([operation], value)
        yield family
    peak = "The most submits in any window of 1 s within the last ten minutes."
    yield _gauge("couponpress_rate_window_peak_requests", peak, overview.sending.most)
    yield _gauge("couponpress_rate_requests_per_second", "Submits a second, the mean of 5 s.", overview.sending.now)
    refused = 'Answers of the platform that said "too fast".'
    yield _counter("couponpress_throttled_answers", refused, overview.totals.throttled)


def _durations(durations: Iterable[Histogram]) -> Metric:
    help_text = "How long calls of the platform took, of all processes together."
    labels = ["operation", "http_request_method", "http_response_status_code", "error_type"]
    family = HistogramMetricFamily("couponpress_http_client_request_duration_seconds", help_text, labels=labels)
    bounds = (*map(str, BOUNDS_SECONDS), "+Inf")
    for one in durations:
        failed = one.status if one.status >= "4" else ""  # `other` counts as failed too
        family.add_metric(
            [one.operation, _METHODS[one.operation], one.status, one.error or failed],
            list(zip(bounds, map(float, accumulate(one.counts)), strict=True)),
            one.sum_seconds,
        )
    return family


def _completion(overview: Overview) -> Iterator[Metric]:
    told = "Callbacks that arrived, by what became of them."
    callbacks = CounterMetricFamily("couponpress_callbacks", told, labels=["result"])
    results = dict.fromkeys(CALLBACK_RESULTS, 0)
    for kind, count in overview.totals.callbacks:
        result = kind.partition(" ")[0]
        results[result if result in results else "other"] += count
    for result, count in results.items():
        callbacks.add_metric([result], count)
    yield callbacks
    silent = "How long the accepted specs are silent that are silent longest: no callback came, and nobody asked."
    age = _age(overview, overview.awaiting_since)
    yield _gauge("couponpress_oldest_unanswered_age_seconds", silent, age)
    lookups = "Specs that are asked about before they may be sent again."
    yield _gauge("couponpress_lookups", lookups, overview.lookups)


def _troubles(overview: Overview) -> Iterator[Metric]:
    open_breaker = "1 while a process finds the platform down, else 0."
    yield _gauge("couponpress_breaker_open", open_breaker, overview.platform_down is not None)
    holds = GaugeMetricFamily("couponpress_holds", "Holds in force, by what they hold.", labels=["kind"])
    for kind in get_args(HoldKind):
        holds.add_metric([kind], sum(hold.kind == kind for hold in overview.holds))
    yield holds
    yield _gauge("couponpress_dead_letter_chunks", "Chunks among the dead letters.", overview.dead_letter_chunks)
    binds = "1 for what the fleet is bound by, else 0."
    bound = GaugeMetricFamily("couponpress_bound_by", binds, labels=["cause"])
    for cause in get_args(BoundKind):
        bound.add_metric([cause], overview.bound.kind == cause)
    yield bound
    help_text = "When a night of a schedule was last over in order, seconds since 1970."
    name = "couponpress_schedule_last_success_timestamp_seconds"
    success = GaugeMetricFamily(name, help_text, labels=["schedule"])
    for schedule, moment in overview.schedules:
        success.add_metric([schedule], moment)
    yield success


def _processes(overview: Overview) -> Iterator[Metric]:
    told = "Processes that run, by what they are."
    processes = GaugeMetricFamily("couponpress_processes", told, labels=["role"])
    for role in get_args(Role):
        processes.add_metric([role], sum(one.role == role for one in overview.processes))
    yield processes
    workers = GaugeMetricFamily("couponpress_workers", "Workers that run, by what they do.", labels=["state"])
    states = Counter(one.state if one.state in WORKER_STATES else "other" for one in overview.workers)
    for state in (*WORKER_STATES, "other"):
        workers.add_metric([state], states[state])
    yield workers


def _redis(overview: Overview) -> Iterator[Metric]:
    redis = overview.redis
    yield _gauge("couponpress_redis_memory_used_bytes", "Memory that Redis uses.", redis.memory_used)
    most = "Memory that Redis may use; 0 when it has no bound of its own."
    yield _gauge("couponpress_redis_memory_max_bytes", most, redis.memory_max)
    troubles = "Things that are wrong with Redis; `couponpress top` names them."
    yield _gauge("couponpress_redis_troubles", troubles, len(redis.troubles))


def _runs(overview: Overview) -> Iterator[Metric]:
    runs = GaugeMetricFamily("couponpress_runs", "Runs that are kept.", labels=["state"])
    runs.add_metric(["unfinished"], overview.runs_unfinished)
    runs.add_metric(["finished"], overview.runs_kept - overview.runs_unfinished)
    yield runs


def _acts(acts: Mapping[ActName, int]) -> Metric:
    told = "Acts of people and of the fleet, and denials, that the audit log noted."
    family = CounterMetricFamily("couponpress_operator_acts", told, labels=["act"])
    for name in get_args(ActName):
        family.add_metric([name], acts.get(name, 0))
    return family


def _age(overview: Overview, since: float | None) -> float:
    return 0.0 if since is None else max(overview.at - since, 0.0)


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, help_text, value)


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(name, help_text, value)
