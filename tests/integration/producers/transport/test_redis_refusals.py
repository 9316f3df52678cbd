"""What a real server answers when it refuses, as one sentence with its cure."""

import signal
import time

import pytest
import redis

from couponpress.cli import connection
from couponpress.client import Client
from couponpress.errors import RedisRefusedError, RedisSilentError, RedisUnavailableError
from couponpress.transport.redis_refusals import redis_unavailable
from couponpress_worker.runtime.redis_server import free_port, start, stop
from tests.builders import MCHID, producer_settings


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of its own, to be changed at will; yields its port."""
    port = free_port()
    process = start(tmp_path_factory.mktemp("refusing"), port)
    with redis.Redis(port=port) as client:
        client.execute_command("ACL", "SETUSER", "few", "on", ">secret", "~*", "+ping", "+info", "+auth")
        client.execute_command("ACL", "SETUSER", "none", "on", ">secret", "~*", "-@all")
        yield port
    stop(process)


def told(url, act):
    with pytest.raises(RedisRefusedError) as caught, Client(producer_settings(url)) as client:
        act(client)
    assert "secret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("act", [Client.runs, Client.rate, Client.holds, lambda client: client.run("may")])
def test_a_user_without_rights(server, act):
    assert "ACL SETUSER" in told(f"redis://few:secret@127.0.0.1:{server}/0", act)


def test_a_user_without_any(server):
    assert "ACL SETUSER" in told(f"redis://none:secret@127.0.0.1:{server}/0", Client.ping)


def test_a_wrong_password(server):
    assert "USER:PASSWORD@" in told(f"redis://few:secrets@127.0.0.1:{server}/0", Client.ping)


def test_no_password(server):
    with redis.Redis(port=server, single_connection_client=True) as client:
        client.config_set("requirepass", "secret")
        try:
            assert "USER:PASSWORD@" in told(f"redis://127.0.0.1:{server}/0", Client.runs)
        finally:
            client.config_set("requirepass", "")


def test_a_database_that_is_not_there(server):
    assert "no database of that number" in told(f"redis://127.0.0.1:{server}/9999", Client.ping)


def test_no_more_clients(server):
    with redis.Redis(port=server, single_connection_client=True) as client:
        before = client.config_get("maxclients")["maxclients"]
        client.config_set("maxclients", 1)
        try:
            assert "maxclients" in told(f"redis://127.0.0.1:{server}/0", Client.runs)
        finally:
            client.config_set("maxclients", before)


def test_a_replica(server):
    with redis.Redis(port=server) as client:
        client.replicaof("127.0.0.1", free_port())
        try:
            assert "the primary" in told(f"redis://127.0.0.1:{server}/0", lambda one: one.pause())
        finally:
            client.replicaof("NO", "ONE")


def test_a_server_that_is_stopped_but_not_gone_is_told_to_a_person_soon(tmp_path, monkeypatch):
    assert connection.ANSWER_SECONDS <= 5
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 0.2)
    port = free_port()
    process = start(tmp_path, port)
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", f"redis://:s3cret@127.0.0.1:{port}/0")
    monkeypatch.setenv("COUPONPRESS_MCHID", MCHID)
    process.send_signal(signal.SIGSTOP)
    try:
        for act in (Client.runs, Client.holds, Client.rate, Client.overview):
            began = time.monotonic()
            with connection.client_of_person() as client, pytest.raises(RedisSilentError) as caught:
                act(client)
            assert time.monotonic() - began < 5
            assert "`redis-cli ping`" in str(caught.value)
            assert "s3cret" not in str(caught.value)
    finally:
        process.send_signal(signal.SIGCONT)
        stop(process)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (redis.BusyLoadingError("Redis is loading the dataset in memory"), "wait until"),
        (redis.ResponseError("MISCONF Redis is configured to save RDB snapshots"), "make room"),
        (redis.ResponseError("NOREPLICAS Not enough good replicas to write."), "replicas"),
        (redis.ResponseError("SELECT is not allowed in cluster mode"), "no Redis Cluster"),
        (redis.ResponseError("unknown command 'EVALSHA', with args"), "Redis 7 or newer"),
        (redis.AuthenticationError("AUTH <password> called without any password configured"), "the server has none"),
    ],
)
def test_what_is_hard_to_bring_about(error, told):
    found = redis_unavailable("redis://host/0", error)
    assert isinstance(found, RedisRefusedError)
    assert told in str(found)


def test_what_nobody_foresaw_keeps_its_trace():
    assert redis_unavailable("redis://host/0", redis.ResponseError("ERR Error running script")) is None
    assert type(redis_unavailable("redis://host/0", redis.ConnectionError("gone"))) is RedisUnavailableError
