"""Our own faults with real workers: how many calls they cost, what goes on meanwhile, and what a person can do."""

import json
import os
import sys
import time
from collections import Counter

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from couponpress import TaskSpec
from couponpress.serialized_spec import SerializedSpec
from couponpress_worker.demo.fleet import fleet, statistics
from tests import processes
from tests.flow.test_fleet import client_of, wait_until

pytestmark = pytest.mark.flow

#: The far end takes so long that a second's limit would have this many tenths of it on the wire.
LATENCY_MS = 100
MOST_BAD_CALLS = 50


def rows(count, *, brands=("1",), first=0):
    """Request bodies."""
    for number in range(first, first + count):
        yield {
            "brand_id": brands[number % len(brands)],
            "row_id": str(number),
            "image_generation_type": "CUT_OUT",
            "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"},
        }


def spoiled(count):
    """Written specs with a field that the platform does not know; no producer's check has seen it."""
    for body in rows(count):
        written = SerializedSpec.of(TaskSpec.parse(body)[0])
        yield written._replace(tail=written.tail[:-1] + b',"nonsense":1}')


def control(env, **changes):
    httpx.post(f"{env['COUPONPRESS_BASE_URL']}/sandbox/control", json=changes).raise_for_status()


def received(env):
    return statistics(env["COUPONPRESS_BASE_URL"])["received"]


def calm(env, seconds=1.5):
    """Wait until nothing was received for so long; returns how much was received in all."""
    last, since = received(env), time.monotonic()
    while time.monotonic() - since < seconds:
        time.sleep(0.1)
        if (now := received(env)) != last:
            last, since = now, time.monotonic()
    return last


def command(env, *words):
    return processes.run(
        [sys.executable, "-m", "couponpress", *words], env=os.environ | env, check=True, capture_output=True, timeout=60
    )


def started_workers(services, env, count):
    return [services.start("worker", env=env) for _ in range(count)]


def stopped(services, processes):
    for one in processes:
        services.let_go(one)
        one.terminate()
    for one in processes:
        one.wait(60)


def reset(env):
    """Let the platform count from nothing."""
    httpx.post(f"{env['COUPONPRESS_BASE_URL']}/sandbox/reset").raise_for_status()


def tidy(env, client):
    """Cancel what a test's runs left, and release what is held; the platform allows every brand."""
    control(env, unauthorized_brands=[])
    for one in client.runs():
        if not one.finished:
            client.cancel(one.run)
    for hold in client.holds():
        if hold.kind == "brand":
            client.resume(brand=hold.scope)
    client.resume()


def wait_for_workers(client, count=3):
    """Wait until every process of the fleet listens for holds."""
    channel = client._keys.holds_changed
    wait_until(lambda: client._redis.pubsub_numsub(channel)[0][1] == count, 60, "the workers")


@pytest.fixture(scope="module")
def three_workers(tmp_path_factory):
    """A fleet with three workers, for tests of runs: what the platform has taken before changes nothing about them."""
    directory = tmp_path_factory.mktemp("holds")
    with fleet(directory, "--latency-ms", str(LATENCY_MS), workers=3) as (_, env), client_of(env) as client:
        wait_for_workers(client)
        yield env, client


@pytest.fixture
def three(three_workers):
    """The settings and a client of such a fleet; the platform has counted nothing, and everything is as it was."""
    env, client = three_workers
    reset(env)
    yield three_workers
    tidy(env, client)


@pytest.fixture(scope="module")
def no_worker(tmp_path_factory):
    """A fleet without workers, for tests whose workers start with a fault of their own."""
    directory = tmp_path_factory.mktemp("faults")
    with fleet(directory, "--latency-ms", str(LATENCY_MS), workers=0) as (services, env), client_of(env) as client:
        yield services, env, client


@pytest.fixture
def bare(no_worker):
    """The services, settings and a client of such a fleet; nothing is held, and what a test's run left is cancelled."""
    _, env, client = no_worker
    reset(env)
    client.pause()
    yield no_worker
    tidy(env, client)


def test_a_partner_without_permission_is_held_whatever_the_brands_are_called(three):
    """The first of this fleet's tests: nothing of the partner was ever accepted."""
    env, client = three
    brands = [str(number) for number in range(100, 400)]
    control(env, unauthorized_brands=brands)
    client.enqueue_many(rows(3000, brands=brands), run="all brands")
    wait_until(lambda: "partner" in {hold.kind for hold in client.holds()}, 60, "the hold of the partner")
    assert calm(env) <= MOST_BAD_CALLS
    assert client.run("all brands").waiting == 3000


def test_a_brand_without_permission_waits_and_all_others_go_on(three):
    env, client = three
    control(env, unauthorized_brands=["13"])
    client.enqueue_many(rows(600, brands=("1", "13", "3")), run="mixed brands")
    client.enqueue_many(rows(200, brands=("13",), first=5000), run="bad brand")
    client.enqueue_many(rows(200, brands=("1",), first=9000), run="good brand")
    wait_until(lambda: client.run("good brand").finished, 60, "the end of the run that has no such brand")
    wait_until(lambda: client.run("mixed brands").succeeded == 400, 60, "the other brands of the same chunks")
    mixed, bad = client.run("mixed brands"), client.run("bad brand")
    assert (mixed.waiting, mixed.rejected, bad.waiting, bad.rejected) == (200, 0, 200, 0)
    bad_calls = calm(env) - 600
    assert 1 <= bad_calls <= MOST_BAD_CALLS
    (hold,) = client.holds()
    assert (hold.kind, hold.scope) == ("brand", "13")
    assert "NO_AUTH" in hold.reason
    told = json.loads(command(env, "status", "bad brand", "--json").stdout)
    assert told["holds"][0]["cure"].endswith("`couponpress resume --brand 13`.")
    assert received(env) == bad_calls + 600  # nobody turns chunks round and round, nor sends

    # Released without a cure: a few calls more, and held again.
    command(env, "resume", "--brand", "13")
    wait_until(lambda: [one.scope for one in client.holds()] == ["13"], 30, "the brand held again")
    assert calm(env) - 600 - bad_calls <= MOST_BAD_CALLS

    # Released with the cure.
    control(env, unauthorized_brands=[])
    command(env, "resume", "--brand", "13")
    begun = time.monotonic()
    wait_until(lambda: client.run("bad brand").waiting < 200, 10, "the first spec of the released brand")
    assert time.monotonic() - begun < 5
    for run in ("mixed brands", "bad brand"):
        wait_until(lambda run=run: client.run(run).finished, 60, f"the end of {run}")
    outcomes = [one for run in ("mixed brands", "bad brand") for one in client.outcomes(run)]
    assert Counter(one.outcome for one in outcomes) == {"succeeded": 800}
    assert max(one.attempts for one in outcomes) == 1  # 0 where the callback overtook the answer


def test_a_wrong_key_costs_a_few_calls_however_many_workers_there_are(bare, tmp_path):
    services, env, client = bare
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    workers = started_workers(services, env, 1)
    workers += started_workers(services, {**env, "COUPONPRESS_MCH_PRIVATE_KEY_FILE": str(wrong)}, 3)
    wait_for_workers(client, 4)
    client.enqueue_many(rows(3000), run="wrong-key")
    client.resume()
    wait_until(lambda: any("SIGN_ERROR" in hold.reason for hold in client.holds()), 30, "the hold of the partner")
    calm(env)
    assert 1 <= statistics(env["COUPONPRESS_BASE_URL"])["rejected"] <= MOST_BAD_CALLS
    assert "COUPONPRESS_MCH_PRIVATE_KEY_FILE" in client.holds()[0].cure
    assert client.run("wrong-key").rejected == 0
    stopped(services, workers)


@pytest.mark.parametrize("fault", ["wrong key", "no headers", "wrong id", "id without prefix"])
def test_a_platform_key_that_is_wrong_holds_the_partner_and_is_named(bare, tmp_path, fault):
    services, env, client = bare
    run = fault.replace(" ", "-") + "-of-the-platform"
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    wrong = tmp_path / "wrong.pem"
    wrong.write_bytes(key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))
    bare_id = env["COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID"].removeprefix("PUB_KEY_ID_")
    changed, cure = {
        "wrong key": ({"COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE": str(wrong)}, "COUPONPRESS_WECHATPAY_PUBLIC_KEY_"),
        "no headers": ({}, "drops Wechatpay-* headers"),
        "wrong id": ({"COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID": "PUB_KEY_ID_0116"}, "WECHATPAY_PUBLIC_KEY_ID"),
        "id without prefix": ({"COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID": bare_id}, "WECHATPAY_PUBLIC_KEY_ID"),
    }[fault]
    control(env, faults={"unsigned_answers": 100 if fault == "no headers" else 0})
    workers = started_workers(services, {**env, **changed}, 2)
    wait_for_workers(client, 2)
    client.enqueue_many(rows(60), run=run)
    client.resume()
    wait_until(lambda: any(cure in hold.cure for hold in client.holds()), 30, "the hold of the partner")
    calm(env)
    (hold,) = client.holds()
    assert hold.scope == "partner"
    assert "MCH_SERIAL_NO" not in hold.cure
    assert 1 <= received(env) <= MOST_BAD_CALLS
    assert client.run(run).rejected == 0
    stopped(services, workers)


def test_a_run_whose_every_row_is_rejected_is_stopped_and_others_are_not(three):
    env, client = three
    client.enqueue_many(spoiled(5000), run="bad")
    client.enqueue_many(rows(200, first=9000), run="good")
    wait_until(lambda: client.run("good").finished, 60, "the end of the good run")
    wait_until(client.holds, 30, "the hold of the bad run")
    first = calm(env) - 200
    assert 50 <= first <= 50 + 3 * 10
    (hold,) = client.holds()
    assert (hold.kind, hold.scope) == ("run", "bad")
    assert client.run("bad").rejected == first
    # Resumed, it does not trip on the same evidence, but it does on as much again.
    client.resume("bad")
    wait_until(client.holds, 30, "the second hold")
    second = calm(env) - 200 - first
    assert 50 <= second <= 50 + 3 * 10
    cancelled = client.cancel("bad")
    assert cancelled == 5000 - first - second
    status = client.run("bad")
    assert (status.cancelled, status.finished, client.holds()) == (cancelled, True, [])


def test_pause_resume_and_cancel_act_at_once_under_load(three):
    env, client = three
    client.enqueue_many(rows(10_000), run="long")
    wait_until(lambda: client.run("long").succeeded > 200, 60, "a fleet at work")
    client.pause("long")
    paused = received(env)
    after = calm(env)
    assert after - paused <= 100  # a tenth of a second's slots that were on their way, and some
    client.resume("long")
    wait_until(lambda: received(env) > after + 100, 30, "the fleet at work again")

    cancelled = client.cancel("long")
    returned = received(env)
    status = client.run("long")
    assert calm(env) == returned == statistics(env["COUPONPRESS_BASE_URL"])["accepted"]
    assert cancelled == status.cancelled == 10_000 - returned
    assert status.waiting == status.retrying == status.looking == 0
    end = wait_until(lambda: (s := client.run("long")).finished and s, 60, "the end of the accepted ones")
    assert (end.succeeded, end.cancelled) == (returned, cancelled)
    assert client.holds() == []
