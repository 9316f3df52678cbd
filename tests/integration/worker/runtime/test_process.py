"""A process on a real Redis whose background loops each run into an error that nobody foresaw."""

import json
import logging
import os
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import pytest
import redis

from couponpress import Client
from couponpress.keys import Keys
from couponpress_worker.completion.run_webhooks import HookSender
from couponpress_worker.completion.status_poller import OverdueQuery
from couponpress_worker.rate import adaptive
from couponpress_worker.rate.request_durations import DurationRecorder
from couponpress_worker.rate.send_log import FlightRecorder
from couponpress_worker.runtime import recovery
from couponpress_worker.runtime.factories import redis_for
from couponpress_worker.runtime.heartbeat import Heartbeat, directory, fleet_prefix, health
from couponpress_worker.runtime.key_reloader import KeyReloader
from couponpress_worker.runtime.process import Process
from couponpress_worker.runtime.redis_server import free_port, start, stop
from couponpress_worker.runtime.self_check import SelfCheck
from couponpress_worker.safety.hold_listener import HoldWatch
from couponpress_worker.settings import Secrets
from couponpress_worker.store.leases import Leases
from couponpress_worker.submission.ledger_poller import Unhinted, UrgentLane
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.key_files import MerchantCertificate
from tests.builders import APIV3_KEY, MCHID, PUBLIC_KEY_ID, fleet_settings, head_body, producer_settings, rsa_key

KEYS = Keys(MCHID)
#: Of each loop, what it calls at every turn.
CALLED = {
    "hold listener": (HoldWatch, "look"),
    "key files": (KeyReloader, "look"),
    "limit teller": (adaptive.Pace, "tell_configured"),
    "query limit teller": (adaptive.Pace, "tell_configured"),
    "send log": (FlightRecorder, "write"),
    "request durations": (DurationRecorder, "write"),
    "watchdog": (SelfCheck, "look"),
    "heartbeat": (Heartbeat, "write"),
    "run webhooks": (HookSender, "round"),
    "urgent lane": (UrgentLane, "look"),
    "unhinted chunks": (Unhinted, "look"),
    "status poller": (OverdueQuery, "round"),
    "stray leases": (Leases, "give_strays_back"),
    "recovery": (recovery, "chunks_to_publish"),
    "certificates": (PlatformKeys, "refresh"),
}


class UnforeseenError(Exception):
    """What nobody foresaw."""


async def publish_nothing(chunk_ids):
    del chunk_ids


@pytest.fixture
def settings(redis_url, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return fleet_settings(redis_url=redis_url, base_url="http://127.0.0.1:1", timing_scale=0.1)


def until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


@pytest.mark.parametrize(("days", "warns"), [(29, True), (31, False)])
def test_a_certificate_that_expires_soon_is_warned_of_at_the_start(settings, caplog, days, warns):
    key = rsa_key()
    certificate = MerchantCertificate("5F1C72E2", datetime.now(UTC) + timedelta(days=days, hours=1))
    secrets = Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY, certificate=certificate)
    Process.start(settings, secrets, publish_nothing).close()
    assert any("the merchant API certificate expires on" in message for message in caplog.messages) is warns


@pytest.mark.parametrize("loop", sorted(CALLED))
def test_a_loop_goes_on_after_an_unforeseen_error_which_is_told_and_counted(settings, monkeypatch, caplog, loop):
    home, name = CALLED[loop]
    real, calls = getattr(home, name), []
    failing = 2 if home is adaptive.Pace else 1  # both limits have one

    def failing_first(*args, **options):
        calls.append(args)
        if len(calls) <= failing:
            raise UnforeseenError(loop)
        return real(*args, **options)

    monkeypatch.setattr(home, name, failing_first)
    key = rsa_key()
    process = Process.start(settings, Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY), publish_nothing)
    try:

        def counted():
            found = health(directory(), fleet_prefix(settings), pid=os.getpid())
            told = json.loads(json.dumps(asdict(found)))["processes"]
            return bool(told) and told[0]["loop_failures"].get(loop) == 1 and not told[0]["ailment"]

        until(lambda: counted() and len(calls) > failing)
    finally:
        process.close()
    told = [record for record in caplog.records if record.getMessage().startswith(f"{loop} failed and goes on")]
    assert len(told) == 1
    assert told[0].exc_info[0] is UnforeseenError


def test_a_process_says_that_redis_is_away_with_chunks_in_hand(settings):
    """Not only when it asks Redis itself: somebody in it who gets no answer is enough."""
    key = rsa_key()
    process = Process.start(settings, Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY), publish_nothing)

    async def excuses():  # in one turn of the loop, so that no look of the watchdog comes between
        watch, excuse = process._opened.watch, process._check.excuse
        found = [excuse()]
        watch._answers.clear()
        found.append(excuse())
        watch._answers.set()
        found.append(excuse())
        watch._count_return()  # away and back between two looks
        return [*found, excuse(), excuse()]

    try:
        assert process._loop.call(excuses()).result() == ["", "Redis away", "", "Redis away", ""]
    finally:
        process.close()


def test_a_process_has_as_many_chunks_in_hand_as_its_worker_has_threads(settings):
    key = rsa_key()
    secret = Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY)
    process = Process.start(settings, secret, publish_nothing, most_in_hand=3)
    try:
        assert process._unhinted._most_in_hand == 3
    finally:
        process.close()


@pytest.fixture
def own_server(tmp_path):
    """A server of its own, to be changed at will; yields its port."""
    port = free_port()
    server = start(tmp_path, port)
    yield port
    stop(server)


async def meet_refusal(process):
    """Connect once more in a process, and tell its watch what came of it."""
    with pytest.raises(redis.ConnectionError, match="max number of clients") as refused:
        async with redis_for(process._settings) as client:
            await client.ping()
    process._opened.watch.away(refused.value)


def test_a_redis_that_takes_no_more_clients_is_one_absence_that_is_said_once(own_server, settings, caplog):
    """Connections that are open still serve: that one of them answers does not count as Redis being back."""
    caplog.set_level(logging.INFO)
    own = fleet_settings(redis_url=f"redis://127.0.0.1:{own_server}/0", base_url=settings.base_urls[0])
    key = rsa_key()

    def said(words):
        return sum(words in record.getMessage() for record in caplog.records)

    with redis.Redis(port=own_server, single_connection_client=True) as admin:
        process = Process.start(own, Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY), publish_nothing)
        try:
            until(lambda: any(one["sub"] == "1" for one in admin.client_list()))
            admin.config_set("maxclients", 1)
            process._loop.call(meet_refusal(process)).result()
            until(lambda: said("Redis is away") == 1)
            refused = admin.info("stats")["rejected_connections"]
            until(lambda: admin.info("stats")["rejected_connections"] >= refused + 10)
            assert process._opened.watch.is_away
            admin.config_set("maxclients", 100)
            until(lambda: said("Redis is back") == 1)
            assert (said("Redis is away"), said("Redis is back")) == (1, 1)
        finally:
            admin.config_set("maxclients", 100)
            process.close()


@pytest.mark.parametrize("takes_hints", [False, True])
def test_a_scheduler_leaves_urgent_chunks_to_the_workers(redis_url, settings, takes_hints):
    """It finds them when they were not taken up in time, and only publishes them again."""
    with Client(producer_settings(redis_url)) as client:
        client.enqueue(head_body(1), run="may", lane="urgent")
    published = []

    async def publish(chunk_ids):
        published.extend(chunk_ids)

    key = rsa_key()
    own = Secrets(key, {PUBLIC_KEY_ID: key.public_key()}, APIV3_KEY)
    with redis.Redis.from_url(redis_url) as server:
        (chunk,) = [name.decode() for name in server.scan_iter(f"{KEYS.chunk('')}*")]
        server.delete(KEYS.queue("urgent"))  # the hint was lost
        process = Process.start(settings, own, publish, takes_hints=takes_hints)
        try:
            if takes_hints:
                until(lambda: server.hget(chunk, "owner"))
            else:
                until(lambda: published)
                assert not server.hexists(chunk, "owner")
                assert not server.exists(KEYS.bucket("submit"))  # no slot was taken
        finally:
            process.close()
