"""The gateway as other apps meet it: a real process, real HTTP, a real Redis."""

import csv
import io
import json
import os
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import redis

from couponpress import Client
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress_worker.runtime import redis_server
from tests import processes
from tests.builders import (
    KEYS,
    bring_to,
    chunk_ids,
    cut_out_body,
    head_body,
    hints,
    moved,
    producer_settings,
)
from tests.running_gateway import running_gateway

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def shop(gateway, client):
    with gateway.caller() as shop:
        yield shop


@pytest.fixture
def small(gateway, client):
    with gateway.caller("small") as small:
        yield small


@pytest.fixture
def other(gateway, client):
    with gateway.caller("other") as other:
        yield other


def jsonl(*bodies):
    return "\n".join(json.dumps(body) for body in bodies)


@contextmanager
def at_once(gateway, threads, token="shop"):
    """A pool of threads, each with a client of its own, for one client's connections are not safe to share; and the
    function by which a thread gets its client."""
    own, opened = threading.local(), []

    def begin():
        own.caller = gateway.caller(token, verify=False)
        opened.append(own.caller)

    try:
        with ThreadPoolExecutor(threads, initializer=begin) as pool:
            yield pool, lambda: own.caller
    finally:
        for caller in opened:
            caller.close()


def refused(response, status, kind):
    """Check that it is a problem document of that kind, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert (told["status"], told["type"]) == (status, f"/docs#{kind}")
    assert told["title"]
    assert told["detail"]
    return told


# --- one spec ---------------------------------------------------------------------------------------------------------


def test_a_spec_is_stored_when_it_is_answered(shop, client):
    answer = shop.post("/runs/may/specs", json=head_body(1, row_id="SP-1"))
    assert answer.status_code == 202
    assert answer.json() == {"run": "may", "task_id": "head-000001", "row_id": "SP-1", "known": False}
    assert client.hget(KEYS.run("u1"), "name") == b"shop/may"
    assert len(hints(client, KEYS.queue("urgent"))) == 1
    again = shop.post("/runs/may/specs", json=head_body(1, row_id="SP-1"))
    assert again.json()["known"] is True
    assert client.hget(KEYS.run("u1"), "total") == b"1"


def test_a_spec_without_ids_is_the_same_work_each_time(shop):
    body = cut_out_body(task_id=None)
    first, second = (shop.post("/runs/may/specs", json=body).json() for _ in range(2))
    assert first["task_id"] == second["task_id"]
    assert (first["known"], second["known"]) == (False, True)


def test_a_task_id_with_another_body_is_refused(shop, other, client):
    shop.post("/runs/may/specs", json=cut_out_body(1))
    told = refused(shop.post("/runs/june/specs", json=cut_out_body(1, brand_id="120345")), 409, "conflict")
    assert told["errors"][0]["pointer"] == "#/task_id"
    assert "run may" in told["detail"]
    foreign = refused(other.post("/runs/may/specs", json=cut_out_body(1)), 409, "conflict")
    assert "shop" not in json.dumps(foreign)
    assert client.hlen(KEYS.run_numbers) == 2  # `shop/may`, and the count: refused specs leave no run behind


def test_a_known_spec_of_another_run_is_told_with_its_run(shop):
    shop.post("/runs/may/specs", json=cut_out_body(1))
    assert shop.post("/runs/june/specs", json=cut_out_body(1)).json()["run"] == "may"


@pytest.mark.parametrize("spoil", [{}, {"params": {"the": "long way"}}])
def test_many_at_once_are_gathered_into_chunks_and_each_gets_its_own_answer(gateway, shop, client, spoil):
    bodies = (
        [cut_out_body(number) for number in range(200)] + [{"brand_id": "1"}] * 5 + [cut_out_body(1, brand_id="120345")]
    )
    with at_once(gateway, 50) as (threads, own):
        answers = list(threads.map(lambda body: own().post("/runs/may/specs", json=body, **spoil), bodies))
    statuses = [answer.status_code for answer in answers]
    assert statuses[:205] == [202] * 200 + [422] * 5
    assert statuses[205] in {202, 409}  # it may have come before its twin
    assert [answer.json()["task_id"] for answer in answers[:200]].count("cut-out-000001") == 1
    assert client.hget(KEYS.run("u1"), "total") == b"200"
    assert len(chunk_ids(client)) < 100


@pytest.mark.parametrize(
    ("send", "status", "kind"),
    [
        ({"content": b'{"a":'}, 400, "not-json"),
        ({"content": b"\xff\xfe"}, 400, "not-json"),
        ({"content": b"[" * 10_000}, 400, "not-json"),
        ({"content": b'{"brand_id": NaN}'}, 400, "not-json"),
        ({"content": b""}, 400, "not-json"),
        ({"content": b"1" * 5000}, 400, "not-json"),
        ({"content": b'"\\ud800"'}, 400, "not-json"),
        ({"content": b"[]"}, 422, "invalid"),
        ({"content": b" " * 17_000}, 413, "too-large"),
        ({"content": iter([b" " * 9000, b" " * 9000])}, 413, "too-large"),
        ({"json": cut_out_body(), "headers": {"Content-Type": "text/plain"}}, 415, "wrong-media-type"),
        ({"json": cut_out_body(brand_id="7")}, 403, "brand-not-allowed"),
        ({"json": cut_out_body(), "params": {"lane": "fast"}}, 422, "invalid"),
        ({"json": cut_out_body(), "headers": {"Idempotency-Key": "a b"}}, 422, "invalid"),
        (
            {"json": cut_out_body(), "headers": {"Idempotency-Key": "a b"}, "params": {"lane": "bulk", "x": "1"}},
            422,
            "invalid",
        ),
        ({"json": cut_out_body(), "headers": {"Authorization": "Bearer shop.x"}}, 401, "no-token"),
        ({"json": cut_out_body(), "headers": {"Authorization": "Basic eDp5"}}, 401, "no-token"),
    ],
)
def test_bad_input_has_its_own_clear_answer_and_stores_nothing(shop, client, send, status, kind):
    headers = {"Content-Type": "application/json"} | send.pop("headers", {})
    refused(shop.post("/runs/may/specs", headers=headers, **send), status, kind)
    stored = set(client.keys(KEYS.prefix + "*")) - {KEYS.present.encode(), KEYS.audit.encode(), KEYS.acts.encode()}
    assert stored == set()  # but that the gateway runs, and that it refused


def test_every_broken_field_is_named_with_its_rule(shop):
    body = head_body(1, colour="red") | {"task_id": "no"}
    body["combine_image"]["normal_coupon"]["discount_amount"] = 0
    told = refused(shop.post("/runs/may/specs", json=body), 422, "invalid")
    rules = {error["pointer"]: error["rule"] for error in told["errors"]}
    assert rules.keys() == {"#/task_id", "#/colour", "#/combine_image/normal_coupon/discount_amount"}
    assert rules["#/task_id"] == "must be 6 to 40 digits, letters, _ or -"


def test_a_run_of_the_other_lane_takes_nothing(shop):
    shop.post("/runs/may/specs", json=cut_out_body(1))
    refused(shop.post("/runs/may/specs", json=cut_out_body(2), params={"lane": "bulk"}), 409, "conflict")


# --- Idempotency-Key --------------------------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_answer_and_another_body_is_refused(shop, other, client):
    key = {"Idempotency-Key": "order-1"}
    first = shop.post("/runs/may/specs", json=cut_out_body(1), headers=key)
    again = shop.post("/runs/may/specs", json=dict(reversed(cut_out_body(1).items())), headers=key)
    assert again.content == first.content
    for changed in ({"json": cut_out_body(2)}, {"json": cut_out_body(1), "params": {"lane": "bulk"}}):
        refused(shop.post("/runs/may/specs", headers=key, **changed), 422, "key-reused")
    refused(shop.post("/runs/june/specs", json=cut_out_body(1), headers=key), 422, "key-reused")
    assert other.post("/runs/may/specs", json=cut_out_body(3), headers=key).status_code == 202
    assert client.hget(KEYS.run("u1"), "total") == b"1"


def test_the_same_key_at_the_same_moment_is_one_spec_and_one_answer(gateway, client):
    def post(number):
        return own().post("/runs/may/specs", json=cut_out_body(number % 2), headers={"Idempotency-Key": "order-1"})

    with at_once(gateway, 20) as (threads, own):
        answers = list(threads.map(post, range(40)))
    taken = {answer.content for answer in answers if answer.status_code == 202}
    assert len(taken) == 1
    assert sorted(answer.status_code for answer in answers) == [202] * 20 + [422] * 20
    assert client.hget(KEYS.run("u1"), "total") == b"1"


def test_a_refused_request_leaves_its_key_free(shop):
    key = {"Idempotency-Key": "order-1"}
    shop.post("/runs/may/specs", json=cut_out_body(1))
    refused(shop.post("/runs/june/specs", json=cut_out_body(1, brand_id="120345"), headers=key), 409, "conflict")
    assert shop.post("/runs/june/specs", json=cut_out_body(2), headers=key).status_code == 202


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_becomes_a_run(shop, client):
    rows = [cut_out_body(number, row_id=f"row {number}") for number in range(1, 251)]
    answer = shop.post("/runs/night/catalog", content="\ufeff" + jsonl(*rows) + "\n\n", headers=NDJSON)
    assert (answer.status_code, answer.json()) == (202, {"run": "night", "new": 250, "known": 0})
    assert len(hints(client, KEYS.queue("bulk"))) == 3
    again = shop.post("/runs/night/catalog", content=jsonl(*rows, cut_out_body(999)), headers=NDJSON)
    assert again.json() == {"run": "night", "new": 1, "known": 250}


@pytest.mark.parametrize(
    ("content", "status", "kind", "line"),
    [
        (jsonl(cut_out_body(1), {"brand_id": "120344"}), 422, "invalid", 2),
        (jsonl(cut_out_body(1)) + '\n{"brand_id": "12', 400, "not-json", 2),
        (jsonl(cut_out_body(1), [], cut_out_body(2)), 422, "invalid", 2),
        (jsonl(*(cut_out_body(n) for n in range(300)), cut_out_body(999, brand_id="7")), 403, "brand-not-allowed", 301),
        (jsonl(*(cut_out_body(n) for n in range(300))) + "\n" + " " * 20_000, 413, "too-large", None),
        (jsonl(*(cut_out_body(n) for n in range(300)), cut_out_body(1, brand_id="120345")), 409, "conflict", None),
        ("\n \n", 422, "invalid", None),
    ],
)
def test_a_stream_with_something_wrong_leaves_nothing(shop, client, content, status, kind, line):
    told = refused(shop.post("/runs/night/catalog", content=content, headers=NDJSON), status, kind)
    assert line is None or told["errors"][0]["line"] == line
    assert "nothing" in told["detail"] or "no line" in told["detail"]
    assert chunk_ids(client) == []
    assert shop.get("/runs").json() == {"runs": []}


def test_broken_lines_are_named_together_up_to_a_bound(shop):
    told = refused(shop.post("/runs/night/catalog", content="{}\n[\n" * 40, headers=NDJSON), 422, "invalid")
    assert {error["line"] for error in told["errors"]} == set(range(1, 21))


def test_a_stream_takes_json_lines_only(shop):
    refused(shop.post("/runs/night/catalog", json=cut_out_body(1)), 415, "wrong-media-type")
    refused(shop.post("/runs/night/catalog", content=b""), 415, "wrong-media-type")


def test_a_stream_that_is_cut_leaves_nothing_enqueued(gateway, shop, client):
    address = urlsplit(gateway.url)
    head = f"POST /v1/runs/night/catalog HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {gateway.tokens['shop']}\r\n"
    head += "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
    lines = "".join(json.dumps(cut_out_body(number)) + "\n" for number in range(1000)).encode()
    with socket.create_connection((address.hostname, address.port)) as connection:
        connection.sendall(head.encode() + f"{len(lines):x}\r\n".encode() + lines + b"\r\n")
        until(lambda: len(chunk_ids(client)) >= 9)
        assert client.hget(KEYS.run("b1"), "total") is None
    until(lambda: chunk_ids(client) == [] and client.hlen(KEYS.run_numbers) == 1)
    assert "nothing of it was enqueued: the connection ended before the body did" in gateway.log.read_text()
    assert refused(shop.get("/runs/night"), 404, "no-such-run")


#: The gateway's own time for a body is half a minute.
IMPATIENT = """
from couponpress.cli.entry import main
from couponpress.gateway import body
body.BODY_SECONDS = 2.0
main()
"""


def test_a_client_that_sends_a_byte_now_and_then_is_refused_on_every_path(tmp_path, redis_url, client):
    def dribble(one, path, media_type):
        address = urlsplit(one.url)
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {one.tokens['admin']}\r\n"
        head += f"Content-Type: {media_type}\r\nContent-Length: 1000\r\n\r\n"
        with socket.create_connection((address.hostname, address.port), 0.25) as connection:
            connection.sendall(head.encode())
            since = time.monotonic()
            while time.monotonic() - since < 20:
                connection.sendall(b"{")
                with suppress(TimeoutError):
                    response = HTTPResponse(connection)
                    connection.recv(1, socket.MSG_PEEK)
                    connection.settimeout(10)
                    response.begin()
                    return response.status, response.read().decode()
        return 0, "no answer"

    paths = {
        "/v1/runs/may/specs": "application/json",
        "/v1/runs/may/specs?lane=urgent&x=1": "application/json",
        "/v1/runs/may/catalog": "application/x-ndjson",
        "/v1/pause": "application/json",
        "/v1/selections": "application/json",
        "/console/login": "application/x-www-form-urlencoded",
    }
    with running_gateway(tmp_path, redis_url, program=("-c", IMPATIENT)) as one, ThreadPoolExecutor(6) as threads:
        answers = dict(zip(paths, threads.map(lambda path: dribble(one, path, paths[path]), paths), strict=True))
        assert {path: status for path, (status, _) in answers.items()} == dict.fromkeys(paths, 408)
        told = [body for path, (_, body) in answers.items() if path.startswith("/v1")]
        assert all("/docs#too-slow" in body for body in told), told
        assert "Traceback" not in one.log.read_text()
    assert client.hlen(KEYS.run_numbers) == 1


@pytest.mark.parametrize("path", ["/pause", "/selections", "/runs/may/cancel", "/runs/may/specs?x=1"])
@pytest.mark.parametrize("token", [None, "shop"])
def test_no_path_takes_a_large_body_into_memory(gateway, client, path, token):
    with gateway.caller(token) as caller:
        answer = caller.post(path, content=b"{" * 2_000_000, headers={"Content-Type": "application/json"})
    assert answer.status_code in ({413} if token else {401, 413})


def test_a_stream_under_a_key_gives_the_same_answer(shop, client):
    rows = [cut_out_body(number) for number in range(150)]
    key = NDJSON | {"Idempotency-Key": "night-1"}
    first = shop.post("/runs/night/catalog", content=jsonl(*rows), headers=key)
    again = shop.post("/runs/night/catalog", content=jsonl(*rows) + "\n", headers=key)
    assert (again.status_code, again.content) == (202, first.content)
    told = refused(shop.post("/runs/night/catalog", content=jsonl(*rows[1:]), headers=key), 422, "key-reused")
    assert told["title"]
    refused(shop.post("/runs/other/catalog", content=jsonl(*rows), headers=key), 422, "key-reused")
    refused(shop.post("/runs/bad/catalog", content="{}", headers=NDJSON | {"Idempotency-Key": "b"}), 422, "invalid")
    assert (
        shop.post(
            "/runs/bad/catalog", content=jsonl(cut_out_body(999)), headers=NDJSON | {"Idempotency-Key": "b"}
        ).json()["new"]
        == 1
    )


def test_a_long_stream_takes_no_memory(gateway, shop):
    def peak_kb():
        status = Path(f"/proc/{gateway.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0])

    def lines(first, count):
        for number in range(first, first + count, 100):
            yield "".join(json.dumps(cut_out_body(n)) + "\n" for n in range(number, number + 100)).encode()

    shop.post("/runs/short/catalog", content=lines(0, 2000), headers=NDJSON)
    before = peak_kb()
    answer = shop.post("/runs/long/catalog", content=lines(2000, 20_000), headers=NDJSON, timeout=120)
    assert answer.json()["new"] == 20_000
    assert peak_kb() - before < 4000  # the stream itself has 3.4 MB, its specs as objects ten times that


# --- quota and backlog ------------------------------------------------------------------------------------------------


def test_a_quota_counts_what_is_new(small, client):
    for number in (1, 1, 2, 3):
        assert small.post("/runs/may/specs", json=cut_out_body(number)).status_code == 202
    stream = jsonl(cut_out_body(3), cut_out_body(4), cut_out_body(5))
    told = small.post("/runs/night/catalog", content=stream, headers=NDJSON)
    refused(told, 429, "quota-used-up")
    assert 0 < int(told.headers["retry-after"]) <= 86400
    assert (
        small.post("/runs/night/catalog", content=jsonl(cut_out_body(3), cut_out_body(4)), headers=NDJSON).json()["new"]
        == 1
    )
    assert small.post("/runs/may/specs", json=cut_out_body(5)).status_code == 202
    refused(small.post("/runs/may/specs", json=cut_out_body(6)), 429, "quota-used-up")
    assert client.hget(KEYS.quota("small"), "used") == b"5"


def test_a_quota_holds_against_many_at_once(gateway, client):
    with at_once(gateway, 20, "small") as (threads, own):
        answers = list(threads.map(lambda n: own().post("/runs/may/specs", json=cut_out_body(n)), range(20)))
    assert sorted(answer.status_code for answer in answers) == [202] * 5 + [429] * 15


def test_a_full_backlog_is_refused_until_it_shrinks(tmp_path, redis_url, client):
    with running_gateway(tmp_path, redis_url, GATEWAY_BACKLOG="3") as one, one.caller() as shop:
        rows = jsonl(*(cut_out_body(number) for number in range(3)))
        assert shop.post("/runs/night/catalog", content=rows, headers=NDJSON).status_code == 202
        told = shop.post("/runs/may/specs", json=cut_out_body(9))
        refused(told, 429, "backlog-full")
        assert told.headers["retry-after"] == "30"
        refused(shop.post("/runs/more/catalog", content=rows, headers=NDJSON), 429, "backlog-full")
        bring_to(redis_url, "b1.1", [State.ACCEPTED] * 3)
        until(lambda: shop.post("/runs/may/specs", json=cut_out_body(9)).status_code == 202)


# --- asking and acting ------------------------------------------------------------------------------------------------


def test_a_run_is_followed_to_its_results(shop, client, redis_url):
    rows = [cut_out_body(number, row_id=f"row {number}") for number in (1, 2)]
    shop.post("/runs/may/catalog", content=jsonl(*rows), headers=NDJSON)
    assert (status := shop.get("/runs/may").json())["waiting"] == 2
    assert (status["run"], status["finished"], status["reasons"]) == ("may", False, {})
    assert shop.get("/specs/cut-out-000002").json()["state"] == "waiting"
    assert all(moved(redis_url, "b1.1", Move(0, "succeed"), Move(1, "fail", code="FAIL", message="no reason given")))
    status = shop.get("/runs/may").json()
    assert (status["succeeded"], status["failed"], status["finished"]) == (1, 1, True)
    assert status["reasons"] == {"failed FAIL": 1}
    results = shop.get("/runs/may/results")
    assert results.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["row_id"] for line in results.text.splitlines()] == ["row 1", "row 2"]
    table = shop.get("/runs/may/results", params={"format": "csv"})
    assert [line["outcome"] for line in csv.DictReader(io.StringIO(table.text))] == ["succeeded", "failed"]
    one = shop.get("/specs/cut-out-000002").json()
    assert (one["run"], one["state"], one["outcome"], one["row_id"]) == ("may", "failed", "failed", "row 2")
    assert [(event["event"], event["code"]) for event in one["events"]] == [("enqueued", ""), ("failed", "FAIL")]
    assert (one["body"]["task_id"], one["older_events"], one["due"]) == ("cut-out-000002", 0, None)


def test_results_are_streamed_whole(shop):
    rows = jsonl(*(cut_out_body(number) for number in range(1234)))
    shop.post("/runs/may/catalog", content=rows, headers=NDJSON)
    assert len(shop.get("/runs/may/results").text.splitlines()) == 1234


def test_runs_are_listed_the_youngest_first(shop):
    for name in ("a", "b", "c"):
        shop.post(f"/runs/{name}/specs", json=cut_out_body(ord(name)))
    assert [run["run"] for run in shop.get("/runs").json()["runs"]] == ["c", "b", "a"]
    assert [run["run"] for run in shop.get("/runs", params={"limit": 1}).json()["runs"]] == ["c"]
    refused(shop.get("/runs", params={"limit": 0}), 422, "invalid")


def test_a_run_is_paused_resumed_and_cancelled(shop, client):
    shop.post("/runs/may/specs", json=cut_out_body(1))
    assert shop.post("/runs/may/pause").json() == {"run": "may", "held": True}
    assert shop.post("/runs/may/pause").json() == {"run": "may", "held": False}
    assert shop.get("/runs/may").json()["hold"] == "paused by hand"
    assert shop.post("/runs/may/resume").json() == {"run": "may", "released": True}
    assert shop.get("/runs/may").json()["hold"] is None
    assert shop.post("/runs/may/cancel").json() == {"run": "may", "cancelled": 1}
    assert shop.get("/runs/may").json()["cancelled"] == 1


def test_a_token_sees_its_namespace_and_its_brands_only(shop, small, other):
    rows = jsonl(cut_out_body(1), cut_out_body(2, brand_id="120345"))
    shop.post("/runs/may/catalog", content=rows, headers=NDJSON)
    for path in ("/runs/may", "/runs/may/results", "/specs/cut-out-000001"):
        assert other.get(path).status_code == 404, path
    for act in ("cancel", "pause", "resume"):
        refused(other.post(f"/runs/may/{act}"), 404, "no-such-run")
    assert other.get("/runs").json() == {"runs": []}
    # Of the same namespace, but for one of the brands.
    told = small.get("/runs/may").json()
    assert [told[name] for name in ("run", "finished", "total", "waiting", "reasons")] == ["may", False] + [None] * 3
    (listed,) = small.get("/runs").json()["runs"]
    assert (listed["run"], listed["total"]) == ("may", None)
    for act in ("cancel", "pause", "resume"):
        refused(small.post(f"/runs/may/{act}"), 403, "brand-not-allowed")
    assert [json.loads(line)["brand_id"] for line in small.get("/runs/may/results").text.splitlines()] == ["120344"]
    assert small.get("/specs/cut-out-000001").status_code == 200
    refused(small.get("/specs/cut-out-000002"), 404, "no-such-spec")


def test_a_run_of_nobody_s_namespace_is_seen_by_nobody(shop, other, redis_url):
    with Client(producer_settings(redis_url)) as producer:
        producer.enqueue(cut_out_body(1), run="may")
    for caller in (shop, other):
        refused(caller.get("/runs/may"), 404, "no-such-run")
        refused(caller.get("/specs/cut-out-000001"), 404, "no-such-spec")


def test_everything_but_health_and_documents_takes_a_token(gateway):
    with gateway.caller(None) as nobody:
        assert nobody.get("/health").json() == {"redis": "answers"}
        for method, path in [
            ("GET", "/runs"),
            ("GET", "/runs/a"),
            ("GET", "/runs/a/results"),
            ("GET", "/specs/abcdef"),
        ]:
            assert refused(nobody.request(method, path), 401, "no-token")
        for path in ("specs", "catalog", "cancel", "pause", "resume"):
            told = nobody.post(f"/runs/a/{path}")
            refused(told, 401, "no-token")
            assert told.headers["www-authenticate"].startswith("Bearer")
        assert nobody.get(f"{gateway.url}/docs").status_code == 200
        assert nobody.get(f"{gateway.url}/openapi.json").json()["openapi"].startswith("3.")


def test_nobody_gives_an_address_of_his_own_choice_to_the_audit_log(gateway, client):
    chosen = {"X-Forwarded-For": "203.0.113.9", "Forwarded": "for=203.0.113.9", "X-Real-IP": "203.0.113.9"}
    refused(httpx.get(f"{gateway.url}/v1/runs", headers=chosen), 401, "no-token")
    with gateway.caller("admin") as admin:
        (entry,) = admin.get("/audit").json()["entries"]
    assert (entry["act"], entry["address"]) == ("denied", "127.0.0.1")


def test_a_redis_that_takes_no_writes_is_told_once_with_its_cure(tmp_path):
    with redis_server.running(tmp_path / "redis") as url, running_gateway(tmp_path, url) as one:
        with redis.Redis.from_url(url) as store, one.caller() as caller:
            store.execute_command("REPLICAOF", "127.0.0.1", "1")
            for number in range(20):
                told = refused(caller.post("/runs/may/specs", json=cut_out_body(number)), 503, "redis-away")
                assert told["detail"].startswith("the store did not answer")
            store.execute_command("REPLICAOF", "NO", "ONE")
            assert caller.post("/runs/may/specs", json=cut_out_body(1)).status_code == 202
        lines = [line for line in one.log.read_text().splitlines() if "a request failed" in line]
    assert len(lines) == 1
    assert "name the primary in COUPONPRESS_REDIS_URL" in lines[0]


def test_other_paths_and_methods_are_refused_alike(shop):
    refused(shop.get("/nothing"), 404, "no-such-path")
    told = shop.delete("/runs/may")
    refused(told, 405, "wrong-method")
    assert "GET" in told.headers["allow"]
    refused(shop.post("/runs/-may/specs", json=cut_out_body(1)), 422, "invalid")
    refused(shop.get("/runs/-may"), 404, "no-such-run")
    told = shop.get("/specs/short")
    refused(told, 422, "invalid")
    assert "task_id must be 6 to 40 digits, letters, _ or -" in told.json()["detail"]


# --- Redis, and the process -------------------------------------------------------------------------------------------


def test_without_redis_it_says_so_and_goes_on_when_it_is_back(tmp_path):
    port = redis_server.free_port()
    server = redis_server.start(tmp_path / "redis", port)
    try:
        with running_gateway(tmp_path, f"redis://127.0.0.1:{port}/0") as one, one.caller() as shop:
            assert shop.post("/runs/may/specs", json=cut_out_body(1)).status_code == 202
            redis_server.stop(server)
            for send in (
                lambda: shop.post("/runs/may/specs", json=cut_out_body(2)),
                lambda: shop.post("/runs/may/catalog", content=jsonl(cut_out_body(2)), headers=NDJSON),
                lambda: shop.get("/runs"),
                lambda: shop.get("/runs/may"),
                lambda: shop.get("/health"),
            ):
                told = send()
                refused(told, 503, "redis-away")
                assert told.headers["retry-after"] == "5"
            server = redis_server.start(tmp_path / "redis", port)
            until(lambda: shop.post("/runs/may/specs", json=cut_out_body(2)).status_code == 202)
            assert shop.get("/runs/may").json()["total"] == 2
            assert "Traceback" not in one.log.read_text()
    finally:
        redis_server.stop(server)


def test_a_full_redis_takes_nothing_and_says_so(shop, client):
    shop.post("/runs/may/specs", json=cut_out_body(1))
    client.config_set("maxmemory", "1")
    try:
        refused(shop.post("/runs/may/specs", json=cut_out_body(2)), 503, "redis-full")
        refused(
            shop.post("/runs/june/specs", json=cut_out_body(2), headers={"Idempotency-Key": "k"}), 503, "redis-full"
        )
        refused(shop.post("/runs/night/catalog", content=jsonl(cut_out_body(3)), headers=NDJSON), 503, "redis-full")
        assert shop.get("/runs/may").json()["total"] == 1
    finally:
        client.config_set("maxmemory", "0")
    assert shop.post("/runs/june/specs", json=cut_out_body(2), headers={"Idempotency-Key": "k"}).status_code == 202


@pytest.mark.parametrize("quota", [False, True])
def test_a_key_under_which_nothing_was_stored_is_free_for_another_request(shop, small, client, quota):
    caller, key = small if quota else shop, {"Idempotency-Key": "order-1"}
    client.config_set("maxmemory", "1")
    try:
        refused(caller.post("/runs/may/specs", json=cut_out_body(1), headers=key), 503, "redis-full")
        refused(
            caller.post("/runs/may/catalog", content=jsonl(cut_out_body(1)), headers=NDJSON | key), 503, "redis-full"
        )
    finally:
        client.config_set("maxmemory", "0")
    assert caller.post("/runs/may/specs", json=cut_out_body(2), headers=key).status_code == 202
    assert caller.get("/runs/may").json()["total"] == 1


def test_on_term_it_answers_what_is_in_hand(tmp_path, redis_url, client):
    with (
        running_gateway(tmp_path, redis_url) as one,
        one.caller() as shop,
        redis.Redis.from_url(redis_url) as server,
    ):
        answers = []

        def lines():
            yield (json.dumps(cut_out_body(1)) + "\n").encode()
            until(lambda: one.process.poll() is not None or _refuses(one.url))
            yield (json.dumps(cut_out_body(2)) + "\n").encode()

        stream = threading.Thread(
            target=lambda: answers.append(shop.post("/runs/night/catalog", content=lines(), headers=NDJSON))
        )
        stream.start()
        until(lambda: any(server.scan_iter("*:upload:*")))  # the gateway has begun to store
        os.kill(one.process.pid, signal.SIGTERM)
        stream.join(30)
        assert [answer.json() for answer in answers] == [{"run": "night", "new": 2, "known": 0}]
        assert one.process.wait(30) == 0
        assert "Traceback" not in one.log.read_text()


def _refuses(url):
    """Whether nobody listens there any more."""
    address = urlsplit(url)
    try:
        socket.create_connection((address.hostname, address.port), 1).close()
    except OSError:
        return True
    return False


def test_specs_in_hand_are_stored_before_it_ends(tmp_path, redis_url, client):
    with running_gateway(tmp_path, redis_url) as one, at_once(one, 20) as (threads, own):

        def post(number):
            try:
                return own().post("/runs/may/specs", json=cut_out_body(number)).status_code
            except httpx.TransportError:
                return None

        sent = [threads.submit(post, number) for number in range(200)]
        until(lambda: sum(one.done() for one in sent) > 20)
        assert one.stop() == 0
        confirmed = [number for number, one in enumerate(sent) if one.result() == 202]
        with Client(producer_settings(redis_url)) as producer:
            there = {line.task_id for line in producer.outcomes("shop/may")}
        assert {cut_out_body(number)["task_id"] for number in confirmed} <= there


def test_a_missing_extra_and_missing_settings_are_told_with_their_cure(tmp_path, redis_url):
    without = "import sys; sys.modules['fastapi'] = None\nfrom couponpress.cli.main import main; main()"

    def run(*words, start=("-m", "couponpress"), **env):
        given = {f"COUPONPRESS_{name}": text for name, text in {"MCHID": "1", "REDIS_URL": redis_url, **env}.items()}
        command = [sys.executable, *start, *words]
        return processes.run(command, env=os.environ | given, capture_output=True, text=True, timeout=60, check=False)

    ran = run("gateway", start=("-c", without))
    assert (ran.returncode, "pip install 'couponpress[gateway]'" in ran.stderr) == (2, True), ran.stderr
    ran = run("gateway")
    assert (ran.returncode, "COUPONPRESS_GATEWAY_TOKENS_FILE" in ran.stderr) == (2, True), ran.stderr
    path = tmp_path / "tokens.toml"
    ran = run("gateway", GATEWAY_TOKENS_FILE=str(path))
    assert (ran.returncode, "couponpress gateway token NAME" in ran.stderr) == (2, True), ran.stderr
    ran = run("gateway", "token", "shop", GATEWAY_TOKENS_FILE=str(path))
    assert (ran.returncode, "--all-brands" in ran.stderr) == (2, True), ran.stderr
    ran = run("gateway", "token", "shop", "--brand", "1", GATEWAY_TOKENS_FILE=str(path))
    assert (ran.returncode, ran.stdout.startswith("shop.")) == (0, True), ran.stderr
    assert ran.stdout.strip() not in ran.stderr
    ran = run("gateway", "token", "shop", "--brand", "1", GATEWAY_TOKENS_FILE=str(path))
    assert (ran.returncode, "already" in ran.stderr) == (2, True), ran.stderr


def until(condition, seconds=20):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


# --- metrics ----------------------------------------------------------------------------------------------------------


def test_metrics_are_told_to_a_token_that_is_for_every_brand(gateway, shop, other):
    assert shop.post("/runs/may/specs", json=cut_out_body(1)).status_code == 202
    told = other.get(f"{gateway.url}/metrics")
    assert told.status_code == 200
    assert told.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert 'couponpress_specs{state="waiting"} 1.0' in told.text.splitlines()


def test_metrics_are_told_to_nobody_else(gateway, shop):
    refused = shop.get(f"{gateway.url}/metrics")
    assert (refused.status_code, refused.json()["type"]) == (403, "/docs#brand-not-allowed")
    with gateway.caller(None) as nobody:
        refused = nobody.get(f"{gateway.url}/metrics")
        assert (refused.status_code, refused.json()["type"]) == (401, "/docs#no-token")
