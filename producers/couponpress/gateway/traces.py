"""Sends traces of the gateway's requests by OpenTelemetry, made once per process and flushed at its end.

Each request is a span, by OpenTelemetry's own instrumentation of FastAPI and ASGI. It continues the caller's trace
where the request has a `traceparent`. A spec that is enqueued by it carries the span's context in its chunk, and the
fleet's first span of that spec links to it. Probes, scrapes and the console's streams have no span.

Import this module only when traces are wanted: it needs the extra `otel`. The exporter and the sampler read the
standard OTEL_ variables. A span holds the method, the path without its query, the route and the status; no header, no
body, no token. While a collector is away spans are dropped, and nothing else happens.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from fastapi import FastAPI
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from starlette.types import ASGIApp, Scope

#: What is asked again and again, and has no span.
UNTRACED: Final = "/health$,/metrics$,/console/live,/console/parts/,/console/static/"
#: What an ASGI application is told beside the span of its request, which says all of it.
_NO_SPANS: Final = ["receive", "send"]
_SINGLE: Final = "POST /v1/runs/{run}/specs"


class GatewayTraces:
    """The spans of one gateway."""

    def __init__(self) -> None:
        resource = Resource.create({"service.namespace": "couponpress", "service.name": "couponpress-gateway"})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))

    def of_routes(self, app: FastAPI) -> None:
        """Make a span of each request that FastAPI answers."""
        FastAPIInstrumentor.instrument_app(
            app,
            tracer_provider=self._provider,
            excluded_urls=UNTRACED,
            exclude_spans=_NO_SPANS,
            server_request_hook=_without_query,
        )

    def of_single_specs(self, app: ASGIApp) -> ASGIApp:
        """Return the application that takes single specs past FastAPI, with a span for each request."""
        traced: ASGIApp = OpenTelemetryMiddleware(
            app,
            tracer_provider=self._provider,
            exclude_spans=_NO_SPANS,
            default_span_details=lambda _: (_SINGLE, {"http.route": _SINGLE.partition(" ")[2]}),
            server_request_hook=_without_query,
        )
        return traced

    def close(self) -> None:
        """Send what is not sent yet; waits for the collector as long as the OTEL_ variables let the exporter."""
        self._provider.shutdown()


def _without_query(span: Any, scope: Scope) -> None:  # noqa: ANN401 - OpenTelemetry's span has no types here
    """Keep what may stand in a query, such as the page that a login leads to, out of the span."""
    if not span.is_recording():
        return
    for name in ("http.target", "http.url", "url.full"):
        if name in span.attributes:
            span.set_attribute(name, scope["path"])
    if span.attributes.get("url.query"):
        span.set_attribute("url.query", "")


def begin_traces(app: FastAPI, single: ASGIApp) -> tuple[ASGIApp, Callable[[], None]]:
    """Trace a gateway from now on; returns what takes single specs, and what ends the traces."""
    traces = GatewayTraces()
    traces.of_routes(app)
    return traces.of_single_specs(single), traces.close
