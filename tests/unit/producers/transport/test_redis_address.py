"""Which Redis addresses are understood, and what redis-py is told of them."""

import asyncio
import ssl
from urllib.parse import quote

import pytest
import redis.asyncio

from couponpress.transport.redis_address import RedisAddress
from couponpress_worker.store.client import FleetRedis, fleet_redis

SENTINELS = "sentinel://coupons:p%2Fw@one:26379,two,[::1]:26381/mymaster/3?sentinel_password=s%20p"


def told_of(url, **options):
    with RedisAddress.parse(url).client(**options) as client:
        return client.connection_pool.connection_kwargs


def test_a_server_is_told_to_redis_py():
    told = told_of("redis://:secret@host:6380/3", socket_timeout=7)
    assert (told["host"], told["port"], told["db"], told["password"], told["socket_timeout"]) == (
        ("host", 6380, 3, "secret", 7)
    )


@pytest.mark.parametrize(("url", "protocol"), [("redis://host", 2), ("redis://host?protocol=2", 2)])
def test_resp2_is_spoken(url, protocol):
    assert told_of(url)["protocol"] == protocol


@pytest.mark.parametrize(
    "url", ["redis://host?protocol=3", "sentinel://one/mymaster?protocol=3", "unix:///s?protocol=3"]
)
def test_resp3_is_spoken_where_it_is_asked_for(url):
    assert told_of(url)["protocol"] == 3


@pytest.mark.parametrize("url", ["redis://host/4", "redis://host?db=4", "redis://host/?db=4", "redis://host/4?db=4"])
def test_a_database_stands_behind_the_slash_or_in_an_option(url):
    assert RedisAddress.parse(url).database == told_of(url)["db"] == 4


@pytest.mark.parametrize("text", ["p@ss:w/o#r?d", "%41", "a b+c", "密码", "[x]", "ａ＃", "'\"\\"])
def test_user_and_password_may_have_any_character(text):
    encoded = quote(text, safe="")
    for url in ("redis://%s:%s@h/0", "rediss://%s:%s@h/0", "unix://%s:%s@/s", "sentinel://%s:%s@h/mymaster"):
        told = told_of(url % (encoded, encoded))
        assert (told["username"], told["password"]) == (text, text)


def test_only_what_ends_an_address_must_be_encoded_in_a_password():
    told = told_of("redis://user:p@ss:[wörd@host:6379/1")
    assert (told["username"], told["password"], told["host"]) == ("user", "p@ss:[wörd", "host")


def test_an_ipv6_address_stands_in_brackets():
    told = told_of("redis://[fd00::17]:6380/0")
    assert (told["host"], told["port"]) == ("fd00::17", 6380)
    assert RedisAddress.parse("redis://[fd00::17]/0").label == "[fd00::17]:6379"


def test_a_socket_is_told_to_redis_py():
    address = RedisAddress.parse("unix://user:secret@/run/my%20redis.sock?db=2")
    with address.client() as client:
        pool = client.connection_pool
        assert pool.connection_class is redis.UnixDomainSocketConnection
        told = pool.connection_kwargs
    assert (told["path"], told["db"], told["username"]) == ("/run/my redis.sock", 2, "user")
    assert address.label == "/run/my redis.sock"


def connection_of(url):
    with RedisAddress.parse(url).client() as client:
        return client.connection_pool.connection_class(**client.connection_pool.connection_kwargs)


def test_tls_checks_the_certificate():
    connection = connection_of("rediss://user:secret@host/0")
    assert (connection.cert_reqs, connection.check_hostname, connection.username) == (ssl.CERT_REQUIRED, True, "user")
    assert RedisAddress.parse("rediss://host").is_verified


def test_tls_has_an_authority_and_a_certificate_of_its_own():
    options = "ssl_ca_certs=/ca.pem&ssl_certfile=/c.pem&ssl_keyfile=/k.pem&ssl_password=s%40p&ssl_check_hostname=false"
    connection = connection_of(f"rediss://host/0?{options}")
    seen = connection.ca_certs, connection.certfile, connection.keyfile, connection.certificate_password
    assert seen == ("/ca.pem", "/c.pem", "/k.pem", "s@p")
    assert not connection.check_hostname


def test_tls_may_trust_anybody_only_where_that_is_asked_for():
    address = RedisAddress.parse("rediss://host/0?ssl_cert_reqs=none&ssl_check_hostname=false")
    assert not address.is_verified
    assert connection_of("rediss://host/0?ssl_cert_reqs=none&ssl_check_hostname=false").cert_reqs == ssl.CERT_NONE


def test_files_that_cannot_be_read_are_named(tmp_path):
    there = tmp_path / "ca.pem"
    there.write_text("")
    url = f"rediss://host/0?ssl_ca_certs={there}&ssl_certfile=/nowhere/c.pem&ssl_keyfile=/nowhere/k.pem"
    assert list(RedisAddress.parse(url).unreadable_files()) == ["ssl_certfile", "ssl_keyfile"]


@pytest.mark.parametrize("url", [SENTINELS, SENTINELS.replace(",", ";")])
def test_sentinels_are_asked_by_both_kinds_of_clients(url):
    address = RedisAddress.parse(url)
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
    assert {one["protocol"] for one in sentinels} == {2}
    assert pool.service_name == "mymaster"
    access = pool.connection_kwargs
    assert (access["db"], access["username"], access["password"]) == (3, "coupons", "p/w")


def test_tls_goes_to_servers_and_sentinels_alike():
    url = SENTINELS.replace("sentinel://", "sentinels://") + "&ssl_ca_certs=/ca.pem"
    with RedisAddress.parse(url).client() as client:
        pool = client.connection_pool
        assert issubclass(pool.connection_class, redis.SSLConnection)
        assert pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"
        for one in pool.sentinel_manager.sentinels:
            assert issubclass(one.connection_pool.connection_class, redis.SSLConnection)
            assert one.connection_pool.connection_kwargs["ssl_ca_certs"] == "/ca.pem"

    async def act():
        async with RedisAddress.parse(url).async_client(redis.asyncio.Redis) as client:
            assert issubclass(client.connection_pool.connection_class, redis.asyncio.SSLConnection)

    asyncio.run(act())


def test_nothing_but_hosts_and_a_name_is_needed():
    address = RedisAddress.parse("sentinel://one/mymaster")
    assert (address.sentinels, address.master, address.database) == ((("one", 26379),), "mymaster", 0)
    assert address.label == "mymaster of one:26379"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("redis://host:6379/1?db=3", "two databases"),
        ("redis://host:6379?db=secret", "db=0"),
        ("redis://host:6379/0?password=secret", "takes only protocol, db behind"),
        ("redis://host:6379/0?protocol=4", "takes only 2, 3 for protocol"),
        ("redis://host:6379/0?ssl_ca_certs=/ca.pem", "takes only protocol, db behind"),
        ("rediss://host:6379/0?ssl_cert_reqs=maybe", "takes only required, none"),
        ("redis://host:6379/coupons", "as in /0"),
        ("redis://host:6379/0/1", "as in /0"),
        ("rediss://:secret@host:6379/-1", "as in /0"),
        ("redis://:se/cret@host:6379/0", "percent-encoded"),
        ("redis://host:70000/0", "must read like redis://"),
        ("sentinel://one:26379", "sentinel://:password@host"),
        ("sentinel://one:26379/0", "sentinel://:password@host"),
        ("sentinel://one:26379/", "sentinel://:password@host"),
        ("sentinel://one:0/mymaster", "sentinel://:password@host"),
        ("sentinel://one:70000/mymaster", "sentinel://:password@host"),
        ("sentinel://one,,two/mymaster", "sentinel://:password@host"),
        ("sentinel://one/mymaster/secret", "as in /0"),
        ("sentinel://one/mymaster?db=secret", "db=0"),
        ("sentinel://one/mymaster?ssl_ca_certs=/secret", "sentinel_password"),
        ("sentinel://:se/cret@one/mymaster", "percent-encoded"),
        ("unix://run/redis.sock", "must read like redis://"),
        ("unix://", "must read like redis://"),
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
