"""Formats the log lines of a service: text for people, or one JSON object per line.

Every module logs with the standard library, and so do Celery, httpx and uvicorn. This module formats their records
alike. A line that is written while a spec is worked on carries its run, chunk, task_id and Request-ID, and in a service
of several partners the partner: whoever works on it binds them with `structlog.contextvars.bound_contextvars`. A JSON
line holds the message, these fields and, of an error, its trace; nothing else of a record is written, because Celery
attaches whole messages to its own.

structlog comes with the extras `gateway` and `worker`; without it this module cannot be imported.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.contextvars import get_contextvars

LogForm = Literal["text", "json"]

log = logging.getLogger(__name__)

#: What a line can carry, in this order.
FIELDS = ("partner", "run", "chunk", "task_id", "request_id")
#: A line of text; `fields` is empty, or begins with a blank.
TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s%(fields)s"
#: How Celery writes the chunk of a hint into its own records.
_CHUNK_OF_HINT = re.compile(r"[\[(]'([\w.]{1,64})',?[\])]")


def log_to_stderr(form: LogForm) -> None:
    """Set up the log of a service: to stderr, one line for each thing that happened."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(TEXT_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    format_lines(logging.getLogger(), form)


def format_lines(logger: logging.Logger, form: LogForm) -> None:
    """Let the handlers of a logger write lines of this form.

    For text each handler keeps its own format, which may name `%(fields)s`. For JSON all formats are replaced, and what
    ends the process or one of its threads unforeseen is a JSON line too.
    """
    for handler in logger.handlers:
        if form == "json":
            handler.setFormatter(_json_lines())
        else:
            handler.addFilter(_with_fields)
    if form == "json":
        logging.captureWarnings(True)
        sys.excepthook = _ended
        threading.excepthook = _thread_ended


def _with_fields(record: logging.LogRecord) -> bool:
    """Add the bound fields to a record as a piece of text; lets every record pass."""
    fields = " ".join(f"{name}={value}" for name, value in _bound().items())
    record.fields = f" [{fields}]" if fields else ""
    return True


def _bound() -> dict[str, str]:
    """Return the bound fields that have a value, in the order of FIELDS."""
    bound = get_contextvars()
    return {name: bound[name] for name in FIELDS if bound.get(name)}


def _json_lines() -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        processors=[_as_line, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        use_get_message=True,
    )


def _as_line(_: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's
    """Return a line with the fields that every line has in front, and those that Celery hides in its records."""
    record: logging.LogRecord = line["_record"]
    moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    head = {"time": moment, "level": record.levelname.lower(), "logger": record.name, "message": line.pop("event")}
    trace = {"exc_info": line["exc_info"]} if line.get("exc_info") else {}
    return head | _of_hint(record) | _bound() | trace


def _of_hint(record: logging.LogRecord) -> dict[str, str]:
    """Return the id of the hint that Celery speaks of, and its chunk; nothing of other records."""
    told = getattr(record, "data", None)
    if not isinstance(told, dict) or not record.name.startswith("celery."):
        return {}
    chunk = _CHUNK_OF_HINT.fullmatch(str(told.get("args")))
    return {"hint": str(told.get("id"))} | ({"chunk": chunk[1]} if chunk else {})


def _ended(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        log.critical("the process ends by an unforeseen error", exc_info=(kind, error, trace))


def _thread_ended(told: threading.ExceptHookArgs) -> None:
    if told.exc_value is not None:
        name = told.thread.name if told.thread else "?"
        what = (told.exc_type, told.exc_value, told.exc_traceback)
        log.critical("thread %s ended by an unforeseen error", name, exc_info=what)
