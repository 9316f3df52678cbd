"""The bucket on a real server: the script does what the model does, and the bound holds in what it granted."""

import asyncio
import random
import threading

import pytest
import redis
from limits import RateLimitItemPerSecond, parse
from limits.errors import StorageError
from limits.storage import storage_from_string
from redis.asyncio import Redis

from couponpress.keys import Keys
from couponpress_worker.rate.bucket import (
    AsyncTokenBucket,
    Bucket,
    Grant,
    TokenBucketRateLimiter,
    TokenBucketRedisStorage,
    Wait,
)
from couponpress_worker.rate.slots import Slots
from couponpress_worker.runtime import redis_server
from tests.unit.worker.rate.test_bucket import Model, most_in_a_window

LATENESS = 0.02
LATENESS_US = 20_000
SECOND_US = 1_000_000
KEYS = Keys("1900000001")


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def limiter(redis_url):
    storage = storage_from_string("couponpress+" + redis_url)
    yield TokenBucketRateLimiter(storage, lateness_seconds=LATENESS)
    storage.get_connection().close()


def bursting(limiter, burst):
    return TokenBucketRateLimiter(limiter.storage, lateness_seconds=LATENESS, burst=burst)


def moments(grant: Grant) -> list[int]:
    return [grant.at_us + grant.first_us + i * grant.spacing_us for i in range(grant.count)]


def windows_hold(granted: list[int], limit: int) -> bool:
    return most_in_a_window([(moment, moment + LATENESS_US) for moment in granted], SECOND_US) <= limit


def acquire_until(limiter, bucket, enough) -> list[int]:
    """Ask again and again, as a lone process would, until `enough` says so of the moments granted."""
    granted = []
    while not enough(granted):
        answer = limiter.acquire(20, bucket)
        if isinstance(answer, Grant):
            granted += moments(answer)
    return granted


def test_the_script_does_what_the_model_does(limiter, client):
    storage, chance = limiter.storage, random.Random(20261122)
    model = Model(server=client.info("server")["run_id"])
    # Spacings from below the time of one call to far above it, so that every branch is met.
    buckets = [("a", 50, 0, 2_000), ("b", 400, 1_200, 3_000), ("c", 3_000, 0, 9_000)]
    refused = given = 0
    for _ in range(1500):
        chosen = chance.sample(buckets, chance.choice([1, 1, 2, 3]))
        act = chance.choice(["take"] * 8 + ["look", "clear"])
        wanted = chance.randint(1, 8)
        least, horizon = chance.randint(1, wanted), chance.choice([0, 1_000, 5_000])
        key = chosen[0][0]
        match chance.randint(0, 60):
            case 0:
                client.delete(key)
                model.state.pop(key, None)
            case 1:
                model.state[key] = (5, "another")
                client.hset(key, mapping={"tat": 5, "server": "another"})
            case 2:
                model.state[key] = (2**52, model.server)
                client.hset(key, mapping={"tat": 2**52, "server": model.server})
        numbers = [number for _, *rest in chosen for number in rest]
        reply = storage.token_bucket([key for key, *_ in chosen], [act, wanted, least, horizon, len(chosen), *numbers])
        assert reply == model.step(act, wanted, least, horizon, chosen, reply[1])
        for key, *_ in chosen:
            assert client.hgetall(key) == {"tat": str(model.state[key][0]), "server": model.server}
        given, refused = given + bool(reply[0]), refused + (not reply[0])
    assert min(given, refused) > 200


def test_a_bucket_that_was_never_seen_counts_as_full(limiter, client):
    bucket = limiter.bucket(parse("10/second"), "new")
    first_answer = limiter.acquire(1, bucket)
    assert isinstance(first_answer, Wait)
    assert 1.0 < first_answer.seconds <= 1.121  # J + W + the urgent horizon less the bulk one
    full_until = int(client.hget(bucket.key, "tat"))
    # Seen once, it fills up: whoever asks later waits no longer for it.
    assert acquire_until(limiter, bucket, bool)[0] == full_until


def test_many_askers_together_stay_within_the_limit(limiter, redis_url):
    item = RateLimitItemPerSecond(500)
    bucket = limiter.bucket(item, "shared")
    limiter.clear(item, "shared")
    granted: list[int] = []

    async def ask(chance: random.Random) -> None:
        async with Redis.from_url(redis_url) as client:
            bucket_of_this_worker = AsyncTokenBucket(client, bucket)
            while len(granted) < 800:
                answer = await bucket_of_this_worker.acquire(chance.randint(1, 30), chance.random() < 0.2)
                if isinstance(answer, Grant):
                    granted.extend(moments(answer))
                else:
                    await asyncio.sleep(min(answer.seconds, 0.01) * chance.random())

    async def all_of_them() -> None:
        await asyncio.gather(*(ask(random.Random(seed)) for seed in range(6)))

    threads = [threading.Thread(target=asyncio.run, args=(all_of_them(),)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    granted.sort()
    assert len(set(granted)) == len(granted) >= 800
    assert windows_hold(granted, 500)


def test_a_flush_in_mid_run_does_not_break_the_bound(limiter, client):
    item = RateLimitItemPerSecond(50)
    bucket = limiter.bucket(item, "flushed")
    limiter.clear(item, "flushed")
    before = acquire_until(limiter, bucket, lambda granted: len(granted) >= 10)
    client.flushall()
    after = acquire_until(limiter, bucket, lambda granted: len(granted) >= 10)
    assert after[0] - before[-1] > SECOND_US + LATENESS_US
    assert windows_hold(before + after, 50)


def test_a_restarted_server_is_noticed(tmp_path):
    def look_at(url: str) -> tuple[dict[bytes, bytes], Grant | Wait]:
        with redis.Redis.from_url(url) as client:
            stored = client.hgetall("couponpress-limits:b")
        storage = TokenBucketRedisStorage(url)
        limiter = TokenBucketRateLimiter(storage)
        bucket = Bucket("couponpress-limits:b", parse("500/second"), LATENESS)
        answer = limiter.acquire(1, bucket)
        if not stored:
            while not isinstance(limiter.acquire(1, bucket), Grant):
                pass
        storage.get_connection().close()
        return stored, answer

    with redis_server.running(tmp_path) as url:
        look_at(url)
    with redis_server.running(tmp_path) as url:
        stored, answer = look_at(url)
    assert int(stored[b"tat"]) > 0  # the bucket itself came back, and still nobody trusts it
    assert isinstance(answer, Wait)
    assert answer.seconds > 1.0


def test_a_grant_ends_at_the_horizon_and_urgent_reaches_beyond(limiter):
    item = RateLimitItemPerSecond(100)
    bucket = limiter.bucket(item, "horizon")
    limiter.clear(item, "horizon")
    bulk = limiter.acquire(1000, bucket)
    assert bulk.count == 10  # 100 ms at 10.2 ms each
    while isinstance(refused := limiter.acquire(1000, bucket), Grant):
        bulk = refused
        assert moments(bulk)[-1] <= bulk.at_us + 100_000
    assert 0 < refused.seconds <= bucket.spacing_us / SECOND_US
    urgent = limiter.acquire(1000, bucket, urgent=True)
    assert moments(urgent)[0] == max(moments(bulk)[-1] + bucket.spacing_us, urgent.at_us)
    assert 200_000 - bucket.spacing_us < moments(urgent)[-1] - urgent.at_us <= 200_000


def test_a_slow_limit_gives_one_slot_at_a_time(limiter):
    item = parse("2 per 5 seconds")
    bucket = limiter.bucket(item, "slow")
    limiter.clear(item, "slow")
    assert limiter.acquire(5, bucket).count == 1
    refused = limiter.acquire(5, bucket)
    assert 1 < refused.seconds <= 2.410001  # T = 2.51 s, less the horizon


def test_of_two_buckets_both_give_or_neither(limiter, client):
    partner_item, brand_item = RateLimitItemPerSecond(500), parse("25/minute")
    partner, brand = limiter.bucket(partner_item, "partner"), limiter.bucket(brand_item, "brand", "b1")
    limiter.clear(partner_item, "partner")
    limiter.clear(brand_item, "brand", "b1")
    both = limiter.acquire(20, partner, brand)
    assert (both.count, both.spacing_us) == (1, brand.spacing_us)  # 100 ms at 2.4 s each
    tats = [int(client.hget(bucket.key, "tat")) for bucket in (partner, brand)]
    assert tats == [moments(both)[-1] + bucket.spacing_us for bucket in (partner, brand)]
    assert isinstance(limiter.acquire(20, partner, brand), Wait)
    assert [int(client.hget(bucket.key, "tat")) for bucket in (partner, brand)] == tats


def test_hit_takes_what_is_usable_now_all_or_none(limiter):
    item = parse("10/minute")
    bursts = bursting(limiter, 4)
    bursts.clear(item, "h")
    assert not bursts.hit(item, "h", cost=5)
    assert bursts.hit(item, "h", cost=3)
    assert not bursts.hit(item, "h", cost=2)
    assert bursts.hit(item, "h")
    assert not bursts.hit(item, "h")


def test_test_takes_nothing(limiter):
    item = parse("10/minute")
    limiter.clear(item, "t")
    assert limiter.test(item, "t")
    assert limiter.test(item, "t")
    assert limiter.hit(item, "t")
    assert not limiter.test(item, "t")


def test_window_stats_say_what_is_left_and_when_all_is_back(limiter, client):
    item = parse("10/minute")
    bursts = bursting(limiter, 3)
    bursts.clear(item, "w")
    two_slots = 2 * bursts.bucket(item, "w").spacing_us / SECOND_US
    full = bursts.get_window_stats(item, "w")
    assert full.remaining == 3
    assert bursts.hit(item, "w", cost=2)
    seconds, micros = client.time()
    left = bursts.get_window_stats(item, "w")
    assert left.remaining == 1
    assert full.reset_time <= left.reset_time - two_slots <= seconds + micros / SECOND_US
    assert not bursts.hit(item, "w", cost=2)
    assert bursts.hit(item, "w")
    assert bursts.get_window_stats(item, "w").remaining == 0


def test_clear_makes_the_burst_usable_at_once(limiter):
    item = parse("1/hour")
    assert not limiter.hit(item, "c")  # never seen: full
    limiter.clear(item, "c")
    assert limiter.hit(item, "c")
    assert not limiter.hit(item, "c")
    limiter.clear(item, "c")
    assert limiter.hit(item, "c")


def test_the_state_is_forgotten_a_day_after_its_last_slot(limiter, client):
    for text, seconds in (("500/second", 0), ("2/day", 43_200)):
        item = parse(text)
        limiter.clear(item, "ttl")
        assert limiter.hit(item, "ttl")
        left = client.ttl(limiter.bucket(item, "ttl").key)
        assert 86_300 + seconds < left <= 86_410 + seconds


def test_asking_for_nothing_is_a_mistake(limiter):
    with pytest.raises(ValueError, match="at least one slot"):
        limiter.acquire(0, limiter.bucket(parse("1/second"), "x"))
    with pytest.raises(ValueError, match="at least one bucket"):
        limiter.acquire(1)


def test_storage_errors_are_wrapped_only_when_asked(redis_url):
    for wrap, expected in ((False, redis.ResponseError), (True, StorageError)):
        storage = TokenBucketRedisStorage(redis_url, wrap_exceptions=wrap)
        limiter = TokenBucketRateLimiter(storage)
        storage.get_connection().set(limiter.bucket(parse("1/second"), "x").key, "not a bucket")
        with pytest.raises(expected, match="WRONGTYPE"):
            limiter.hit(parse("1/second"), "x")
        storage.get_connection().close()


def test_two_processes_worth_of_slots_stay_within_the_limit(limiter, redis_url):
    item = RateLimitItemPerSecond(200)
    bucket = Bucket(KEYS.bucket("submit"), item, LATENESS)
    limiter.storage.token_bucket([bucket.key], ["clear", 1, 1, 0, 1, bucket.spacing_us, 0, bucket.unknown_us])

    async def send_all() -> list[tuple[float, float]]:
        sent = []

        async def send(slots: Slots) -> None:
            slot = await slots.take()
            while not await slots.due(slot):
                slot = await slots.take()
            sent.append((slot.earliest, slot.latest + LATENESS / 2))

        async with Redis.from_url(redis_url) as client:
            processes = [Slots(AsyncTokenBucket(client, bucket).acquire, lateness_seconds=LATENESS) for _ in range(2)]
            await asyncio.gather(*(send(slots) for slots in processes for _ in range(130)))
            for slots in processes:
                await slots.close()
        assert sum(slots.granted - slots.given_up for slots in processes) == 260
        return sent

    sent = [(round(e * SECOND_US), round(late * SECOND_US)) for e, late in asyncio.run(send_all())]
    assert most_in_a_window(sent, SECOND_US) <= 200
