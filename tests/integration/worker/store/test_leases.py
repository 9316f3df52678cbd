"""The leases of a process on a real server: no answer that is lost leaves one behind."""

import asyncio

import pytest
from limits import parse
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from couponpress.ledger.leases import LEASE_MS, Leased, LeaseLost, NotLeased, Renewed
from couponpress.ledger.moves import Move
from couponpress.ledger.working import WorkLedger
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.rate.adaptive import Pace
from couponpress_worker.rate.bucket import Bucket
from couponpress_worker.rate.slots import Slots
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.store.availability import RedisWatch
from couponpress_worker.store.client import limiter_redis
from couponpress_worker.store.leases import Leases, give_strays_back
from tests.builders import KEYS, moved, now_ms, on_ledger, stored

OWNER = "host:1:abcd"
BULK = KEYS.open("bulk")


class LosesAnswers(Redis):
    """A client that now and then loses the answer to a script that the server ran."""

    losing = 0

    async def execute_command(self, *args, **options):
        reply = await super().execute_command(*args, **options)
        if args[0] == "EVALSHA" and self.losing:
            self.losing -= 1
            raise RedisConnectionError("cut")
        return reply


def on_leases(url, act, *, losing=0):
    """Run `await act(leases, watch)` with a process's leases, losing the first answers."""

    async def main():
        async with LosesAnswers.from_url(url) as client:
            watch = RedisWatch(client.ping, lambda: False)
            await WorkLedger(client, KEYS).leases.lease("b9.9", "nobody")  # the server knows the script
            client.losing = losing
            leases = Leases(WorkLedger(client, KEYS), watch)
            try:
                return await act(leases, watch)
            finally:
                await watch.close()

    return asyncio.run(main())


def test_a_lease_whose_answer_was_lost_is_had(redis_url, client):
    stored(redis_url, 3)

    async def act(leases, _):
        return await leases.lease_next("bulk", OWNER), leases.in_hand

    leased, in_hand = on_leases(redis_url, act, losing=2)
    assert isinstance(leased, Leased)
    assert in_hand == 1


def test_a_lease_is_given_back_although_the_answer_was_lost(redis_url, client):
    chunk_id = stored(redis_url, 3)

    async def act(leases, _):
        await leases.lease_next("bulk", OWNER)
        leases._ledger._client.losing = 1
        await leases.give_back(chunk_id, OWNER)
        return leases.in_hand

    assert on_leases(redis_url, act) == 0
    assert client.hget(KEYS.chunk(chunk_id), "owner") is None


def test_a_lease_is_kept_under_its_own_name(redis_url, client):
    chunk_id = stored(redis_url, 3)

    async def act(leases, _):
        await leases.lease_next("bulk", OWNER)
        return await leases.renew(chunk_id, OWNER)

    assert on_leases(redis_url, act) == Renewed()
    assert client.zscore(BULK, chunk_id) > now_ms(client) + LEASE_MS / 2


def test_a_chunk_in_hand_is_leased_once(redis_url, client):
    stored(redis_url, 3)

    async def act(leases, _):
        first, second = await asyncio.gather(leases.lease_next("bulk", OWNER), leases.lease_next("bulk", OWNER))
        return first, second, leases.in_hand

    first, second, in_hand = on_leases(redis_url, act)
    assert (isinstance(first, Leased), second, in_hand) == (True, NotLeased("nothing"), 1)


@pytest.mark.parametrize("told", ["nothing", "held"])
def test_what_is_not_leased_is_not_in_hand(redis_url, client, told):
    chunk_id = stored(redis_url, 1)
    if told == "nothing":
        moved(redis_url, chunk_id, Move(0, "reject"))
    else:
        client.hset(KEYS.holds, "run:b1", "{}")

    async def act(leases, _):
        return await leases.lease_next("bulk", OWNER), leases.in_hand

    assert on_leases(redis_url, act) == (NotLeased(told), 0)


def test_strays_in_the_name_of_the_process_are_given_back_and_nothing_else(redis_url, client):
    stray, finished, in_hand, others = (stored(redis_url, 2, first=first) for first in (1, 3, 5, 7))

    async def act(leases, _):
        for chunk_id, owner in ((stray, f"{OWNER}/77"), (finished, f"{OWNER}/78"), (others, f"{OWNER}0/1")):
            await leases._ledger.leases.lease(chunk_id, owner)
        await leases.move({finished: [Move(0, "reject"), Move(1, "reject")]})
        await leases.lease_next("bulk", OWNER)
        return await leases.give_strays_back(OWNER)

    assert on_leases(redis_url, act) == [stray]
    owners = [client.hget(KEYS.chunk(chunk_id), "owner") for chunk_id in (stray, finished, in_hand, others)]
    assert [owner is not None for owner in owners] == [False, False, True, True]


def test_strays_are_looked_for_soon_after_redis_was_away(redis_url, client):
    chunk_id, published = stored(redis_url, 2), []
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(chunk_id, f"{OWNER}/77"))

    async def act(leases, watch):
        stopped = asyncio.Event()

        async def publish_again(chunk_ids):
            published.extend(chunk_ids)
            stopped.set()

        watch.away(RedisConnectionError("gone"))
        async with asyncio.timeout(5):
            await give_strays_back(leases, watch, OWNER, publish_again, stopped)

    on_leases(redis_url, act)
    assert published == [chunk_id]


def test_what_nobody_has_in_hand_is_found_whether_it_was_hinted_or_not(redis_url, client):
    leased, fresh, handed_on, held = (stored(redis_url, 1, first=first) for first in range(4))
    urgent = stored(redis_url, 1, first=9, run="june", lane="urgent")

    async def act(leases, _):
        await leases._ledger.leases.lease(handed_on, "another")
        await leases.give_back(handed_on, "another")
        assert (await leases.lease_next("bulk", OWNER)).chunk_id == leased
        found = await leases.untaken(10)
        return found, await leases.untaken(2)

    client.hset(KEYS.holds, "run:b1", "{}")
    on_ledger(redis_url, lambda ledger: ledger.leases.lease(held, "another"))
    client.hdel(KEYS.holds, "run:b1")
    found, first_two = on_leases(redis_url, act)
    assert found == [urgent, fresh, handed_on]
    assert first_two == [urgent, fresh]


def test_a_chunk_that_has_the_id_of_one_in_hand_is_left_until_that_one_is_done(redis_url, client):
    chunk_id = stored(redis_url, 3)

    async def act(leases, _):
        await leases.lease_next("bulk", OWNER)
        client.flushall()  # the server forgot, and gives the id again
        assert stored(redis_url, 3, first=7) == chunk_id
        second = await leases.lease_next("bulk", OWNER)
        await leases.give_back(chunk_id, OWNER)
        return second, (await leases.lease_next("bulk", OWNER)).chunk_id

    assert on_leases(redis_url, act) == (NotLeased("taken"), chunk_id)


def test_answers_are_not_booked_to_another_chunk_of_the_same_id(redis_url, client):
    chunk_id = stored(redis_url, 3)

    async def act(leases, _):
        leased = await leases.lease_next("bulk", OWNER)
        before = await leases.move({chunk_id: [Move(0, "accept", tries=1)]})
        client.flushall()  # the server forgot, and gives the id again
        assert stored(redis_url, 3, first=7) == chunk_id
        after = await leases.move({chunk_id: [Move(1, "reject", tries=1, code="NO"), Move(2, "accept", tries=1)]})
        rest = await leases.give_back(chunk_id, OWNER)
        again = await leases.lease_next("bulk", OWNER)
        return leased, before, after, rest, again, await leases.move({chunk_id: [Move(1, "accept", tries=1)]})

    leased, before, after, rest, again, then = on_leases(redis_url, act)
    assert before == {chunk_id: [True]}
    assert after == {chunk_id: [False, False]}
    assert rest == LeaseLost()
    assert (again.states, leased.made != again.made) == ("www", True)
    assert then == {chunk_id: [True]}


def test_a_restart_between_two_questions_is_noticed_before_the_next_slots(tmp_path):
    port = free_port()

    async def act():
        async with limiter_redis(RedisAddress.parse(f"redis://127.0.0.1:{port}/0")) as client:
            watch = RedisWatch(client.ping, lambda: False)
            pace = Pace(client, Bucket("bucket", parse("500/second"), 0.02), "pace")
            slots = Slots(watch.patient(pace.acquire), lateness_seconds=0.02)
            returns = []
            for number in range(4):
                if number == 2:
                    await asyncio.to_thread(restart)
                await slots.take()
                returns.append(watch.returns)
            await slots.close()
            return returns

    servers = [redis_server.start(tmp_path, port)]

    def restart():
        redis_server.stop(servers.pop())
        servers.append(redis_server.start(tmp_path, port))

    first, second, third, fourth = asyncio.run(act())
    redis_server.stop(servers.pop())
    assert first == second < third == fourth
