"""An overview of a real server: what it tells, and what it costs."""

import asyncio
import json

import pytest
import redis
from redis.asyncio import Redis

from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.holds import HoldingLedger
from couponpress.ledger.moves import Move
from couponpress.ledger.outage import PlatformDown, tell_down
from couponpress.ledger.presence import PresenceLedger, Present
from couponpress.ledger.progress import ReadingLedger
from couponpress.ledger.redrive import RedriveLedger
from couponpress.ledger.send_log import pack_moments
from couponpress.outcome import State
from couponpress.overview.questions import LOG_BATCH, NEWEST_RUNS
from couponpress.overview.reading import LIST_EVERY_SECONDS, OverviewReader
from tests.builders import KEYS, PICTURE, bring_to, identified, moved, now_ms, on_ledger, stored


@pytest.fixture
def reader(client):
    return OverviewReader(client, KEYS)


def run_shown(overview, name="may"):
    return next(run for run in overview.runs if run.status.run == name)


def test_an_empty_server_has_nothing_to_do(client, reader):
    told = reader.read()
    assert told.bound.kind == "nothing to do"
    assert (told.runs, told.runs_kept, told.processes, told.holds, told.platform_down) == ((), 0, (), (), None)
    assert [lane.name for lane in told.lanes] == ["urgent", "bulk"]
    assert abs(told.at - now_ms(client) / 1000) < 5
    assert (told.redis.appends, told.redis.memory_used > 0) == (client.info()["aof_enabled"] == 1, True)


def test_lanes_tell_what_waits_in_each_state(redis_url, reader):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    stored(redis_url, 2, run="now", lane="urgent", first=100)
    told = reader.read()
    bulk, urgent = told.lane("bulk"), told.lane("urgent")
    assert {state: getattr(bulk.counts, state.value) for state in State} == dict.fromkeys(State, 1)
    assert (urgent.counts.waiting, urgent.counts.to_send, urgent.chunks, bulk.chunks) == (2, 2, 1, 1)
    assert (told.retries, told.lookups, told.awaiting_chunks) == (1, 1, 1)
    assert told.next_retry_at > 0
    assert told.awaiting_since > 0


def test_a_lane_tells_since_when_its_oldest_spec_waits(redis_url, client, reader):
    first, _ = stored(redis_url, 2), stored(redis_url, 2, first=10)
    client.zincrby(KEYS.waiting_since("bulk"), -60_000, first)
    told = reader.read()
    assert 59 < told.at - told.lane("bulk").oldest_waiting_since < 65
    assert told.lane("urgent").oldest_waiting_since is None
    moved(redis_url, first, Move(0, "accept"), Move(1, "accept"))
    told = reader.read()
    assert told.at - told.lane("bulk").oldest_waiting_since < 5


def test_a_run_tells_its_counts_and_why_specs_ended_badly(redis_url, client, reader):
    chunk = stored(redis_url, 4)
    moved(redis_url, chunk, Move(0, "reject", code="NO_AUTH"), Move(1, "reject", code="NO_AUTH"))
    moved(redis_url, chunk, Move(2, "fail", code="FAIL"), Move(3, "succeed", image_url=PICTURE))
    run = run_shown(reader.read())
    assert run.status == ReadingLedger(client, KEYS).status("b1")
    assert [(one.outcome, one.code, one.count) for one in run.reasons] == [
        ("rejected", "NO_AUTH", 2),
        ("failed", "FAIL", 1),
    ]
    assert [one.latest for one in run.reasons] == [f"{chunk}/1", f"{chunk}/2"]
    assert all(0 < one.first_seen <= one.last_seen <= now_ms(client) / 1000 for one in run.reasons)
    assert run.eta is None


def test_totals_tell_how_specs_ended_ever(redis_url, client, reader):
    chunk = stored(redis_url, 3)
    moved(redis_url, chunk, Move(0, "reject", tries=1, code="NO_AUTH"), Move(1, "succeed", tries=1, image_url=PICTURE))
    on_ledger(redis_url, lambda ledger: ledger.moves.count_throttled(chunk, 3))
    client.hincrby(KEYS.events, "MARKETING.CREATED", 2)
    told = reader.read().totals
    assert {(one.outcome, one.code): one.count for one in told.endings} == {
        ("rejected", "NO_AUTH"): 1,
        ("succeeded", ""): 1,
    }
    assert (told.tries, told.throttled, told.callbacks) == (2, 3, (("MARKETING.CREATED", 2),))


def test_holds_tell_what_is_held_by_name(redis_url, client, reader):
    chunk = stored(redis_url, 2)
    HoldingLedger(client, KEYS).hold("b1", "paused by hand", "resume it")
    assert on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk, "one/1")).why == "held"
    client.hset(KEYS.present, "w", f"{now_ms(client) // 1000} " + json.dumps({"role": "worker", "host": "h", "pid": 1}))
    told = reader.read()
    (hold,) = told.holds
    assert (hold.kind, hold.scope, hold.reason) == ("run", "may", "paused by hand")
    assert told.bound.kind == "paused"
    assert run_shown(told).eta.case == "held"
    assert told.lane("bulk").held_chunks == 1


def test_processes_and_the_platform_are_told(redis_url, client, reader):
    stored(redis_url)
    PresenceLedger(client, KEYS, "one").tell(Present("worker", "host", 7, "sending", 3))
    PresenceLedger(client, KEYS, "two").tell(Present("callback", "host", 8))
    down = PlatformDown(5.0, "HTTP_502: bad")

    async def tell():
        async with Redis.from_url(redis_url) as other:
            await tell_down(other, KEYS, down)

    asyncio.run(tell())
    told = reader.read()
    assert [one.role for one in told.processes] == ["callback", "worker"]
    assert told.workers == (Present("worker", "host", 7, "sending", 3),)
    assert (told.platform_down, told.bound.kind) == (down, "platform")


def test_limits_tell_what_refusals_taught(client, reader):
    now_us = now_ms(client) * 1000
    client.hset(KEYS.pace("submit"), mapping={"configured": "500/second", "limit": 200, "since": now_us - 10**7})
    client.hset(
        KEYS.pace("submit"), mapping={"hold": now_us + 2 * 10**7, "cut": now_us - 10**7, "before": 500, "refused": 4}
    )
    client.hset(KEYS.pace("query"), "configured", "600/minute")
    told = reader.read()
    assert (told.submit.configured_per_second, told.submit.effective_per_second) == (500, 200)
    assert (told.submit.refused, told.submit.before_per_second) == (4, 500)
    assert 9 < told.at - told.submit.refused_at < 12
    assert 17 < told.submit.more_at - told.at < 21
    assert (told.query.configured_per_second, told.query.effective_per_second, told.query.more_at) == (10, 10, None)
    assert (told.submit.rate.found, told.submit.rate.why) == (200, "throttled")


def test_the_send_log_is_read_once_and_then_only_what_is_new(client, reader):
    now_us = now_ms(client) * 1000

    def send(seconds_ago, count):
        first = now_us - seconds_ago * 10**6
        client.xadd(KEYS.flight, {"process": "w", "moments": pack_moments(range(first, first + count))})

    for _ in range(LOG_BATCH + 50):
        send(30, 2)
    assert (told := reader.read().sending).total == told.most == 2 * (LOG_BATCH + 50)
    send(20, 7)
    client.xtrim(KEYS.flight, maxlen=1)
    assert (reader.read().sending.total, reader.read().sending.most) == (2 * (LOG_BATCH + 50) + 7, 2 * (LOG_BATCH + 50))


def test_the_newest_runs_are_shown_and_older_ones_that_are_not_finished(redis_url, client, reader):
    uploads = UploadLedger(client, KEYS)
    for at in range(NEWEST_RUNS + 10):
        name = f"run {at}"
        chunk = uploads.enqueue_open(uploads.open_run(name, "bulk"), identified([at], name)).chunk_id
        client.zadd(KEYS.runs, {chunk.partition(".")[0]: at})
        if at % 2:
            moved(redis_url, chunk, Move(0, "accept"), Move(0, "succeed", image_url=PICTURE))
    told = reader.read()
    names = [run.status.run for run in told.runs]
    assert names[:NEWEST_RUNS] == [f"run {at}" for at in reversed(range(10, NEWEST_RUNS + 10))]
    assert names[NEWEST_RUNS:] == [f"run {at}" for at in (8, 6, 4, 2, 0)]
    assert (told.runs_kept, told.runs_unfinished) == (NEWEST_RUNS + 10, 30)


def test_an_older_run_leaves_when_it_is_finished_and_comes_back_when_it_is_sent_again(redis_url, client):
    now = 0.0
    reader = OverviewReader(client, KEYS, lambda: now)
    old = stored(redis_url, run="old")
    client.zadd(KEYS.runs, {"b1": 1})
    for at in range(NEWEST_RUNS):
        stored(redis_url, run=f"run {at}", first=100 + at)
    shown = [run.status.run for run in reader.read().runs]
    assert (len(shown), shown[-1]) == (NEWEST_RUNS + 1, "old")
    moved(redis_url, old, Move(0, "reject", code="NO_AUTH"))
    assert [run.status.run for run in reader.read().runs] == shown[:-1]
    list(RedriveLedger(client, KEYS).redrive("b1", None, None))
    now += LIST_EVERY_SECONDS
    assert [run.status.run for run in reader.read().runs] == shown


def test_a_run_that_is_new_or_forgotten_is_noticed_at_once(redis_url, client, reader):
    stored(redis_url)
    assert [run.status.run for run in reader.read().runs] == ["may"]
    stored(redis_url, run="june", first=50)
    client.zincrby(KEYS.runs, 10_000, "b2")
    assert [run.status.run for run in reader.read().runs] == ["june", "may"]
    client.flushall()
    assert reader.read().runs == ()


def test_an_overview_is_json(redis_url, reader):
    bring_to(redis_url, stored(redis_url, len(State)), list(State))
    told = json.loads(json.dumps(reader.read().as_json()))
    assert told["runs"][0]["status"]["finished"] is False
    assert told["submit"]["rate"]["in_force"] == ""


def commands(client):
    return sum(one["calls"] for name, one in client.info("commandstats").items() if not name.startswith("cmdstat_info"))


def test_the_cost_does_not_hang_on_the_size_of_a_run(redis_url, client):
    def cost():
        fresh = OverviewReader(client, KEYS)
        before = commands(client)
        fresh.read()
        first = commands(client) - before
        fresh.read()
        return first, commands(client) - before - first

    stored(redis_url, 10)
    small = cost()
    for at in range(1, 40):
        stored(redis_url, 100, first=at * 1000)
    assert cost() == small


def test_a_reading_is_one_round_trip_once_its_runs_are_known(redis_url, reader, monkeypatch):
    stored(redis_url, 10)
    reader.read()
    trips = []
    execute = redis.client.Pipeline.execute
    monkeypatch.setattr(redis.client.Pipeline, "execute", lambda pipe: trips.append(len(pipe)) or execute(pipe))
    reader.read()
    assert len(trips) == 1
