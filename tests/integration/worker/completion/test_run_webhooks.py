"""Finished runs are told of: once taken never again, else again and again, whatever is restarted in between."""

import asyncio
import itertools
import json
import logging
import threading

import pytest
import redis
from redis.asyncio import Redis
from typer.testing import CliRunner

from couponpress import Client, InputError
from couponpress.cli.main import app as command
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.hooks import TAKEN_MS, HookLedger
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress.transport.proxy import ProxyRule
from couponpress.transport.web_address import never_called
from couponpress_worker.completion.run_webhooks import HookSender, signature_headers
from tests.builders import (
    KEYS,
    MCHID,
    bring_to,
    chunk_ids,
    cut_out_body,
    identified,
    moved,
    on_ledger,
    producer_settings,
)
from tests.connect_proxy import ConnectProxy
from tests.shop import shop

SECRET = b"a secret of some length"


@pytest.fixture
def told(redis_url, client):
    """Let a new process tell what is due now, however long it would have waited."""

    def tell(secret=SECRET, **options):
        async def once():
            async with Redis.from_url(redis_url) as server:
                sender = HookSender(HookLedger(server, KEYS), mchid=MCHID, secret=secret, **options)
                await sender.round()
                await sender.aclose()

        for member in client.zrange(KEYS.hooks, 0, -1):
            client.zadd(KEYS.hooks, {member: 0})
        asyncio.run(once())

    return tell


@pytest.fixture
def taken():
    return []


@pytest.fixture
def app(taken):
    """An app that takes hooks; `answers` may be changed."""
    answers = {"/hook": (204, {}, b"")}
    with shop(answers, taken) as base:
        yield f"{base}/hook", answers


def end(redis_url, client, number=0):
    bring_to(redis_url, chunk_ids(client)[number], [State.SUCCEEDED])


def test_a_finished_run_is_told_of_once(redis_url, client, producer, told, taken, app):
    producer.enqueue_many([cut_out_body(1)], run="may", hook=app[0])
    told()
    assert not taken
    end(redis_url, client)
    told()
    ((headers, body),) = taken
    assert headers.items() >= signature_headers(SECRET, int(headers["Couponpress-Timestamp"]), body).items()
    assert headers["Content-Type"] == "application/json"
    status = json.loads(body)
    assert (status["run"], status["succeeded"], status["finished"]) == ("may", 1, True)
    told()
    assert len(taken) == 1


def test_what_nobody_takes_is_told_again_under_the_same_id(redis_url, client, producer, told, taken, app):
    url, answers = app
    producer.enqueue(cut_out_body(1), run="may", hook=url)
    end(redis_url, client)
    for status in (500, 302, 404):
        answers["/hook"] = (status, {"Location": "/hook"}, b"")
        told()
    assert int(client.hget(KEYS.run("u1"), "hook_tries")) == 3
    answers["/hook"] = (200, {}, b"")
    told()
    told()
    assert len(taken) == 4
    assert len({json.loads(body)["id"] for _, body in taken}) == 1


def test_a_try_in_vain_waits_longer_each_time(redis_url, client, producer, told, app):
    url, answers = app
    answers["/hook"] = (500, {}, b"")
    producer.enqueue(cut_out_body(1), run="may", hook=url)
    end(redis_url, client)
    waits = []
    for _ in range(4):
        told()
        waits.append(round((client.zscore(KEYS.hooks, "u1") - client.time()[0] * 1000) / 1000))
    assert all(later > sooner for sooner, later in itertools.pairwise(waits))
    assert 14 <= waits[-1] <= 17


def test_nobody_there_is_a_try_in_vain(redis_url, client, producer, told):
    producer.enqueue(cut_out_body(1), run="may", hook="http://127.0.0.1:1/")
    end(redis_url, client)
    told()
    assert int(client.hget(KEYS.run("u1"), "hook_tries")) == 1


def test_a_hook_whose_name_leads_to_an_address_that_is_never_called_is_not_called(
    redis_url, client, producer, told, taken, app
):
    """The receiver is on 127.0.0.1 throughout: only what the test's own resolver says of its name is forbidden."""
    base = app[0].replace("127.0.0.1", "shop.example")

    def resolving(*addresses):
        async def resolve(host, port):
            assert host == "shop.example"
            return list(addresses)

        return resolve

    producer.enqueue(cut_out_body(1), run="may", hook=f"{base}")
    end(redis_url, client)
    told(resolve=resolving("127.0.0.1", "169.254.169.254"))
    trouble = producer.run("may").hook_trouble
    assert "not called: shop.example leads to 169.254.169.254, which is a link-local address" in trouble
    told(resolve=resolving("127.0.0.1"), forbids=lambda address: "forbidden here" if address.is_loopback else None)
    assert "forbidden here" in producer.run("may").hook_trouble
    assert not taken
    told(resolve=resolving("127.0.0.1"))
    assert len(taken) == 1


def test_a_hook_that_was_stored_before_the_check_is_not_called_either(redis_url, client, producer, told):
    producer.enqueue(cut_out_body(1), run="may", hook="http://127.0.0.1:9/")
    client.hset(KEYS.run("u1"), "hook", "http://0.0.0.1:9/")
    end(redis_url, client)
    told(forbids=lambda address: never_called(address) or "forbidden here")
    assert "not called: 0.0.0.1 leads to 0.0.0.1" in producer.run("may").hook_trouble


def test_no_log_and_no_status_holds_a_hooks_secrets(redis_url, client, producer, told, app, caplog):
    caplog.set_level(logging.DEBUG)
    url, answers = app
    answers["/hook?token=hunter2"] = (500, {}, b"")
    producer.enqueue(cut_out_body(1), run="may", hook=f"{url}?token=hunter2")
    end(redis_url, client)
    told()
    client.hset(KEYS.run("u1"), "hook", url.replace("//", "//me:hunter2@") + "?token=hunter2")
    told()
    assert f"{url}?***" in caplog.text
    assert "//***@127.0.0.1" in caplog.text
    assert "hunter2" not in caplog.text + str(producer.run("may"))
    with pytest.raises(InputError) as refused:
        producer.enqueue_many([cut_out_body(1)], run="june", hook="https://me:hunter2@shop.example/?token=hunter2")
    assert "hunter2" not in str(refused.value)


def test_a_slow_receiver_and_one_that_redirects_are_tries_in_vain(redis_url, client, producer, told, taken, app):
    url, answers = app
    producer.enqueue(cut_out_body(1), run="may", hook=url)
    end(redis_url, client)
    released = threading.Event()
    answers["/hook"] = (204, {}, lambda: released.wait(20) and b"")
    told(seconds=0.3)
    released.set()
    assert producer.run("may").hook_trouble.endswith("no answer within 0.3 s")
    answers["/hook"] = (302, {"Location": "/elsewhere"}, b"")
    answers["/elsewhere"] = (204, {}, b"")
    told()
    assert producer.run("may").hook_trouble.endswith("status 302, and redirects are not followed")
    assert len(taken) == 2


def test_a_hook_is_told_through_the_proxy(redis_url, client, producer, told, taken, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)
    with ConnectProxy(login="me:swordfish") as proxy:
        told(rule=ProxyRule.of({"COUPONPRESS_PROXY": proxy.url}))
        assert [one.startswith("CONNECT 127.0.0.1:") for one in proxy.asked] == [True]
    assert len(taken) == 1


def test_the_status_tells_a_hook_that_nobody_takes_until_somebody_does(
    redis_url, client, producer, told, taken, app, monkeypatch
):
    url, answers = app
    answers["/hook"] = (500, {}, b"")
    producer.enqueue(cut_out_body(1), run="may", hook=url)
    end(redis_url, client)
    assert producer.run("may").hook_trouble is None
    told(secret=None)
    trouble = producer.run("may").hook_trouble
    assert trouble == "tries in vain: 1, the last one: COUPONPRESS_HOOK_SECRET_FILE is not set"
    told()
    trouble = producer.run("may").hook_trouble
    assert trouble == "tries in vain: 2, the last one: status 500"
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", redis_url)
    monkeypatch.setenv("COUPONPRESS_MCHID", MCHID)
    shown = CliRunner().invoke(command, ["status", "may"]).output
    assert f"  hook: {trouble}; it is tried again" in shown
    assert json.loads(CliRunner().invoke(command, ["status", "may", "--json"]).output)["hook_trouble"] == trouble
    answers["/hook"] = (204, {}, b"")
    told()
    assert producer.run("may").hook_trouble is None
    assert "hook:" not in CliRunner().invoke(command, ["status", "may"]).output
    first, second = (body for _, body in taken)
    assert first == second


def test_a_long_reason_is_cut_off(redis_url, client, producer, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)

    async def try_in_vain():
        async with Redis.from_url(redis_url) as server:
            ledger = HookLedger(server, KEYS)
            (hook,) = await ledger.due(16)
            await ledger.not_told(hook, 1000, "长" * 5000)

    asyncio.run(try_in_vain())
    assert producer.run("may").hook_trouble.endswith("one: " + "长" * 200)


def test_gone_ends_it(redis_url, client, producer, told, taken, app):
    url, answers = app
    answers["/hook"] = (410, {}, b"")
    producer.enqueue(cut_out_body(1), run="may", hook=url)
    end(redis_url, client)
    told()
    told()
    assert len(taken) == 1


def test_a_run_that_gets_more_rows_is_told_of_again_when_it_is_finished_again(
    redis_url, client, producer, told, taken, app
):
    producer.enqueue_many([cut_out_body(1)], run="may", hook=app[0])
    end(redis_url, client)
    told()
    producer.enqueue_many([cut_out_body(2)], run="may")
    told()
    assert len(taken) == 1
    end(redis_url, client, 1)
    told()
    first, second = (json.loads(body) for _, body in taken)
    assert first["id"] != second["id"]
    assert second["succeeded"] == 2


def test_nothing_is_told_while_an_upload_is_open(redis_url, client, producer, told, taken, app):
    producer.enqueue_many([cut_out_body(1)], run="may", hook=app[0])
    uploads = UploadLedger(client, KEYS)
    token = uploads.lock_upload("b1")
    uploads.enqueue_staged("b1", token, identified([2]))
    end(redis_url, client)
    told()
    assert not taken
    uploads.discard("b1", token)
    told()
    assert len(taken) == 1


def test_the_same_catalog_again_is_told_of_no_second_time(redis_url, client, producer, told, taken, app):
    for _ in range(2):
        producer.enqueue_many([cut_out_body(1)], run="may", hook=app[0])
        if not taken:
            end(redis_url, client)
        told()
    assert len(taken) == 1


def test_every_run_has_the_hook_of_the_settings_unless_it_names_its_own(redis_url, client, told, taken):
    other = []
    with shop({"/all": (204, {}, b"")}, taken) as base, shop({"/own": (204, {}, b"")}, other) as own:
        with Client(producer_settings(redis_url, hook_url=f"{base}/all")) as producer:
            producer.enqueue(cut_out_body(1), run="may")
            producer.enqueue(cut_out_body(2), run="june", hook=f"{own}/own")
        for number in range(2):
            end(redis_url, client, number)
        told()
    assert [json.loads(body)["run"] for _, body in taken] == ["may"]
    assert [json.loads(body)["run"] for _, body in other] == ["june"]


def test_without_a_secret_nothing_is_told_until_there_is_one(redis_url, client, producer, told, taken, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)
    told(secret=None)
    assert not taken
    told()
    assert len(taken) == 1


def test_a_run_that_is_forgotten_takes_its_hook_along(redis_url, client, producer, told, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)
    told()
    client.zadd(KEYS.finished, {"u1": 1})
    assert on_ledger(redis_url, lambda ledger: ledger.forget_finished(60)) == ["u1"]
    told()
    assert not client.exists(KEYS.hooks)


def test_many_runs_that_are_not_finished_keep_no_finished_one_waiting(redis_url, client, producer, told, taken, app):
    for number in range(40):
        producer.enqueue(cut_out_body(number), run=f"run {number}", hook=app[0])
    last = client.hget(KEYS.run_numbers, "run 39").decode()
    moved(redis_url, f"{last}.1", Move(0, "fail"))

    async def due():
        async with Redis.from_url(redis_url) as server:
            ledger = HookLedger(server, KEYS)
            return [await ledger.due(16) for _ in range(3)]

    found = asyncio.run(due())
    assert [hook.number for batch in found for hook in batch] == [last]


def test_two_leaders_tell_once(redis_url, client, producer, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)

    async def due():
        async with Redis.from_url(redis_url) as server:
            return [await HookLedger(server, KEYS).due(16) for _ in range(2)]

    first, second = asyncio.run(due())
    assert (len(first), len(second)) == (1, 0)


def test_a_hook_whose_teller_died_is_taken_up_again(redis_url, client, producer, told, taken, app):
    producer.enqueue(cut_out_body(1), run="may", hook=app[0])
    end(redis_url, client)

    async def take_up():
        async with Redis.from_url(redis_url) as server:
            return await HookLedger(server, KEYS).due(16)

    assert len(asyncio.run(take_up())) == 1
    seconds, microseconds = client.time()
    wait_ms = client.zscore(KEYS.hooks, "u1") - seconds * 1000 - microseconds / 1000
    assert TAKEN_MS / 2 < wait_ms <= TAKEN_MS
    told()
    assert len(taken) == 1


def test_a_hook_that_is_no_url_is_refused_before_anything_is_stored(producer, client):
    with pytest.raises(InputError, match="a hook must be an http"):
        producer.enqueue_many([cut_out_body(1)], run="may", hook="shop.example")
    assert producer.runs() == []
    assert isinstance(client, redis.Redis)
