"""The topology of deploy/ as processes: Redis with TLS, users and a Sentinel; every service with a user of its own.

Two workers, the scheduler, the callback receiver and the gateway work while the workers are restarted one by one, and
while the Sentinel makes the replica the master.
"""

import datetime as dt
import json
import subprocess
from collections import Counter
from contextlib import ExitStack, contextmanager
from itertools import islice
from types import SimpleNamespace
from urllib.parse import quote

import pytest
import redis
import yaml

from couponpress import Client
from couponpress.keys import Keys
from couponpress.redis_rights import PLACEHOLDER, SERVER_USER, user_of, users_acl
from couponpress_worker.demo.fleet import LATENESS_MS, start_sandbox, statistics
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import Services
from couponpress_worker.sandbox import tls
from tests.builders import assert_consistent, cut_out_body
from tests.flow.test_fleet import surely_in_any_second, wait_until
from tests.flow.test_outage import arrivals
from tests.flow.test_redis import answering
from tests.flow.test_rights import schedule, settings
from tests.flow.test_shutdown import is_well, workers
from tests.pages import ROOT
from tests.redis_proxy import RedisProxy, server_context
from tests.running_gateway import running_gateway

pytestmark = pytest.mark.flow

#: Low enough that a share of one core suffices.
LIMIT = 60
#: What comes before each trouble, and what the night of `schedule` has.
ROWS, NIGHT_ROWS = 200, 120
SANDBOX = ("--limit", str(LIMIT), "--picture-seconds", "0.2", "--callback-interval", "1", "--query-limit", "200")
MASTER = "mymaster"
PATIENCE = redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200, (redis.ConnectionError,))
WATCHED = """
port {port}
bind 127.0.0.1
dir {directory}
requirepass watch
sentinel monitor {master} 127.0.0.1 {watched} 1
sentinel auth-user {master} {user}
sentinel auth-pass {master} {password}
sentinel down-after-milliseconds {master} 1000
sentinel failover-timeout {master} 5000
"""


def server_users(mchid):
    """The users of `deploy/redis/users.acl`, and those that deploy/README.md adds for a replica and a Sentinel."""
    page = (ROOT / "deploy" / "README.md").read_text("utf-8")
    added = [line for line in page.splitlines() if line.startswith("user server-")]
    assert len(added) == 2
    return users_acl(Keys(mchid)) + "".join(f"{line}\n" for line in added)


@contextmanager
def servers(directory, mchid):
    """Run a master, its replica and a Sentinel, each behind TLS.

    Yields the part of an address that follows the login, the master's process, and a client of each of the two servers.
    """
    context = server_context(tls.prepare(directory, (), dt.datetime.now(dt.UTC)))
    authority = quote(str(directory / tls.AUTHORITY_FILE))
    users = directory / "users.acl"
    users.write_text(server_users(mchid))
    with ExitStack() as stack:

        def server(name, *words):
            """Start a server; returns its process, the port for TLS, and a client of the server itself."""
            port = redis_server.free_port()
            before = stack.enter_context(RedisProxy(port, tls=context))
            login = ("--masteruser", "server-replica", "--masterauth", f"{PLACEHOLDER}-replica")
            announced = ("--replica-announce-ip", "127.0.0.1", "--replica-announce-port", str(before.port))
            process = redis_server.start(directory / name, port, "--aclfile", str(users), *login, *announced, *words)
            stack.callback(redis_server.stop, process)
            access = {"username": SERVER_USER, "password": f"{PLACEHOLDER}-{SERVER_USER}"}
            client = stack.enter_context(redis.Redis(port=port, retry=PATIENCE, **access))
            return process, before, client

        process, first, master = server("master")
        _, second, replica = server("replica", "--replicaof", f"127.0.0.1 {first.port}")
        port = redis_server.free_port()
        (directory / "sentinel.conf").write_text(
            WATCHED.format(
                port=port,
                directory=directory,
                master=MASTER,
                watched=first.port,
                user="server-sentinel",
                password=f"{PLACEHOLDER}-sentinel",
            )
        )
        words = [redis_server.find_server(), str(directory / "sentinel.conf"), "--sentinel"]
        with (directory / "sentinel.log").open("wb") as log:
            stack.callback(redis_server.stop, subprocess.Popen(words, stdout=log, stderr=log))
        watching = stack.enter_context(RedisProxy(port, tls=context))
        with redis.Redis(port=port, password="watch", retry=PATIENCE) as sentinel:
            wait_until(lambda: sentinel.sentinel_master(MASTER)["num-slaves"] == 1, 30, "a Sentinel with a replica")
        host = f"localhost:{watching.port}/{MASTER}/0?ssl_ca_certs={authority}&sentinel_password=watch"
        yield SimpleNamespace(host=host, process=process, master=master, replica=replica)
        assert all(one.encrypted for one in (first, second, watching))


def refused(server):
    return [(one["username"], one["reason"], one["object"]) for one in server.acl_log()]


def compose_words(name):
    """The command of a service in compose.yaml, without the addresses of its container."""
    compose = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text("utf-8"))
    program, *words = compose["services"][name]["command"]
    assert program == "couponpress"
    if "--host" in words:
        where = words.index("--host")
        del words[where : where + 4]
    return words


@contextmanager
def topology(directory):
    """Run all of deploy/; yields its parts."""
    services = Services(directory)
    callback_port = redis_server.free_port()
    try:
        env = start_sandbox(services, directory, callback_port, *SANDBOX, env={}) | {
            "COUPONPRESS_LATENESS_MS": str(LATENESS_MS),
            "COUPONPRESS_RATE": f"{LIMIT}/second",
        }
        keys = Keys(env["COUPONPRESS_MCHID"])
        with servers(directory, keys.mchid) as redis_servers:

            def of(role):
                login = f"{user_of(keys, role)}:{PLACEHOLDER}-{role}"
                return env | {"COUPONPRESS_REDIS_URL": f"sentinels://{login}@{redis_servers.host}"}

            night, _, path = schedule(directory, of("scheduler"), redis_servers.master)
            services.start(*compose_words("callback"), "--port", str(callback_port), env=of("callback"))
            services.start(*compose_words("scheduler"), env=of("scheduler") | {"COUPONPRESS_SCHEDULE_FILE": str(path)})
            for _ in range(2):
                services.start(*compose_words("worker"), env=of("worker"))
            with running_gateway(directory, of("gateway")["COUPONPRESS_REDIS_URL"], MCHID=keys.mchid) as gateway:
                wait_until(lambda: all(is_well(of("worker"), one) for one in workers(services)), 60, "healthy workers")
                yield SimpleNamespace(
                    services=services,
                    of=of,
                    keys=keys,
                    base_url=env["COUPONPRESS_BASE_URL"],
                    night=night,
                    gateway=gateway,
                    redis=redis_servers,
                )
                services.stop()
    finally:
        services.stop()


def restart(services, worker, env):
    """As a rolling update does; returns the exit code of the worker that was there."""
    services.let_go(worker)
    worker.terminate()
    worker.wait(30)
    new = services.start(*compose_words("worker"), env=env)
    wait_until(lambda: is_well(env, new), 60, "a worker in its place")
    return worker.returncode


def fail_over(servers, url):
    """Kill the master when the replica has all that it has; returns what the master refused.

    A master that dies while it writes may lose a moment's writes with it; the flow of a lost moment stands elsewhere.
    """
    servers.master.client_pause(10_000, all=False)  # writes only

    def caught_up():
        master, replica = servers.master.info("replication"), servers.replica.info("replication")
        return master["master_repl_offset"] == replica["slave_repl_offset"]

    wait_until(caught_up, 10, "a replica that has everything")
    told = refused(servers.master)
    servers.process.kill()
    servers.process.wait()
    answering(url)
    assert servers.replica.role()[0] == b"master"
    return told


def test_the_topology_of_deploy_goes_through_a_rolling_restart_and_a_failover(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    typed = {"Content-Type": "application/x-ndjson"}
    with (
        topology(tmp_path) as parts,
        parts.gateway.caller() as shop,
        Client(settings(parts.of("producer"))) as producer,
    ):
        base_url, rows = parts.base_url, iter(range(3 * ROWS))

        def load():
            """Hand in more of the run, and wait until it is on its way."""
            content = "\n".join(json.dumps(cut_out_body(number)) for number in islice(rows, ROWS))
            before = statistics(base_url)["accepted"]
            assert shop.post("/runs/may/catalog", content=content, headers=typed).json()["new"] == ROWS
            wait_until(lambda: statistics(base_url)["accepted"] > before + LIMIT / 2, 60, "a fleet at work")

        codes = []
        for worker in workers(parts.services):
            load()
            codes.append(restart(parts.services, worker, parts.of("worker")))
        load()
        refused_before = fail_over(parts.redis, parts.of("admin")["COUPONPRESS_REDIS_URL"])
        sent = statistics(base_url)["accepted"]
        wait_until(lambda: all(run["finished"] for run in shop.get("/runs").json()["runs"]), 60, "the end of the run")
        wait_until(lambda: producer.run(parts.night.run).finished, 60, "the end of the night")
        parts.services.check()
        run = shop.get("/runs/may").json()
        outcomes = [*producer.outcomes("shop/may"), *producer.outcomes(parts.night.run)]
        seen, told, surely = statistics(base_url), arrivals(base_url), surely_in_any_second(base_url)
        parts.services.stop()
        assert_consistent(parts.redis.replica, parts.keys)
        refused_after = refused(parts.redis.replica)
    assert codes == [0, 0]
    assert sent < 3 * ROWS + NIGHT_ROWS, "nothing was left to do after the failover"
    assert run["succeeded"] == 3 * ROWS
    assert Counter(one.outcome for one in outcomes) == {"succeeded": 3 * ROWS + NIGHT_ROWS}
    assert all(one.image_url for one in outcomes)
    assert (seen["accepted"], seen["doubled"]) == (3 * ROWS + NIGHT_ROWS, 0)
    taken = [task_id for task_id, status in zip(told["task_ids"], told["statuses"], strict=True) if status != 429]
    assert max(Counter(taken).values()) == 1
    assert surely <= LIMIT
    assert (refused_before, refused_after) == ([], [])
