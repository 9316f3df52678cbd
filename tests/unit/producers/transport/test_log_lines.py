"""Log lines as text and as JSON: their fields, traces, Celery's records, and what must not be in them."""

import io
import json
import logging
import subprocess
import sys

import pytest
from structlog.contextvars import bound_contextvars

from couponpress.transport.log_lines import TEXT_FORMAT, format_lines


@pytest.fixture
def written(request):
    """A logger of the test's own whose lines are kept; hooks of the interpreter are put back."""
    hooks = sys.excepthook, sys.modules["threading"].excepthook
    logger = logging.getLogger(f"celery.{request.node.name}")
    handler = logging.StreamHandler(io.StringIO())
    handler.setFormatter(logging.Formatter(TEXT_FORMAT))
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(logging.INFO)
    yield logger, lambda: handler.stream.getvalue().splitlines()
    sys.excepthook, sys.modules["threading"].excepthook = hooks
    logging.captureWarnings(False)


def test_text_is_what_it_was_and_ends_with_the_fields_that_are_bound(written):
    logger, lines = written
    format_lines(logger, "text")
    logger.info("nothing is bound")
    with bound_contextvars(run="may", chunk="b1.1", request_id=""):
        logger.warning("one %s", "thing")
    first, second = (line.split(" ", 2)[2] for line in lines())
    assert first == f"INFO {logger.name} nothing is bound"
    assert second == f"WARNING {logger.name} one thing [run=may chunk=b1.1]"


def test_json_is_one_object_per_line_with_its_fields(written):
    logger, lines = written
    format_lines(logger, "json")
    with bound_contextvars(run="may", chunk="b1.1", task_id="a-1", request_id=""):
        logger.error("two\nlines, %s", "图")
    (line,) = map(json.loads, lines())
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "error",
        "logger": logger.name,
        "message": "two\nlines, 图",
        "run": "may",
        "chunk": "b1.1",
        "task_id": "a-1",
    }


def test_a_trace_is_a_field_and_holds_no_values(written):
    logger, lines = written
    format_lines(logger, "json")
    secret = "-".join(["s3cret"] * 2)
    try:
        int(secret[:0])
    except ValueError:
        logger.exception("it failed")
    (line,) = map(json.loads, lines())
    assert line["exception"].endswith("ValueError: invalid literal for int() with base 10: ''")
    assert secret not in lines()[0]


@pytest.mark.parametrize("args", ["('b1.1',)", "['b1.1']"])
def test_what_celery_attaches_is_left_out_but_for_the_hint_and_its_chunk(written, args):
    logger, lines = written
    format_lines(logger, "json")
    logger.info("received", extra={"data": {"id": "5c1f", "args": args, "kwargs": "{'key': 'hidden'}"}})
    (line,) = map(json.loads, lines())
    assert (line["hint"], line["chunk"]) == ("5c1f", "b1.1")
    assert "hidden" not in lines()[0]


def test_of_a_hint_that_is_none_of_ours_nothing_is_repeated(written):
    logger, lines = written
    format_lines(logger, "json")
    logger.info("received", extra={"data": {"id": "5c1f", "args": "('a body, say',)"}})
    (line,) = map(json.loads, lines())
    assert line["hint"] == "5c1f"
    assert "chunk" not in line


ENDING = """
import threading, warnings
from couponpress.transport.log_lines import log_to_stderr
log_to_stderr("json")
warnings.warn("careful")
thread = threading.Thread(target=lambda: 1 / 0, name="lane")
thread.start()
thread.join()
raise LookupError("gone")
"""


def test_warnings_and_what_ends_a_process_are_lines_too():
    done = subprocess.run([sys.executable, "-c", ENDING], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 1
    warned, thread, ended = map(json.loads, done.stderr.splitlines())
    assert (warned["logger"], warned["level"]) == ("py.warnings", "warning")
    assert thread["message"] == "thread lane ended by an unforeseen error"
    assert thread["exception"].endswith("ZeroDivisionError: division by zero")
    assert (ended["level"], ended["exception"].splitlines()[-1]) == ("critical", "LookupError: gone")
