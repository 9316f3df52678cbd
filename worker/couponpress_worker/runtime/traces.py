"""Sends traces of specs by OpenTelemetry: from the moment when a spec was enqueued to its outcome.

Each spec has one trace, whose id follows from the partner, the chunk and the spec's position there. So worker,
scheduler and callback receiver add their spans to the same trace without telling each other anything, and a sampler
by trace id keeps or drops the trace of a spec as a whole. A chunk in hand has a trace of its own, which links to the
specs that were to be sent.

    wait      from enqueueing until the first request leaves; the root of the spec's trace. It links to the span
              in which a program enqueued the spec, where that program makes traces
    submit    one call of the platform, with its status, code and Request-ID
    query     the same for a status query
    outcome   the spec has its outcome
    chunk     a chunk in the hands of a process; links to its specs

Calls to URLs of others (hooks, pictures, forwarding) are spans by OpenTelemetry's own instrumentation of httpx, without
the queries of their URLs.

Import this module only when traces are wanted: it needs the extra `otel`. The exporter and the sampler read the
standard OTEL_ variables. Spans hold ids and codes, never a body or a key. While a collector is away spans are dropped,
and nothing else happens.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, get_args

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import RandomIdGenerator, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from couponpress.ledger.fleet_queries import Place
from couponpress.ledger.leases import WhyNot
from couponpress.ledger.trace_context import trace_at
from couponpress.outcome import State
from couponpress.transport.web_address import shown_url
from couponpress_worker.events import Answered, ChunkLeft, ChunkTaken, Ended, Events, Sent
from couponpress_worker.outbound import client as outbound

#: What becomes of a hint that leads to no chunk.
_NOT_LEASED = frozenset(get_args(WhyNot))
#: Links of one chunk's span: the SDK keeps no more.
MOST_LINKS = 128


class SpecIds(RandomIdGenerator):  # type: ignore[misc]  # see mypy in pyproject.toml
    """Random ids, but for the next span where ids are set."""

    def __init__(self) -> None:
        self.next: SpanContext | None = None

    def generate_trace_id(self) -> int:
        """Return the trace id that is set, or a random one."""
        return int(self.next.trace_id if self.next else super().generate_trace_id())

    def generate_span_id(self) -> int:
        """Return the span id that is set, or a random one."""
        return int(self.next.span_id if self.next else super().generate_span_id())


@dataclass(slots=True)
class _Taken:
    """A chunk in hand: since when, and the task_ids of its specs that were never sent, by position."""

    began_ns: int
    event: ChunkTaken
    unsent: dict[int, str]


class Traces:
    """The spans of one process; every listener is called in its event loop."""

    def __init__(self, role: str, mchid: str) -> None:
        self._mchid = mchid
        self._ids = SpecIds()
        resource = Resource.create({"service.namespace": "couponpress", "service.name": f"couponpress-{role}"})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("couponpress")
        instrument = partial(
            HTTPXClientInstrumentor.instrument_client, tracer_provider=self._provider, request_hook=_without_query
        )
        outbound.on_each_client(instrument)
        #: A chunk that is handed on may be taken again before this process tells that it left: then it is here twice.
        self._taken: dict[str, list[_Taken]] = {}

    def listen(self, events: Events) -> None:
        """Make a span of each of these events from now on."""
        events.listen(ChunkTaken, self._chunk_taken)
        events.listen(Sent, self._sent)
        events.listen(ChunkLeft, self._chunk_left)
        events.listen(Answered, self._answered)
        events.listen(Ended, self._ended)

    def close(self) -> None:
        """Send what is not sent yet; waits for the collector as long as the OTEL_ variables let the exporter."""
        self._provider.shutdown()

    def root_of(self, place: Place) -> SpanContext:
        """Return the root of a spec's trace."""
        digest = hashlib.sha256(f"{self._mchid}/{place.chunk_id}/{place.position}".encode()).digest()
        trace_id, span_id = int.from_bytes(digest[:16], "big"), int.from_bytes(digest[16:24], "big")
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))

    def _of(self, place: Place) -> Context:
        return set_span_in_context(NonRecordingSpan(self.root_of(place)), Context())

    def _chunk_taken(self, event: ChunkTaken) -> None:
        taken = _Taken(time.time_ns(), event, dict(event.unsent) if event.made_us else {})
        self._taken[event.chunk_id] = [*self._taken.get(event.chunk_id, [])[-1:], taken]

    def _sent(self, event: Sent) -> None:
        if event.place is None or event.kind != "submit" or event.place.chunk_id not in self._taken:
            return
        taken = self._taken[event.place.chunk_id][-1]
        task_id = taken.unsent.pop(event.place.position, None)
        if task_id is None:
            return
        attributes = _of_chunk(taken.event) | {"couponpress.task_id": task_id}
        made = min(taken.event.made_us, event.moment_us) * 1000
        self._ids.next = self.root_of(event.place)
        links = _links_to(trace_at(taken.event.trace, event.place.position))
        span = self._tracer.start_span("wait", Context(), SpanKind.CONSUMER, attributes, links, start_time=made)
        self._ids.next = None
        span.end(event.moment_us * 1000)

    def _chunk_left(self, event: ChunkLeft) -> None:
        if event.note in _NOT_LEASED:  # a hint without a chunk: somebody may have the one that it names in hand
            return
        if event.chunk_id not in self._taken:
            return
        taken, *again = self._taken.pop(event.chunk_id)
        if again:
            self._taken[event.chunk_id] = again
        places = [Place(event.chunk_id, position) for position in taken.event.waiting]
        links = [Link(self.root_of(place)) for place in places[:MOST_LINKS]]
        attributes = _of_chunk(taken.event) | {"couponpress.note": event.note, "couponpress.sent": str(event.sent)}
        self._tracer.start_span("chunk", Context(), attributes=attributes, links=links, start_time=taken.began_ns).end()

    def _answered(self, event: Answered[object]) -> None:
        if event.place is None:
            return
        now = time.time_ns()
        attributes: dict[str, str | int] = {
            "http.response.status_code": event.status,
            "error.type": event.code or event.error,
            "couponpress.request_id": event.request_id,
            "couponpress.judgement": type(event.judgement).__name__,
        }
        span = self._tracer.start_span(
            event.kind,
            self._of(event.place),
            SpanKind.CLIENT,
            {name: value for name, value in attributes.items() if value},
            start_time=now - round(event.seconds * 1e9),
        )
        if event.error or event.status >= 400:
            span.set_status(Status(StatusCode.ERROR, event.code or event.error))
        span.end(now)

    def _ended(self, event: Ended) -> None:
        attributes = {"couponpress.outcome": event.outcome.value, "couponpress.learned_by": event.by}
        attributes["couponpress.code"] = event.code
        span = self._tracer.start_span("outcome", self._of(event.place), attributes=attributes)
        if event.outcome is not State.SUCCEEDED:
            span.set_status(Status(StatusCode.ERROR, event.code))
        span.end()


def _links_to(traceparent: str) -> list[Link]:
    """Return the link to a program's span; none if the record tells of none that can be read."""
    carried = TraceContextTextMapPropagator().extract({"traceparent": traceparent})
    context = get_current_span(carried).get_span_context()
    return [Link(context)] if context.is_valid else []


async def _without_query(span: Any, request: Any) -> None:  # noqa: ANN401 - OpenTelemetry's own, without types here
    """Show of a URL what may be shown: its path and its query may hold a secret."""
    for name in ("http.url", "url.full"):
        if span.is_recording() and name in span.attributes:
            span.set_attribute(name, shown_url(str(request.url)))


def _of_chunk(event: ChunkTaken) -> dict[str, str]:
    return {"couponpress.run": event.run, "couponpress.chunk": event.chunk_id}


def begin_traces(role: str, mchid: str, events: Events) -> Callable[[], None]:
    """Send traces of a process from now on; returns what ends it."""
    traces = Traces(role, mchid)
    traces.listen(events)
    return traces.close
