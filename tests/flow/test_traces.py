"""A small fleet sends its traces by OTLP/HTTP to a receiver of the test's own: each spec has one trace, whole."""

import time
from collections import Counter, defaultdict

import pytest
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, use_span

from couponpress import Client, ProducerSettings
from couponpress_worker.demo.fleet import fleet, statistics
from tests.builders import cut_out_body
from tests.collector import attributes_of, collector

pytestmark = pytest.mark.flow
SPECS = 120


@pytest.fixture
def collected():
    with collector() as found:
        yield found


def test_each_spec_has_one_trace_from_enqueueing_to_its_outcome(tmp_path, monkeypatch, collected):
    url, spans = collected
    shop = SpanContext(0x5109, 0xABC, is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")
    with fleet(tmp_path, "--seed", "7", "--fault", "errors=5", "--fault", "lost_callbacks=3") as (_, env):
        values = {"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]}
        with Client(ProducerSettings.load(values)) as client:
            before = time.time_ns()
            with use_span(NonRecordingSpan(shop)):  # the program that enqueues makes traces of its own
                client.enqueue_many([{"row_id": str(one), **cut_out_body(one)} for one in range(SPECS)], run="autumn")
            deadline = time.monotonic() + 90
            while not client.run("autumn").finished:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        received = statistics(env["COUPONPRESS_BASE_URL"])["received"]

    counted = Counter((service, span.name) for service, span in spans)
    traces = defaultdict(list)
    for service, span in spans:
        traces[span.trace_id].append((service, span))
    own = {id_: sorted(found, key=lambda one: one[1].start_time_unix_nano) for id_, found in traces.items()}
    specs = {id_: found for id_, found in own.items() if "wait" in {span.name for _, span in found}}
    assert len(specs) == SPECS, counted
    learned = Counter()
    for found in specs.values():
        names = [span.name for _, span in found]
        (root,) = (span for _, span in found if span.name == "wait")
        (outcome_of, outcome) = next((service, span) for service, span in found if span.name == "outcome")
        assert names.count("outcome") == names.count("wait") == 1
        assert "submit" in names
        assert root.parent_span_id == b""
        (link,) = root.links
        assert (int.from_bytes(link.trace_id, "big"), int.from_bytes(link.span_id, "big")) == (0x5109, 0xABC)
        assert {span.parent_span_id for _, span in found if span is not root} == {root.span_id}
        assert before - 1e9 < root.start_time_unix_nano <= root.end_time_unix_nano <= outcome.end_time_unix_nano
        told = attributes_of(root)
        assert (told["couponpress.run"], told["couponpress.task_id"][:8]) == ("autumn", "cut-out-")
        assert attributes_of(outcome)["couponpress.outcome"] == "succeeded"
        by = attributes_of(outcome)["couponpress.learned_by"]
        assert outcome_of == ("couponpress-callback" if by == "callback" else "couponpress-worker")
        learned[by] += 1
    assert learned["callback"] > SPECS / 2
    assert learned["query"] > 0

    submits = [span for found in specs.values() for _, span in found if span.name == "submit"]
    failed = [span for span in submits if span.status.code == 2]
    assert len(submits) == received
    assert failed
    assert all(attributes_of(span)["couponpress.request_id"] for span in submits)
    chunks = [span for _, span in spans if span.name == "chunk"]
    assert {link.trace_id for span in chunks for link in span.links} == specs.keys()
    assert not {span.trace_id for span in chunks} & specs.keys()
    body = b"".join(span.SerializeToString() for _, span in spans)
    assert b"wxpaylogo" not in body
