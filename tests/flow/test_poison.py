"""What would stop a fleet becomes a dead letter: a chunk with which real workers die, messages that are no hints."""

import json
import os
import signal
import subprocess
import sys

import pytest
import redis

from couponpress.keys import Keys
from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, LOST_LEASES
from couponpress_worker.demo.fleet import fleet
from tests.builders import spec
from tests.flow.test_fleet import client_of, wait_until
from tests.unit.worker.submission.test_message_filter import BAD, changed

pytestmark = pytest.mark.flow


def specs(first, count):
    return [spec(number) for number in range(first, first + count)]


def worker_of(services):
    return next(process for name, process in services._started if name == "worker")


def test_a_chunk_that_kills_every_worker_becomes_a_dead_letter_and_the_others_do_not(tmp_path):
    """Each worker that takes the chunk is killed as it takes it, before it has an answer: that is all Redis sees."""
    with fleet(tmp_path) as (services, env), client_of(env) as client:
        keys, server = Keys(env["COUPONPRESS_MCHID"]), redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"])
        worker = worker_of(services)
        services.let_go(worker)
        client.set_rate("1/minute")  # slow enough that none has an answer when it dies
        client.enqueue_many(specs(0, 100), run="poison")
        client.enqueue_many(specs(1000, 300), run="good")
        poison = "b1.1"
        dead = {None}

        def taken():
            assert server.hget(keys.chunk(poison), "s") == b"w" * 100, "it has an answer, which clears it"
            return (owner := server.hget(keys.chunk(poison), "owner")) not in dead and owner

        for death in range(LOST_LEASES):
            dead.add(wait_until(taken, 90, f"the lease before death {death}"))
            worker.send_signal(signal.SIGKILL)
            worker.wait()
            for chunk_id in (poison, "b2.1", "b2.2", "b2.3"):  # the leases' time is over
                server.zadd(keys.open("bulk"), {chunk_id: 1}, xx=True)
            worker = services.start("worker", env=env)
            services.let_go(worker)
        try:
            wait_until(lambda: client.run("poison").finished, 60, "the end of the deadly run")
            assert client.reasons("poison") == {f"expired {DEAD_LETTER_CODE}": 100}
            client.set_rate(None)
            wait_until(lambda: client.run("good").finished, 120, "the end of the good run")
            assert client.run("good").succeeded == 300
            assert [one.chunk_id for one in client.dead_letter_chunks()] == [poison]
            # A person mended whatever it was.
            assert client.redrive("poison", code=DEAD_LETTER_CODE) == 100
            wait_until(lambda: client.run("poison").finished, 60, "the end of the redriven run")
            assert client.run("poison").succeeded == 100
            assert client.dead_letter_chunks() == []
        finally:
            worker.terminate()
            worker.wait()
            server.close()


def test_messages_that_are_no_hints_and_a_chunk_that_cannot_be_read_stop_nobody(tmp_path):
    with fleet(tmp_path) as (services, env), client_of(env) as client:
        keys, server = Keys(env["COUPONPRESS_MCHID"]), redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"])
        worker = worker_of(services)
        bad = [b"not json", b"\xff\xfe", b"[" * 50_000, b"null", b"[]", b"{}"]
        bad += [json.dumps(changed(path, value)).encode() for path, value in BAD.values()]
        for queue in keys.queues:
            server.lpush(queue, *bad)
        client.enqueue_many(specs(0, 250), run="after")
        wait_until(lambda: client.run("after").finished, 60, "the end of the run behind them")
        assert client.run("after").succeeded == 250
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
        server.hset(keys.chunk("b3.1"), "z", b"garbage")
        client.resume()
        wait_until(lambda: client.run("lost hint").finished, 60, "the end of the run whose hint was lost")
        wait_until(lambda: client.run("garbage").finished, 60, "the end of the run that cannot be read")
        assert client.run("lost hint").succeeded == 100
        assert client.reasons("garbage") == {f"expired {DEAD_LETTER_CODE}": 100}
        assert worker.poll() is None
        told = subprocess.run(
            [sys.executable, "-m", "couponpress", "status"], env=os.environ | env, check=True, capture_output=True
        )
        assert "dead letter: chunk b3.1 of garbage, 100 specs" in told.stdout.decode()
        assert f"dead letter: {count + 1} messages" in told.stdout.decode()
        server.close()
