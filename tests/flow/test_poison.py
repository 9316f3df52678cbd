"""What would stop a fleet becomes a dead letter: a chunk with which real workers die, messages that are no hints."""

import json
import os
import signal
import sys

import pytest
import redis

from couponpress.keys import Keys
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, LOST_LEASES
from couponpress_worker.demo.fleet import fleet
from tests import processes
from tests.builders import spec
from tests.flow.test_fleet import client_of, wait_until
from tests.unit.worker.submission.test_message_filter import BAD, changed

pytestmark = pytest.mark.flow


def specs(first, count):
    return [spec(number) for number in range(first, first + count)]


def chunks_of(client, run):
    """The ids of a bulk run's chunks, each of a hundred specs."""
    number = client._ledger.number_of(run)
    return [f"{number}.{chunk}" for chunk in range(1, client.run(run).total // 100 + 1)]


@pytest.fixture(scope="module")
def one_worker(tmp_path_factory):
    """A fleet with one worker: its services, its environment, a client, the client of its server."""
    with (
        fleet(tmp_path_factory.mktemp("poison")) as (services, env),
        client_of(env) as client,
        redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as server,
    ):
        yield services, env, client, server


def test_messages_that_are_no_hints_and_a_chunk_that_cannot_be_read_stop_nobody(one_worker):
    services, env, client, server = one_worker
    keys = Keys(env["COUPONPRESS_MCHID"])
    worker = next(process for name, process in services._started if name == "worker")
    bad = [b"not json", b"\xff\xfe", b"[" * 50_000, b"null", b"[]", b"{}"]
    bad += [json.dumps(changed(path, value)).encode() for path, value in BAD.values()]
    for queue in keys.queues:
        server.lpush(queue, *bad)
    client.enqueue_many(specs(0, 200), run="after")
    wait_until(lambda: client.run("after").finished, 60, "the end of the run behind them")
    assert client.run("after").succeeded == 200
    count, latest = client.dead_letter_messages()
    assert count == 3 * len(bad)
    assert len(latest) == 10
    assert server.xlen(keys.dead_letter_messages) == 100
    assert sum(server.llen(queue) for queue in keys.queues) == 0

    # The hint of this chunk is malformed; recovery finds the chunk. The bytes of the next one are garbage.
    client.pause()
    client.enqueue_many(specs(1000, 100), run="lost hint")
    client.enqueue_many(specs(2000, 100), run="garbage")
    for queue in keys.queues:
        server.delete(queue)
    server.lpush(keys.queue("bulk"), json.dumps(changed(["headers", "id"], ...)))
    (garbage,) = chunks_of(client, "garbage")
    server.hset(keys.chunk(garbage), "z", b"garbage")
    client.resume()
    wait_until(lambda: client.run("lost hint").finished, 60, "the end of the run whose hint was lost")
    wait_until(lambda: client.run("garbage").finished, 60, "the end of the run that cannot be read")
    assert client.run("lost hint").succeeded == 100
    assert client.reasons("garbage") == {f"expired {DEAD_LETTER_CODE}": 100}
    assert worker.poll() is None
    told = processes.run(
        [sys.executable, "-m", "couponpress", "status"], env=os.environ | env, check=True, capture_output=True
    )
    assert f"dead letter: chunk {garbage} of garbage, 100 specs" in told.stdout.decode()
    assert f"dead letter: {count + 1} messages" in told.stdout.decode()


def test_a_chunk_that_kills_every_worker_becomes_a_dead_letter_and_the_others_do_not(one_worker):
    """Each worker that takes the chunk is killed as it takes it, before it has an answer: that is all Redis sees."""
    services, env, client, server = one_worker
    keys = Keys(env["COUPONPRESS_MCHID"])
    earlier = [one.chunk_id for one in client.dead_letter_chunks()]
    # They start beside each other: one for each death, and one that is left.
    workers = [process for name, process in services._started if name == "worker"]
    workers += [services.start("worker", env=env) for _ in range(LOST_LEASES)]
    wait_until(lambda: client._redis.pubsub_numsub(keys.holds_changed)[0][1] == len(workers), 60, "the workers")
    by_pid = {one.pid: one for one in workers}

    def next_slot_is_far():
        return int(server.hget(keys.bucket("submit"), "tat")) / 1e6 > server.time()[0] + 50

    client.set_rate("1/minute")  # slow enough that none has an answer when it dies
    client.enqueue_many(specs(2900, 1), run="first of the minute")
    wait_until(next_slot_is_far, 70, "the only slot of this minute")
    client.enqueue_many(specs(3000, 100), run="poison")
    client.enqueue_many(specs(4000, 200), run="good")
    (poison,) = chunks_of(client, "poison")
    dead = {None}

    def taken():
        assert server.hget(keys.chunk(poison), "s") == b"w" * 100, "it has an answer, which clears it"
        return (owner := server.hget(keys.chunk(poison), "owner")) not in dead and owner

    for death in range(LOST_LEASES):
        owner = wait_until(taken, 90, f"the lease before death {death}")
        dead.add(owner)
        worker = by_pid[int(owner.decode().split(":")[-2])]
        services.let_go(worker)
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        for chunk_id in (poison, *chunks_of(client, "good")):
            if server.hget(keys.chunk(chunk_id), "owner") == owner:  # the time of the dead one's leases is over
                server.zadd(keys.open("bulk"), {chunk_id: 1}, xx=True)
    wait_until(lambda: client.run("poison").finished, 60, "the end of the deadly run")
    assert client.reasons("poison") == {f"expired {DEAD_LETTER_CODE}": 100}
    client.set_rate(None)
    wait_until(lambda: client.run("good").finished, 120, "the end of the good run")
    assert client.run("good").succeeded == 200
    assert sorted(one.chunk_id for one in client.dead_letter_chunks()) == sorted([*earlier, poison])
    # A person mended whatever it was.
    assert client.redrive("poison", code=DEAD_LETTER_CODE) == 100
    wait_until(lambda: client.run("poison").finished, 60, "the end of the redriven run")
    assert client.run("poison").succeeded == 100
    assert [one.chunk_id for one in client.dead_letter_chunks()] == earlier
