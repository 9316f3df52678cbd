"""What a hint looks like, and how everything else is told from it."""

import json
from base64 import b64encode

import pytest
from celery import Celery

from couponpress.keys import SUBMIT_TASK
from couponpress_worker.submission.message_filter import reason_against


def hint(chunk_id="b1.1"):
    """A hint as Celery writes it."""
    app = Celery("test", set_as_current=False)
    told = app.amqp.create_task_message("5c1f", SUBMIT_TASK, args=[chunk_id])
    body = b64encode(json.dumps(told.body).encode()).decode()
    delivery = {"delivery_mode": 2, "delivery_info": {"exchange": "", "routing_key": "q"}, "priority": 0}
    return {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": told.headers,
        "properties": {**told.properties, **delivery, "body_encoding": "base64", "delivery_tag": "7d"},
    }


def changed(path, value):
    """A hint with one thing in it changed, or with `...` left out."""
    message = inner = hint()
    *way, last = path
    for name in way:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    return message


def body(*parts):
    return b64encode(json.dumps(parts).encode()).decode()


BAD = {
    "no body": (["body"], ...),
    "body of another type": (["body"], [["b1.1"], {}, {}]),
    "wrong base64": (["body"], "%%%"),
    "cut base64": (["body"], "abc"),
    "body is no JSON": (["body"], b64encode(b"pickled").decode()),
    "body is no text": (["body"], b64encode(b"\xff\xfe\xfd").decode()),
    "too few arguments": (["body"], body([], {}, {})),
    "too many arguments": (["body"], body(["b1.1", "b1.2"], {}, {})),
    "keyword arguments": (["body"], body(["b1.1"], {"chunk_id": "b1.1"}, {})),
    "argument of another type": (["body"], body([17], {}, {})),
    "no chunk's id": (["body"], body(["b1.1/7"], {}, {})),
    "arguments only": (["body"], body(["b1.1"])),
    "protocol 1": (["body"], b64encode(json.dumps({"task": SUBMIT_TASK, "args": ["b1.1"]}).encode()).decode()),
    "unknown content type": (["content-type"], "application/x-python-serialize"),
    "no content type": (["content-type"], ...),
    "unknown encoding": (["content-encoding"], "koi8-r"),
    "unknown task": (["headers", "task"], "celery.backend_cleanup"),
    "task of another type": (["headers", "task"], [SUBMIT_TASK]),
    "no task": (["headers", "task"], ...),
    "no id": (["headers", "id"], ...),
    "id of another type": (["headers", "id"], {"a": 1}),
    "no headers": (["headers"], ...),
    "headers of another type": (["headers"], "text"),
    "compressed": (["headers", "compression"], "application/x-gzip"),
    "moment": (["headers", "eta"], "tomorrow"),
    "expiry": (["headers", "expires"], "tomorrow"),
    "time limit": (["headers", "timelimit"], [1]),
    "no properties": (["properties"], None),
    "no delivery tag": (["properties", "delivery_tag"], ...),
    "no delivery info": (["properties", "delivery_info"], ...),
    "delivery info without exchange": (["properties", "delivery_info"], {}),
    "unknown body encoding": (["properties", "body_encoding"], "rot13"),
}


def test_a_hint_passes():
    assert reason_against(json.dumps(hint()).encode()) is None
    assert reason_against(json.dumps(hint("u7f.120")).encode()) is None


@pytest.mark.parametrize(("path", "value"), BAD.values(), ids=BAD.keys())
def test_what_is_no_hint_is_told_with_its_reason(path, value):
    reason = reason_against(json.dumps(changed(path, value)).encode())
    assert reason
    assert len(reason) < 300


@pytest.mark.parametrize(
    "element", [b"", b"not json", b"\xff\xfe", b"[" * 100_000, b"7", b"null", b"[]", b"{}", b'"text"']
)
def test_what_is_no_message_is_told_with_its_reason(element):
    assert reason_against(element)


def test_headers_of_others_pass():
    """Tracing and the like add their own."""
    assert reason_against(json.dumps(changed(["headers", "traceparent"], "00-ab-cd-01")).encode()) is None
