"""The whole fleet while its Redis is killed, cut off, stopped, full, restored from an older copy, or fails over."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from itertools import pairwise

import httpx
import pytest
import redis

from couponpress import Client, ProducerSettings, RedisFullError, UnknownRunError
from couponpress.keys import Keys
from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.demo.fleet import fleet, statistics
from couponpress_worker.runtime import redis_server
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from tests import processes
from tests.builders import assert_consistent
from tests.flow.test_fleet import client_of, surely_in_any_second, wait_until

pytestmark = pytest.mark.flow
#: Redis takes its real time to come back, and no lease may run out meanwhile.
REAL_SPANS = True

#: The promise: requests on the wire again so soon after Redis is back.
BACK_SECONDS = 10


def bodies(rows):
    for number in range(rows):
        picture = {"image_url": f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"}
        yield {"row_id": str(number), "brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": picture}


def arrivals(base_url):
    """When each submit arrived, seconds since 1970."""
    first = statistics(base_url)["first_arrival"]
    offsets = httpx.get(f"{base_url}/sandbox/arrivals").json()["offsets"]
    return [first + offset for offset in offsets]


def wait_received(base_url, more):
    before = statistics(base_url)["received"]
    wait_until(lambda: statistics(base_url)["received"] >= before + more, 60, f"{more} more requests")


def answering(url):
    """Wait until Redis answers; returns when that was."""
    with RedisAddress.parse(url).client(socket_timeout=1) as client:

        def answers():
            with suppress(redis.RedisError):
                return client.ping()

        wait_until(answers, 30, "an answer of Redis")
    return time.time()


def process_of(services, name):
    return next(process for service, process in services._started if service == name)


def killed(services, name):
    process = process_of(services, name)
    services.let_go(process)
    process.kill()
    process.wait()


def restarted(services, env, directory):
    """Start the killed Redis again, on its data; returns when it answered."""
    port = env["COUPONPRESS_REDIS_URL"].rpartition(":")[2].partition("/")[0]
    services.start("redis", "--port", port, "--dir", str(directory / "redis"), env=env)
    return answering(env["COUPONPRESS_REDIS_URL"])


def finished(client, run, seconds=60):
    def ended():
        status = client.run(run)
        return status if status.finished else None

    return wait_until(ended, seconds, f"the end of run {run}")


def test_a_redis_that_goes_away_or_forgets_costs_seconds_and_is_said_once(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")  # a callback for what was forgotten is not repeated
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    rows = {"known": 200, "half": 250, "forgotten": 200, "afterwards": 700}
    with (
        fleet(tmp_path, "--callback-interval", "1", "--query-limit", "200") as (services, env),
        client_of(env) as client,
    ):
        url, base_url = env["COUPONPRESS_REDIS_URL"], env["COUPONPRESS_BASE_URL"]
        data = tmp_path / "redis" / "appendonlydir"
        client.pause()
        client.enqueue_many(bodies(200), run="known")
        client.enqueue_many(bodies(150), run="half")
        shutil.copytree(data, tmp_path / "older")  # as if nothing later had been synced
        assert client.enqueue_many(bodies(250), run="half").new == 100
        client.enqueue_many(bodies(200), run="forgotten")
        client.resume()
        wait_received(base_url, 400)
        killed(services, "redis")
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "older", data)
        restarted(services, env, tmp_path)
        with pytest.raises(UnknownRunError):
            client.run("forgotten")
        receipts = [client.enqueue_many(bodies(number), run=run) for run, number in rows.items()]
        client.resume()
        back = [time.time()]
        wait_received(base_url, 200)
        with redis.Redis.from_url(url) as plain:
            for _ in range(3):
                plain.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
                time.sleep(0.3)
        back.append(time.time())
        wait_received(base_url, 150)
        server = process_of(services, "redis")
        server.send_signal(signal.SIGSTOP)
        time.sleep(3)
        server.send_signal(signal.SIGCONT)
        back.append(answering(url))
        runs = [finished(client, run) for run in rows]
        moments, seen, surely = arrivals(base_url), statistics(base_url), surely_in_any_second(base_url)
        task_ids = [one.task_id for run in rows for one in client.outcomes(run)]
        with redis.Redis.from_url(url) as plain:
            assert_consistent(plain, Keys(env["COUPONPRESS_MCHID"]))
        log = (tmp_path / "worker.log").read_text()
    assert [(receipt.new, receipt.known) for receipt in receipts] == [(0, 200), (100, 150), (200, 0), (700, 0)]
    assert [(run.total, run.succeeded) for run in runs] == [(number, number) for number in rows.values()]
    # The platform knows each row once: what was forgotten was sent twice, as the same bytes under the same task_id.
    assert len(task_ids) == len(set(task_ids)) == seen["accepted"] == 1350
    assert seen["rejected"] == 0
    assert seen["received"] - seen["throttled"] - 1350 == seen["doubled"] <= 650
    waited = [min(moment for moment in moments if moment > since) - since for since in back]
    assert max(waited) < BACK_SECONDS, waited
    # Nor did anything wait for a lease that nobody held.
    assert max(later - earlier for earlier, later in pairwise(moments)) < BACK_SECONDS + 3
    assert surely <= 500
    assert log.count("Redis is away") == log.count("Redis is back") <= 3
    assert "Traceback" not in log
    for line in ("gives no slots", "recovery waits", "overdue queries wait", "does not answer", "not taken up in time"):
        assert line not in log


def test_a_full_redis_takes_no_catalog_and_the_fleet_drains_what_it_holds(tmp_path):
    catalog = tmp_path / "more.jsonl"
    catalog.write_text("".join(json.dumps(body) + "\n" for body in bodies(4000)))
    log = tmp_path / "worker.log"
    with fleet(tmp_path, "--callback-interval", "1") as (services, env), client_of(env) as client:
        url, base_url, keys = env["COUPONPRESS_REDIS_URL"], env["COUPONPRESS_BASE_URL"], Keys(env["COUPONPRESS_MCHID"])
        wait_until(lambda: " ready." in log.read_text(), 30, "a worker that is ready")
        client.pause()
        client.enqueue_many(bodies(700), run="flow")
        with redis.Redis.from_url(url) as plain:
            used = plain.info("memory")["used_memory"]
            plain.config_set("maxmemory", used + 60_000)  # full in the middle of the next catalog
            submit = [sys.executable, "-m", "couponpress", "submit", str(catalog)]
            done = processes.run(submit, env=os.environ | env, check=False, timeout=60, capture_output=True, text=True)
            assert done.returncode == 2, done.stderr
            assert "is full (maxmemory)" in done.stderr
            assert "Traceback" not in done.stderr
            plain.config_set("maxmemory", 1)  # and now far beyond: nothing that needs memory goes
            with pytest.raises(RedisFullError):
                client.enqueue(next(bodies(1)), run="one")
            assert [run.run for run in client.runs()] == ["flow"]
            assert_consistent(plain, keys)
            client.resume()
            since = time.time()
            wait_received(base_url, 200)
            waited = arrivals(base_url)[0] - since
            # A worker that is started now does its part as well: here it is alone.
            process_of(services, "worker").terminate()
            process_of(services, "worker").wait(20)
            services.let_go(process_of(services, "worker"))
            services.start("worker", env=env)
            status = finished(client, "flow")
            assert_consistent(plain, keys)
            plain.config_set("maxmemory", 0)
            # Hints come again, and with them another run.
            client.enqueue_many(bodies(100), run="afterwards")
            assert finished(client, "afterwards").succeeded == 100
            wait_until(lambda: "succeeded in" in log.read_text().rpartition("takes hints again")[2], 15, "a hint")
        seen = statistics(base_url)
    told = log.read_text()
    assert status.succeeded == 700
    assert seen["received"] - seen["throttled"] == 800
    assert waited < BACK_SECONDS
    assert "Redis is away" not in told
    assert "Redis takes no hints" in told
    # What could not be kept is said in a line: the chunk was submitted, and its task did not fail.
    assert told.count("is not kept, its specs are") <= 2 * CHUNKS_IN_HAND, "a full Redis is not worth a flood"
    assert "Traceback" not in told


# --- Sentinel ---------------------------------------------------------------------------------------------------------

QUORUM = """
port {port}
bind 127.0.0.1
dir {directory}
sentinel monitor mymaster 127.0.0.1 {master} 2
sentinel down-after-milliseconds mymaster 1000
sentinel failover-timeout mymaster 5000
"""


@contextmanager
def sentinel_set(directory):
    """Run a master, a replica and three Sentinels; yields the address and the master's process."""
    ports = [redis_server.free_port() for _ in range(5)]
    started = []

    def run(name, *words):
        home = directory / name
        home.mkdir(parents=True, exist_ok=True)
        with (home / "log").open("ab") as log:
            process = subprocess.Popen([redis_server.find_server(), *words], stdout=log, stderr=subprocess.STDOUT)
        started.append(process)
        return process

    def words(name, port):
        (directory / name).mkdir(parents=True, exist_ok=True)
        return redis_server.command_line(directory / name, port)[1:]

    try:
        master = run("master", *words("master", ports[0]))
        run("replica", *words("replica", ports[1]), "--replicaof", f"127.0.0.1 {ports[0]}")
        for number, port in enumerate(ports[2:]):
            home = directory / f"sentinel-{number}"
            home.mkdir(parents=True)
            (home / "sentinel.conf").write_text(QUORUM.format(port=port, directory=home, master=ports[0]))
            run(home.name, str(home / "sentinel.conf"), "--sentinel")
        with redis.Redis(port=ports[2]) as sentinel:

            def known():
                with suppress(redis.RedisError):
                    told = sentinel.sentinel_master("mymaster")
                    return told["num-slaves"] == 1 and told["num-other-sentinels"] == 2

            wait_until(known, 30, "a complete Sentinel set")
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports[2:])
        yield f"sentinel://{hosts}/mymaster/0", master
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def test_a_failover_is_followed_by_producers_workers_and_celery(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")  # callbacks of what the replica had not yet are not repeated
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    with (
        sentinel_set(tmp_path) as (url, master),
        fleet(tmp_path, "--query-limit", "200", "--callback-interval", "1", redis_url=url) as (_, env),
    ):
        base_url = env["COUPONPRESS_BASE_URL"]
        values = {"redis_url": url, "mchid": env["COUPONPRESS_MCHID"]}
        with Client(ProducerSettings.load(values)) as client:
            assert client.enqueue_many(bodies(800), run="flow").new == 800
            wait_received(base_url, 250)
            master.kill()
            master.wait()
            back = answering(url)
            # The replica may lack the last moments; the same again completes them.
            client.enqueue_many(bodies(800), run="flow")
            client.enqueue_many(bodies(100), run="afterwards")
            runs = [finished(client, run) for run in ("flow", "afterwards")]
            task_ids = {one.task_id for one in client.outcomes("flow")}
        moments, seen, surely = arrivals(base_url), statistics(base_url), surely_in_any_second(base_url)
        log = (tmp_path / "worker.log").read_text()
    waited = min(moment for moment in moments if moment > back) - back
    assert [(run.total, run.succeeded) for run in runs] == [(800, 800), (100, 100)]
    assert len(task_ids) == 800
    assert waited < BACK_SECONDS
    assert surely <= 500
    assert seen["accepted"] == 900
    assert log.count("Redis is away") <= 2
    assert "succeeded in" in log.partition("Redis is back")[2]  # Celery's hints and results follow as well


def test_what_redis_refuses_a_fleet_is_one_sentence_and_ends_nobody(tmp_path):
    port = redis_server.free_port()
    server = redis_server.start(tmp_path, port)
    refused = {  # a right that is missing, and what the log says of it
        "-subscribe": "holds are heard of only every",
        "-hgetall": "Redis is away (User limited has no permissions to run the 'hgetall' command)",
        "-brpop": "Redis gives no hints (User limited has no permissions to run the 'brpop' command)",
        "-evalsha": "recovery waits, for Redis refuses: User limited has no permissions to run the 'evalsha' command",
    }
    with redis.Redis(port=port) as admin:

        def rights(*rules):
            admin.execute_command("ACL", "SETUSER", "limited", "reset", "on", ">secret", "~*", "&*", "+@all", *rules)

        rights()
        with fleet(tmp_path, redis_url=f"redis://limited:secret@127.0.0.1:{port}/0") as (services, env):
            log = tmp_path / "worker.log"
            wait_until(lambda: "ready." in log.read_text(), 60, "the worker")
            own = env | {"COUPONPRESS_REDIS_URL": f"redis://127.0.0.1:{port}/0"}
            with client_of(own) as client:
                for rule, told in refused.items():
                    rights(rule)
                    admin.execute_command("CLIENT", "KILL", "USER", "limited")  # a subscription outlives its right
                    wait_until(lambda told=told: told in log.read_text(), 30, f"what is said of {rule}")
                    assert client.enqueue_many(bodies(40), run=rule).new == 40
                    time.sleep(3)  # in which nothing more may be said
                    rights()
                    assert finished(client, rule).succeeded == 40
            assert process_of(services, "worker").poll() is None
            said = log.read_text()
    redis_server.stop(server)
    assert "Traceback" not in said
    assert {told: said.count(told) for told in refused.values()} == dict.fromkeys(refused.values(), 1)
    assert said.count("Redis is away") == said.count("Redis is back") == 1
