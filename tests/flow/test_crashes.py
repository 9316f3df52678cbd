"""kill -9 of whoever leads, of the scheduler and of the callback receiver. Everything still ends."""

import pytest
import redis

from couponpress.keys import Keys
from couponpress_worker.demo.fleet import fleet, statistics
from tests.builders import assert_consistent
from tests.flow.spans import SPANS
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_redis import bodies, finished, killed, process_of, wait_received
from tests.flow.test_shutdown import is_well

pytestmark = pytest.mark.flow

SPECS = 300


def test_leader_scheduler_and_callback_receiver_may_be_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    # Some pictures are told by no callback, so that whoever leads has queries to make.
    faults = ["--query-limit", "200", "--fault", "lost_callbacks=2", "--fault", "errors=2", "--seed", "3"]
    with fleet(tmp_path, "--callback-interval", "1", *faults) as (services, env), client_of(env) as client:
        base_url, keys = env["COUPONPRESS_BASE_URL"], Keys(env["COUPONPRESS_MCHID"])
        with redis.Redis.from_url(env["COUPONPRESS_REDIS_URL"]) as plain:

            def leads(process):
                return (plain.get(keys.leader) or b"").decode().partition(":")[2].startswith(f"{process.pid}:")

            client.pause()
            worker = process_of(services, "worker")
            wait_until(lambda: leads(worker), 30, "the worker's lead")
            scheduler = services.start("scheduler", env=env)
            wait_until(lambda: is_well(env, scheduler), 60, "a healthy scheduler")
            callback_words = process_of(services, "callback").args[3:]
            client.enqueue_many(bodies(SPECS), run="flow")
            killed(services, "worker")
            wait_until(lambda: leads(scheduler), SPANS.lead + 10, "the scheduler's lead")
            worker = services.start("worker", env=env)
            client.resume()
            wait_received(base_url, 100)
            killed(services, "callback")
            killed(services, "scheduler")
            wait_until(lambda: leads(worker), SPANS.lead + 10, "the lead of the new worker")
            services.start(*callback_words, env=env)
            status = finished(client, "flow", 60)
            seen = statistics(base_url)
            outcomes = [one.task_id for one in client.outcomes("flow")]
            assert_consistent(plain, keys)
    assert (status.succeeded, len(set(outcomes))) == (SPECS, SPECS)
    assert seen["accepted"] == SPECS
    assert seen["callbacks"]["lost"] > 0
    assert seen["received"] - SPECS <= sum(seen["faults"].values())  # what a fault hit is sent again, and nothing else
