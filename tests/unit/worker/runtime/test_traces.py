"""Traces: ids that every process finds by itself, what is loaded when they are off, and a collector that is away."""

import asyncio
import subprocess
import sys
import time

import pytest

from couponpress.ledger.fleet_queries import Place
from couponpress.transport.proxy import ProxyRule
from couponpress_worker.events import ChunkLeft, ChunkTaken, Events, Sent
from couponpress_worker.outbound.client import client
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.factories import traces_of
from couponpress_worker.runtime.traces import Traces
from tests.builders import MCHID, fleet_settings
from tests.collector import collector
from tests.serving import served


@pytest.fixture
def traces(monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    made = []

    def make(mchid=MCHID):
        made.append(Traces("worker", mchid))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_every_process_finds_the_same_trace_and_each_spec_has_its_own(traces):
    one, other, brand = traces(), traces(), traces("1900000002")
    places = [Place(chunk, position) for chunk in ("b1.1", "b1.2", "b11.1") for position in range(100)]
    roots = [one.root_of(place) for place in places]
    assert roots == [other.root_of(place) for place in places]
    assert len({root.trace_id for root in roots}) == len(places)
    assert all(root.is_valid for root in roots)
    assert brand.root_of(places[0]) != roots[0]


def test_what_is_told_of_chunks_that_were_not_taken_here_is_passed_over(traces):
    failures = Failures()
    events = Events(failures)
    traces().listen(events)
    for event in (ChunkLeft("b1.1", "taken"), Sent("submit", 1, Place("b1.1", 0)), Sent("upload", 1)):
        events.tell(event)
    assert dict(failures.counts) == {}


def test_a_second_hint_for_a_chunk_in_hand_does_not_end_its_span(traces):
    events, one = Events(Failures()), traces()
    one.listen(events)
    events.tell(ChunkTaken("b1.1", "may", 1_000_000, (0,), {0: "a-1"}))
    events.tell(ChunkLeft("b1.1", "taken"))
    events.tell(ChunkTaken("b1.1", "may", 1_000_000, (0,), {0: "a-1"}))  # again, before it is told that it left
    events.tell(ChunkLeft("b1.1", "handed on"))
    (taken,) = one._taken["b1.1"]
    assert taken.unsent == {0: "a-1"}
    events.tell(Sent("submit", 2_000_000, Place("b1.1", 0)))
    assert taken.unsent == {}
    events.tell(ChunkLeft("b1.1", "closed", 1))
    assert one._taken == {}


def test_a_collector_that_is_away_holds_up_no_end(traces):
    one = traces()
    events = Events(Failures())
    one.listen(events)
    one._tracer.start_span("x").end()
    began = time.monotonic()
    one.close()
    assert time.monotonic() - began < 15


OFF = """
import sys
from couponpress.transport.proxy import ProxyRule
from couponpress_worker.events import Events
from couponpress_worker.outbound.client import client
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.factories import traces_of
from tests.builders import fleet_settings
import couponpress_worker.app, couponpress_worker.runtime.services
before = set(sys.modules)
traces_of(fleet_settings(), "worker", Events(Failures()))()
print([name for name in set(sys.modules) - before if name.startswith("opentelemetry")])
print([name for name in sys.modules if name.startswith(("opentelemetry.exporter", "opentelemetry.sdk.trace"))])
"""


def test_off_loads_nothing():
    done = subprocess.run([sys.executable, "-c", OFF], check=True, timeout=60, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


@pytest.mark.parametrize(("name", "value"), [("COUPONPRESS_TRACES", "1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://x")])
def test_either_variable_turns_them_on(monkeypatch, name, value):
    assert not fleet_settings().traced
    monkeypatch.setenv(name, value)
    assert fleet_settings().traced


def test_off_does_nothing(monkeypatch):
    events = Events(Failures())
    traces_of(fleet_settings(), "worker", events)()
    assert events._listeners == {}


def test_the_first_span_of_a_spec_links_to_the_program_that_enqueued_it(monkeypatch):
    with collector() as (url, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        events, one = Events(Failures()), Traces("worker", MCHID)
        one.listen(events)
        trace = f"00-{7:032x}-{8:016x}-01 - nonsense"
        events.tell(ChunkTaken("b1.1", "may", 1_000_000, (0, 1, 2), {0: "a-1", 1: "a-2", 2: "a-3"}, trace))
        for position in range(3):
            events.tell(Sent("submit", 2_000_000, Place("b1.1", position)))
        one.close()
    waits = [span for _, span in spans if span.name == "wait"]
    assert [[int.from_bytes(link.trace_id, "big") for link in span.links] for span in waits] == [[7], [], []]


def test_calls_to_others_urls_are_spans_that_show_no_query(monkeypatch):
    seen = {}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                told = (await receive())["type"]
                await send({"type": f"{told}.complete"})
                if told == "lifespan.shutdown":
                    return
        seen.update({name.decode(): value.decode() for name, value in scope["headers"]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def call(address):
        async with client(rule=ProxyRule.of({}), connections=1, seconds=30) as http:
            return (await http.post(address)).status_code

    with collector() as (url, spans), served(app) as port:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        one = Traces("worker", MCHID)
        assert asyncio.run(call(f"http://127.0.0.1:{port}/hook?token=s3cret")) == 200
        one.close()
    ((service, span),) = spans
    assert (service, span.name) == ("couponpress-worker", "POST")
    assert b"s3cret" not in span.SerializeToString()
    assert span.trace_id.hex() in seen["traceparent"]
