"""What the service lets through to the receiver: one path, one method, a bounded body, in a bounded time."""

import asyncio

import pytest

from couponpress_worker.completion.callback import CALLBACK_PATH, TAKEN, Reply
from couponpress_worker.completion.callback_asgi import BODY_LIMIT_BYTES, CallbackService
from tests.builders import run_fast


def scope(**changes):
    plain = {"type": "http", "method": "POST", "path": CALLBACK_PATH, "headers": [(b"x-one", b"1"), (b"x-one", b"2")]}
    return plain | changes


class Caller:
    """Sends pieces of a body as they are given, then says nothing more."""

    def __init__(self, *pieces, more_at_the_end=False):
        self.messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if self.messages and not more_at_the_end:
            self.messages[-1]["more_body"] = False
        self.read, self.sent = 0, []

    async def receive(self):
        if not self.messages:
            await asyncio.Event().wait()
        self.read += 1
        return self.messages.pop(0)

    async def send(self, message):
        self.sent.append(message)

    @property
    def status(self):
        return self.sent[0]["status"]

    @property
    def headers(self):
        return dict(self.sent[0]["headers"])


def served(caller, receive=None, **changes):
    """What reached the receiver."""
    reached = []

    async def taken(headers, body):
        reached.append((headers, body))
        return await receive(headers, body) if receive else TAKEN

    caller.told = []
    run_fast(
        CallbackService({CALLBACK_PATH: taken}, tell=caller.told.append)(scope(**changes), caller.receive, caller.send)
    )
    return reached


def test_a_body_in_pieces_reaches_the_receiver_whole():
    caller = Caller(b"ab", b"", b"cd")
    ((headers, body),) = served(caller)
    assert body == b"abcd"
    assert headers["X-ONE"] == "1"  # the first of two, whatever its case
    assert caller.status == 204


@pytest.mark.parametrize("path", ["/", "/docs", "/wechatpay", f"{CALLBACK_PATH}/", f"{CALLBACK_PATH}/more", "/%2e%2e"])
def test_there_is_nothing_else_here(path):
    caller = Caller(b"x")
    assert served(caller, path=path) == []
    assert caller.status == 404


def test_each_partner_has_a_path_of_its_own():
    reached = []

    def receiver(name):
        async def receive(_headers, body):
            reached.append((name, body))
            return TAKEN

        return receive

    service = CallbackService({f"{CALLBACK_PATH}/{name}": receiver(name) for name in ("one", "two")})
    answers = []
    for path in ("one", "two", "three", "", "one/two"):
        caller = Caller(path.encode())
        run_fast(service(scope(path=f"{CALLBACK_PATH}/{path}"), caller.receive, caller.send))
        answers.append(caller.status)
    assert answers == [204, 204, 404, 404, 404]
    assert reached == [("one", b"one"), ("two", b"two")]


@pytest.mark.parametrize("path", ["/", "/healthz"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_load_balancer_is_answered(method, path):
    caller = Caller(b"")
    assert served(caller, method=method, path=path) == []
    assert caller.status == 200


def test_a_signed_callback_on_another_path_is_a_warning_and_a_scanner_is_not(caplog):
    caplog.set_level("INFO")
    service = CallbackService({CALLBACK_PATH: None})
    for _ in range(3):
        caller = Caller(b"")
        run_fast(service(scope(path="/pay\r\n"), caller.receive, caller.send))
        caller = Caller(b"")
        run_fast(service(scope(path="/pay", headers=[(b"wechatpay-signature", b"x")]), caller.receive, caller.send))
    scanner, misdirected = caplog.records
    assert (scanner.levelname, scanner.getMessage()) == (
        "INFO",
        r"request answered with 404: POST /pay\r\n is no callback",
    )
    assert misdirected.levelname == "WARNING"
    assert misdirected.getMessage().startswith(f"callback answered with 404: POST /pay is not POST {CALLBACK_PATH}. ")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_a_callback_is_a_post(method):
    caller = Caller(b"x")
    assert served(caller, method=method) == []
    assert (caller.status, caller.headers[b"allow"]) == (405, b"POST")


def test_a_body_of_the_largest_size_is_read():
    assert len(served(Caller(b"x" * BODY_LIMIT_BYTES))[0][1]) == BODY_LIMIT_BYTES


def test_a_body_that_is_too_large_is_refused_with_what_is_left_unread():
    caller = Caller(*[b"x" * 1000] * 1000)
    assert served(caller) == []
    assert (caller.status, caller.headers[b"connection"]) == (413, b"close")
    assert caller.read == BODY_LIMIT_BYTES // 1000 + 1


def test_a_caller_that_hangs_up_half_way_leaves_no_traceback():
    caller = Caller(b"x", more_at_the_end=True)
    caller.messages.append({"type": "http.disconnect"})
    assert served(caller) == []
    assert caller.status == 400


def test_a_caller_that_stops_half_way_is_not_waited_for():
    caller = Caller(b"x", more_at_the_end=True)
    assert served(caller) == []
    assert (caller.status, caller.headers[b"connection"]) == (408, b"close")


def test_a_receiver_that_takes_too_long_is_answered_for():
    async def never(headers, body):
        await asyncio.Event().wait()

    caller = Caller(b"{}")
    served(caller, never)
    assert caller.status == 503


def test_a_refusal_is_told_as_the_platform_reads_it():
    async def refuse(headers, body):
        return Reply(401, '"quoted"')

    caller = Caller(b"{}")
    served(caller, refuse)
    assert caller.sent[1]["body"] == rb'{"code": "FAIL", "message": "\"quoted\""}'
    assert caller.headers[b"content-length"] == str(len(caller.sent[1]["body"])).encode()


@pytest.mark.parametrize("trouble", [None, OSError("no Redis")])
def test_the_lifetime_is_entered_and_left(trouble):
    events = []

    class Lifetime:
        async def __aenter__(self):
            if trouble:
                raise trouble
            events.append("entered")

        async def __aexit__(self, *_):
            events.append("left")

    caller = Caller()
    caller.messages = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    running = CallbackService({}, Lifetime())({"type": "lifespan"}, caller.receive, caller.send)
    if trouble:
        with pytest.raises(OSError, match="no Redis"):
            run_fast(running)
        assert [one["type"] for one in caller.sent] == ["lifespan.startup.failed"]
    else:
        run_fast(running)
        assert events == ["entered", "left"]
