"""The metrics: names by Prometheus's rules, labels of closed sets, and what they tell."""

import json
import re
from typing import get_args

import pytest

from couponpress.ledger.audit import ActName
from couponpress.ledger.request_durations import Durations, histograms_of
from couponpress.metrics.codes import CODES, OTHER
from couponpress.metrics.families import families_of
from couponpress.overview.send_rate import SendRate
from tests.builders import overview

NOW = 1_700_000_000
#: The names that dashboards and alerts rely on, with their types and labels.
NAMES = {
    "couponpress_redis_up": ("gauge", set()),
    "couponpress_specs": ("gauge", {"state"}),
    "couponpress_specs_finished": ("counter", {"outcome", "code"}),
    "couponpress_tries": ("counter", set()),
    "couponpress_oldest_spec_age_seconds": ("gauge", {"lane"}),
    "couponpress_open_chunks": ("gauge", {"lane"}),
    "couponpress_rate_limit_configured_requests_per_second": ("gauge", {"operation"}),
    "couponpress_rate_limit_effective_requests_per_second": ("gauge", {"operation"}),
    "couponpress_rate_window_peak_requests": ("gauge", set()),
    "couponpress_rate_requests_per_second": ("gauge", set()),
    "couponpress_throttled_answers": ("counter", set()),
    "couponpress_http_client_request_duration_seconds": (
        "histogram",
        {"operation", "http_request_method", "http_response_status_code", "error_type"},
    ),
    "couponpress_callbacks": ("counter", {"result"}),
    "couponpress_oldest_unanswered_age_seconds": ("gauge", set()),
    "couponpress_lookups": ("gauge", set()),
    "couponpress_breaker_open": ("gauge", set()),
    "couponpress_holds": ("gauge", {"kind"}),
    "couponpress_dead_letter_chunks": ("gauge", set()),
    "couponpress_bound_by": ("gauge", {"cause"}),
    "couponpress_schedule_last_success_timestamp_seconds": ("gauge", {"schedule"}),
    "couponpress_processes": ("gauge", {"role"}),
    "couponpress_workers": ("gauge", {"state"}),
    "couponpress_redis_memory_used_bytes": ("gauge", set()),
    "couponpress_redis_memory_max_bytes": ("gauge", set()),
    "couponpress_redis_troubles": ("gauge", set()),
    "couponpress_runs": ("gauge", {"state"}),
    "couponpress_operator_acts": ("counter", {"act"}),
}


def present(role, state="", pid=1):
    return f"{NOW} ".encode() + json.dumps({"role": role, "host": "node-7", "pid": pid, "state": state}).encode()


def busy(**changes):
    """A fleet of which every family has something to tell."""
    sent = SendRate()
    sent.add([[NOW * 1_000_000 - 4_000_000 + at for at in range(7)]])
    told = {
        "now": NOW,
        "counts": {b"b waiting": b"70", b"u waiting": b"2", b"b rejected": b"3", b"b accepted": b"-5"},
        "totals": {b"succeeded": b"9", b"rejected PARAM_ERROR": b"2", b"tries": b"14", b"throttled": b"3"},
        "callbacks": {b"done": b"8", b"other COUPON.USED": b"4", b"other REFUND": b"1"},
        "schedules": {b"nightly": b"1699999000"},
        "present": {
            b"a": present("worker", "sending"),
            b"b": present("worker", "on strike", 2),
            b"c": present("callback"),
        },
        "holds": {b"brand:120344": json.dumps({"reason": "NO_AUTH", "cure": "ask", "since": 1.0}).encode()},
        "submit_pace": {b"configured": b"500/second"},
        "bulk_oldest": [(b"b1.1", (NOW - 90) * 1000.0)],
        "awaiting_since": [(b"b1.1", (NOW - 30) * 1000.0)],
        "info": {"used_memory": 10, "maxmemory": 100, "aof_enabled": 1},
        "dead_chunks": 2,
        "runs": 5,
        "finished": 3,
    }
    return overview(sent=sent, **told | changes)


def durations():
    kept = Durations()
    for call in (
        ("submit", 200, "", 0.06),
        ("submit", 200, "", 0.6),
        ("submit", 429, "", 0.02),
        ("query", 0, "open", 12.0),
    ):
        kept.note(*call)
    return histograms_of({field.encode(): str(count).encode() for field, count in kept.take().items()})


def families(told=None):
    return {family.name: family for family in families_of(told or busy(), durations(), {"pause": 3, "denied": 1})}


def value(found, name, **labels):
    (sample,) = [one for one in found.samples if one.name == name and one.labels == labels]
    return sample.value


def test_the_names_are_those_that_dashboards_rely_on():
    found = families()
    assert {
        name: (one.type, set().union(*(set(s.labels) for s in one.samples)) - {"le"}) for name, one in found.items()
    } == NAMES


def test_each_family_says_what_it_tells():
    assert all(re.fullmatch(r"[A-Z0-9].*\.", one.documentation) for one in families().values())


def test_states_are_those_of_both_lanes_and_never_below_nothing():
    found = families()["couponpress_specs"]
    assert value(found, "couponpress_specs", state="waiting") == 72
    assert value(found, "couponpress_specs", state="accepted") == 0


def test_a_code_that_nobody_knows_is_another_one():
    totals = {b"rejected PARAM_ERROR": b"2"} | {f"rejected NEW_{at}".encode(): b"1" for at in range(500)}
    found = families(busy(totals=totals))["couponpress_specs_finished"]
    assert len(found.samples) == 2
    assert value(found, "couponpress_specs_finished_total", outcome="rejected", code=OTHER) == 500


def test_ages_and_limits():
    found = families()
    ages = found["couponpress_oldest_spec_age_seconds"]
    assert value(ages, ages.name, lane="bulk") == pytest.approx(90)
    assert value(ages, ages.name, lane="urgent") == 0
    unanswered = found["couponpress_oldest_unanswered_age_seconds"]
    assert value(unanswered, unanswered.name) == pytest.approx(30)
    limit = found["couponpress_rate_limit_configured_requests_per_second"]
    assert value(limit, limit.name, operation="submit") == 500
    assert [one.labels["operation"] for one in limit.samples] == ["submit"]  # nobody told the other yet
    peak = found["couponpress_rate_window_peak_requests"]
    assert value(peak, peak.name) == 7


def test_the_histogram_adds_up():
    found = families()["couponpress_http_client_request_duration_seconds"]
    ok = {"operation": "submit", "http_request_method": "POST", "http_response_status_code": "200", "error_type": ""}
    assert value(found, f"{found.name}_bucket", le="0.05", **ok) == 0
    assert value(found, f"{found.name}_bucket", le="0.075", **ok) == 1
    assert value(found, f"{found.name}_bucket", le="+Inf", **ok) == value(found, f"{found.name}_count", **ok) == 2
    assert value(found, f"{found.name}_sum", **ok) == pytest.approx(0.66)
    refused = ok | {"http_response_status_code": "429", "error_type": "429"}
    assert value(found, f"{found.name}_count", **refused) == 1
    lost = {"operation": "query", "http_request_method": "GET", "http_response_status_code": "", "error_type": "open"}
    assert value(found, f"{found.name}_bucket", le="10.0", **lost) == 0
    assert value(found, f"{found.name}_count", **lost) == 1


def test_acts_are_told_each_by_its_name():
    found = families()["couponpress_operator_acts"]
    assert value(found, "couponpress_operator_acts_total", act="pause") == 3
    assert value(found, "couponpress_operator_acts_total", act="denied") == 1
    assert {one.labels["act"] for one in found.samples} == set(get_args(ActName))


def test_exactly_one_cause_binds_the_fleet():
    found = families()["couponpress_bound_by"]
    assert sorted(one.value for one in found.samples) == [0, 0, 0, 0, 1]


def test_no_label_tells_a_machine_a_process_a_brand_or_a_run():
    record = {b"name": b"autumn-catalog", b"waiting": b"5"}
    told = overview(
        records={"b1": (record, {b"rejected NO_AUTH": b"1"}, {})}, now=NOW, present={b"a": present("worker", "sending")}
    )
    shown = {
        text for family in families_of(told, durations(), {}) for one in family.samples for text in one.labels.values()
    }
    assert not [text for text in shown if re.search(r"node-7|120344|autumn|b1|://", text)]


def test_the_codes_are_a_closed_set_that_can_be_read():
    assert len(CODES) < 60
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]+", code) for code in CODES)
