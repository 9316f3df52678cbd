"""The trace in which a program enqueues specs, as W3C's `traceparent`, so that the fleet's spans can link to it.

A program that uses OpenTelemetry has loaded it. Without it nothing is loaded, nothing is stored, and nothing is spent.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

#: Stands for a spec without a trace, among others of its chunk that have one.
_NONE = "-"


def traceparent() -> str:
    """Return the span that is current in this thread or task, if it is recorded; empty without one."""
    api = sys.modules.get("opentelemetry.trace")
    if api is None:
        return ""
    span = api.get_current_span().get_span_context()
    if not span.is_valid or not span.trace_flags.sampled:
        return ""
    return f"00-{span.trace_id:032x}-{span.span_id:016x}-{int(span.trace_flags):02x}"


def stored_traces(traces: Sequence[str]) -> str:
    """Return the traces of a chunk's specs as they are stored: nothing, the one of all, or one for each.

    >>> stored_traces(["", ""]), stored_traces(["00-a-b-01", "00-a-b-01"]), stored_traces(["00-a-b-01", ""])
    ('', '00-a-b-01', '00-a-b-01 -')
    """
    if not any(traces):
        return ""
    return traces[0] if len(set(traces)) == 1 else " ".join(one or _NONE for one in traces)


def trace_at(stored: str, position: int) -> str:
    """Return the trace of a spec of a chunk; empty if it has none.

    >>> trace_at("00-a-b-01", 7), trace_at("00-a-b-01 -", 1), trace_at("", 0), trace_at("00-a-b-01 -", 5)
    ('00-a-b-01', '', '', '')
    """
    told = stored.split(" ")
    found = told[0] if len(told) == 1 else told[position] if position < len(told) else ""
    return "" if found == _NONE else found
