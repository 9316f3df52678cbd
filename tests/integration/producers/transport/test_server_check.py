"""What is said of a server that cannot be used, and of a user who may not do enough, before anything is sent."""

from urllib.parse import urlsplit

import pytest
import redis

from couponpress.errors import RedisRefusedError
from couponpress.keys import Keys
from couponpress.redis_rights import ROLES, rules
from couponpress.transport.redis_address import RedisAddress
from couponpress.transport.server_check import check_server, grant, missing_rights, objections
from couponpress_worker.runtime import redis_server
from tests.builders import MCHID
from tests.redis_proxy import RedisProxy

KEYS = Keys(MCHID)
INFO = {"redis_version": "7.2.4", "role": "master", "cluster_enabled": 0, "run_id": "a" * 40}


@pytest.fixture(scope="module")
def port(tmp_path_factory):
    port = redis_server.free_port()
    process = redis_server.start(tmp_path_factory.mktemp("server"), port)
    yield port
    redis_server.stop(process)


@pytest.fixture
def admin(port):
    with redis.Redis(port=port) as admin:
        admin.flushall()
        admin.acl_log_reset()
        yield admin


def checked(port, role, user="few", host="127.0.0.1"):
    url = f"redis://{user}:secret@{host}:{port}/0" if user else f"redis://{host}:{port}/0"
    check_server(RedisAddress.parse(url), "redis://…", KEYS, role)


def let(admin, *words, user="few"):
    admin.execute_command("ACL", "SETUSER", user, "reset", "on", ">secret", *words)


@pytest.mark.parametrize("role", ROLES)
def test_a_user_of_the_delivered_file_may_do_all(admin, port, role):
    let(admin, *rules(KEYS, role))
    checked(port, role)
    assert admin.acl_log() == []
    assert admin.dbsize() == 0


@pytest.mark.parametrize("role", ROLES)
def test_each_missing_right_is_named_by_the_rule_that_grants_it(admin, port, role):
    """Without any one of its rules, a user lacks exactly that one."""
    own = rules(KEYS, role)
    with RedisAddress.parse(f"redis://few:secret@127.0.0.1:{port}/0").client() as client:
        for rule in own:
            if rule in {"+multi", "+discard", "+exec", "+watch"}:
                continue
            let(admin, *[one for one in own if one != rule])
            found = missing_rights(client, KEYS, role)
            # Where a command is missing that names are tried with, no more can be told of them.
            assert found == [rule]
    assert admin.dbsize() == 0


def test_the_line_that_grants_is_told_and_grants(admin, port):
    own = rules(KEYS, "worker")
    let(admin, *[one for one in own if one not in {"+brpop", f"~{KEYS.holds}"}])
    with pytest.raises(RedisRefusedError) as caught:
        checked(port, "worker")
    line = caught.value.cure
    assert line == f"ACL SETUSER few +brpop ~{KEYS.holds}"
    admin.execute_command(*line.split())
    checked(port, "worker")


def test_a_user_who_may_not_ask_who_it_is_gets_a_line_to_fill_in(admin, port):
    let(admin, "~*", "+ping")
    with RedisAddress.parse(f"redis://few:secret@127.0.0.1:{port}/0").client() as client:
        assert grant(client, ["+get"]) == "ACL SETUSER USER +get"


def test_who_may_not_ask_for_info_is_told(admin, port):
    let(admin, "~*", "&*", "+@all", "-info")
    with pytest.raises(RedisRefusedError, match=r"ACL SETUSER few \+info"):
        checked(port, "worker")


def test_a_replica_is_told(admin, port):
    admin.replicaof("127.0.0.1", redis_server.free_port())
    try:
        with pytest.raises(RedisRefusedError, match=r"replica.*name the primary"):
            checked(port, "worker", user="")
    finally:
        admin.replicaof("NO", "ONE")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--cluster-enabled", "yes", "--cluster-port", "{free}"), r"cluster.*single server"),
        (("--rename-command", "EVALSHA", ""), "runs no scripts"),
    ],
    ids=["cluster", "no scripts"],
)
def test_a_server_of_another_kind_is_told(tmp_path, options, told):
    filled = [word.format(free=redis_server.free_port()) for word in options]
    with redis_server.running(tmp_path, *filled) as url, pytest.raises(RedisRefusedError, match=told):
        checked(urlsplit(url).port, "worker", user="")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({}, None),
        ({"redis_version": "6.2.14"}, "Redis 6.2.14 is too old"),
        ({"redis_version": "5.0.3"}, "too old"),
        ({"redis_version": "8.0.1"}, None),
        ({"run_id": ""}, "no run_id"),
        ({"role": "slave"}, "replica"),
        ({"cluster_enabled": 1}, "cluster"),
    ],
)
def test_what_info_tells_against_a_server(changed, told):
    found = [one.seen for one in objections(INFO | changed)]
    assert len(found) == (told is not None)
    assert told is None or told in found[0]


def test_a_full_server_is_no_objection(admin, port):
    admin.config_set("maxmemory", 1)
    try:
        checked(port, "worker", user="")
    finally:
        admin.config_set("maxmemory", 0)


def test_a_proxy_that_speaks_resp2_alone_is_no_objection(admin, port):
    with RedisProxy(port, knows_hello=False) as proxy:
        checked(proxy.port, "worker", user="")
