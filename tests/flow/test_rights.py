"""The whole way of a spec while each service has its own user in Redis: nothing that anybody needs is refused."""

import csv
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
import redis

from couponpress import Client, ProducerSettings
from couponpress.errors import RedisRefusedError
from couponpress.keys import Keys
from couponpress.nightly.claims import NightLedger
from couponpress.nightly.nights import Night
from couponpress.redis_rights import PLACEHOLDER, SERVER_USER, user_of, users_acl
from couponpress_worker.demo.fleet import LATENESS_MS, fleet, start_sandbox
from couponpress_worker.runtime import redis_server
from couponpress_worker.runtime.subprocesses import Services
from couponpress_worker.sandbox.credentials import MCHID
from tests import processes
from tests.builders import cut_out_body, head_body
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_redis import finished
from tests.redis_proxy import RedisProxy
from tests.running_gateway import running_gateway

pytestmark = pytest.mark.flow
SANDBOX_OPTIONS = ("--picture-seconds", "0.2", "--callback-interval", "1", "--query-limit", "200")


@contextmanager
def least_fleet(directory):
    """A fleet whose services have a user each, behind a proxy that speaks RESP2 alone.

    Yields its services, what tells the environment of a role, and a client of the server itself.
    """
    services = Services(directory)
    callback_port = redis_server.free_port()
    try:
        env = start_sandbox(services, directory, callback_port, *SANDBOX_OPTIONS, env={})
        env |= {"COUPONPRESS_LATENESS_MS": str(LATENESS_MS)}
        mchid = env["COUPONPRESS_MCHID"]
        acl = directory / "users.acl"
        acl.write_text(users_acl(Keys(mchid)))
        with (
            redis_server.running(directory, "--aclfile", str(acl)) as url,
            RedisProxy(port := urlsplit(url).port, knows_hello=False) as proxy,
        ):

            def of(role):
                login = f"{user_of(Keys(mchid), role)}:{PLACEHOLDER}-{role}"
                return env | {"COUPONPRESS_REDIS_URL": f"redis://{login}@127.0.0.1:{proxy.port}/0"}

            login = {"username": SERVER_USER, "password": f"{PLACEHOLDER}-{SERVER_USER}"}
            with redis.Redis(port=port, **login) as server:
                services.start("callback", "--port", str(callback_port), env=of("callback"))
                services.start("worker", env=of("worker"))
                try:
                    yield services, of, server
                finally:
                    services.stop()
        assert proxy.hellos == 0
    finally:
        services.stop()


def settings(env):
    values = {"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]}
    return ProducerSettings.load(values)


def started(env, *words):
    """Start a command; see `ended`."""
    command, joined = [sys.executable, "-m", "couponpress", *words], os.environ | env
    return processes.start(command, env=joined, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process):
    """Return the exit code of a command, and what it told."""
    told, _ = process.communicate(timeout=60)
    return process.returncode, told


def schedule(folder, env, server):
    """Write a catalog, and a schedule whose one night of the day was a minute ago and is due; returns the night."""
    with (folder / "catalog.csv").open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["row_id", "brand_id", "image_generation_type", "image_url"])
        writer.writerows(
            [f"n{n}", "120344", "CUT_OUT", f"https://wxpaylogo.qpic.cn/wxpaylogo/n{n}.png"] for n in range(120)
        )
    nights = NightLedger(server, Keys(env["COUPONPRESS_MCHID"]))
    at = datetime.fromtimestamp(nights.now() // 60 * 60, UTC) - timedelta(minutes=1)
    path = folder / "schedules.toml"
    lines = [
        "[schedule.prices]",
        f'cron = "{at.minute} {at.hour} * * *"',
        'time_zone = "UTC"',
        'source = "catalog.csv"',
    ]
    path.write_text("\n".join(lines) + "\n")
    nights.see("prices", at.timestamp() - 1)
    return Night("prices", at), nights, path


def test_each_service_does_its_part_with_the_rights_of_its_own_user(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_QUERY_RATE", "200/second")
    with least_fleet(tmp_path) as (services, of, server):
        keys = Keys(of("worker")["COUPONPRESS_MCHID"])
        night, nights, path = schedule(tmp_path, of("scheduler"), server)
        services.start("scheduler", env=of("scheduler") | {"COUPONPRESS_SCHEDULE_FILE": str(path)})
        gateway = running_gateway(tmp_path, of("gateway")["COUPONPRESS_REDIS_URL"], MCHID=keys.mchid)
        with Client(settings(of("producer"))) as producer, Client(settings(of("admin"))) as admin, gateway as one:
            assert producer.enqueue_many([cut_out_body(n) for n in range(250)], run="may").new == 250
            assert producer.enqueue(head_body(1), run="single").new == 1
            with one.caller() as shop:
                assert shop.post("/runs/http/specs", json=head_body(2)).status_code == 202
                rows = "\n".join(json.dumps(cut_out_body(n, row_id=f"row {n}")) for n in range(1001, 1101))
                typed = {"Content-Type": "application/x-ndjson"}
                assert shop.post("/runs/http-many/catalog", content=rows, headers=typed).json()["new"] == 100
                for run in ("http", "http-many"):
                    wait_until(lambda run=run: shop.get(f"/runs/{run}").json()["finished"], 120, f"the end of {run}")
                assert len(shop.get("/runs/http-many/results").text.splitlines()) == 100
            admin.pause(why="to see")
            admin.resume()
            admin.set_rate("400/second", why="to see")
            assert finished(producer, "may").succeeded == 250
            assert finished(producer, "single").succeeded == 1
            assert all(one.image_url for one in producer.outcomes("may"))
            wait_until(lambda: nights.record(night.run).state == "done", 40, "the end of the night")
            admin.cancel("may")
            assert {entry.act for entry in admin.audit()} >= {"pause", "resume", "limit"}
        asked = {"producer": "status may", "admin": "top --once", "metrics": "status"}
        commands = [started(of(role), *words.split()) for role, words in asked.items()]
        assert [code for code, _ in map(ended, commands)] == [0, 0, 0]
        names = [name.decode() for name in [*server.scan_iter(), *server.pubsub_channels()]]
        patterns = server.pubsub_numpat()
        refused = [(one["username"], one["object"]) for one in server.acl_log()]
        refused_worker = started(of("callback"), "worker")
        for role, act in WHAT_NONE_MAY.items():
            assert_refused(of(role), act)
        code, told = ended(refused_worker)
    assert [name for name in names if not name.startswith(keys.prefix)] == []
    assert patterns == 0
    assert refused == []
    assert code == 2, told
    assert f"ACL SETUSER {user_of(keys, 'callback')} " in told
    assert f"~{keys.bucket('submit')} " in told
    assert "Traceback" not in told


def enqueue(client):
    client.enqueue(head_body(3), run="not theirs")


#: What a role may not do, whatever its program is made to do.
WHAT_NONE_MAY = {
    "callback": enqueue,
    "metrics": enqueue,
    "producer": Client.pause,
}


def assert_refused(env, act):
    with Client(settings(env)) as client, pytest.raises(RedisRefusedError, match=r"ACL SETUSER|users\.acl"):
        act(client)


def test_celery_s_own_names_stay_below_the_partner_s_prefix(tmp_path, monkeypatch):
    """With remote control and results as well: a user who may use no other name is refused nothing."""
    monkeypatch.setenv("COUPONPRESS_CELERY_CONTROL", "true")
    monkeypatch.setenv("COUPONPRESS_CELERY_RESULTS", "true")
    port, keys, log = redis_server.free_port(), Keys(MCHID), tmp_path / "worker.log"
    process = redis_server.start(tmp_path / "server", port)
    try:
        with redis.Redis(port=port) as server:
            # A pattern that is subscribed to must stand in the rights as it is.
            own = f"~{keys.prefix}* &{keys.prefix}/0.celery.pidbox &{keys.prefix}* +@all".split()
            server.execute_command("ACL", "SETUSER", "own", "on", ">secret", *own)
            with (
                fleet(tmp_path, redis_url=f"redis://own:secret@127.0.0.1:{port}/0") as (_, env),
                client_of(env) as client,
            ):
                wait_until(lambda: " ready." in log.read_text(), 60, "the worker")
                words = ["-m", "celery", "-A", "couponpress_worker.app", "inspect", "ping", "--timeout", "10"]
                asked = processes.run(
                    [sys.executable, *words],
                    env=os.environ | env,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                client.enqueue(head_body(1), run="may")
                assert finished(client, "may").succeeded == 1
                kept = [name for name in server.scan_iter() if name.decode().startswith(keys.task_results)]
                refused = [(one["username"], one["object"]) for one in server.acl_log()]
    finally:
        redis_server.stop(process)
    assert "1 node online" in asked.stdout, asked.stdout + asked.stderr
    assert kept
    assert refused == []
