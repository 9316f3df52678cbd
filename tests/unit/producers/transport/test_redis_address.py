"""Which Redis addresses are understood, and what the two libraries are told."""

import asyncio
import ssl

import pytest
import redis.asyncio

from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.store.client import FleetRedis, fleet_redis

SENTINELS = "sentinel://coupons:p%2Fw@one:26379,two,[::1]:26381/mymaster/3?sentinel_password=s%20p"


def test_a_server_is_handed_on_as_it_was_given():
    celery = RedisAddress.parse("redis://:secret@host:6380/3").celery()
    assert (celery["broker_url"], celery["result_backend"]) == ("redis://:secret@host:6380/3",) * 2
    assert (celery["broker_use_ssl"], celery["redis_backend_use_ssl"]) == (None, None)
    with RedisAddress.parse("redis://:secret@host:6380/3").client(socket_timeout=7) as client:
        told = client.connection_pool.connection_kwargs
    assert (told["host"], told["port"], told["db"], told["password"], told["socket_timeout"]) == (
        ("host", 6380, 3, "secret", 7)
    )


def test_tls_checks_the_certificate_on_both_sides():
    address = RedisAddress.parse("rediss://user:secret@host/0")
    celery = address.celery()
    assert celery["broker_use_ssl"] == celery["redis_backend_use_ssl"] == {"ssl_cert_reqs": ssl.CERT_REQUIRED}
    with address.client() as client:
        connection = client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)
    assert (connection.cert_reqs, connection.username) == (ssl.CERT_REQUIRED, "user")


def test_sentinels_are_told_to_celery_in_its_own_form():
    celery = RedisAddress.parse(SENTINELS).celery()
    login = "coupons:p%2Fw@"
    hosts = ("one:26379", "two:26379", "::1:26381")
    assert celery["broker_url"] == ";".join(f"sentinel://{login}{host}/3" for host in hosts)
    assert celery["result_backend"] == celery["broker_url"]
    for options in (celery["broker_transport_options"], celery["result_backend_transport_options"]):
        assert options["master_name"] == "mymaster"
        assert options["sentinel_kwargs"]["password"] == "s p"  # the Sentinels' own, not the server's


def test_sentinels_are_asked_by_both_kinds_of_clients():
    address = RedisAddress.parse(SENTINELS.replace(",", ";"))  # as Celery separates them
    with address.client() as client:
        assert_asks(client)

    async def act():
        async with fleet_redis(address) as client:
            assert isinstance(client, FleetRedis)
            assert_asks(client)

    asyncio.run(act())


def assert_asks(client):
    pool = client.connection_pool
    sentinels = [one.connection_pool.connection_kwargs for one in pool.sentinel_manager.sentinels]
    assert [(one["host"], one["port"]) for one in sentinels] == [("one", 26379), ("two", 26379), ("::1", 26381)]
    assert {one["password"] for one in sentinels} == {"s p"}
    assert pool.service_name == "mymaster"
    access = pool.connection_kwargs
    assert (access["db"], access["username"], access["password"]) == (3, "coupons", "p/w")


def test_nothing_but_hosts_and_a_name_is_needed():
    address = RedisAddress.parse("sentinel://one/mymaster")
    assert (address.sentinels, address.master, address.access) == ((("one", 26379),), "mymaster", {"db": 0})
    assert address.celery()["broker_url"] == "sentinel://one:26379/0"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host:6379?db=3", "behind the slash"),
        ("redis://host:6379/0?password=secret", "behind the slash"),
        ("redis://host:6379/coupons", "as in /0"),
        ("redis://host:6379/0/1", "as in /0"),
        ("rediss://:secret@host:6379/-1", "as in /0"),
        ("sentinel://one:26379", "sentinel://:password@host"),
        ("sentinel://one:26379/0", "sentinel://:password@host"),
        ("sentinel://one:26379/", "sentinel://:password@host"),
        ("sentinel://one:0/mymaster", "sentinel://:password@host"),
        ("sentinel://one:70000/mymaster", "sentinel://:password@host"),
        ("sentinel://one,,two/mymaster", "sentinel://:password@host"),
        ("sentinel://one/mymaster/secret", "sentinel://:password@host"),
        ("sentinel://one/mymaster?db=secret", "sentinel_password"),
        ("sentinel://:se/cret@one/mymaster", "percent-encoded"),
        ("unix:///run/redis.sock", "must read like redis://"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_form_to_use(url, told):
    with pytest.raises(ValueError, match=told) as caught:
        RedisAddress.parse(url)
    assert "secret" not in str(caught.value)


def test_no_password_is_shown():
    shown = repr(RedisAddress.parse(SENTINELS)) + repr(RedisAddress.parse("redis://:secret@host/0"))
    assert not [secret for secret in ("secret", "p/w", "p%2Fw", "s p", "s%20p") if secret in shown]


def test_an_asyncio_client_is_of_the_class_asked_for():
    async def act():
        async with RedisAddress.parse("redis://host/2").async_client(redis.asyncio.Redis) as client:
            assert client.connection_pool.connection_kwargs["db"] == 2

    asyncio.run(act())
