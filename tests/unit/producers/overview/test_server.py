"""What Redis says of itself."""

import pytest

from couponpress.overview.server import redis_state

GOOD = {
    "redis_version": "7.2.4",
    "server_name": "valkey",
    "valkey_version": "9.1.2",
    "run_id": "abc",
    "uptime_in_seconds": 60,
    "connected_clients": 7,
    "used_memory": 80,
    "maxmemory": 100,
    "maxmemory_policy": "noeviction",
    "aof_enabled": 1,
    "aof_last_write_status": "ok",
    "rdb_last_bgsave_status": "ok",
    "rdb_last_save_time": 1_700_000_000,
}


def test_a_server_that_is_well_has_no_trouble():
    told = redis_state(GOOD)
    assert (told.kind, told.version, told.memory_used, told.memory_max) == ("valkey", "9.1.2", 80, 100)
    assert (told.appends, told.saved_at, told.troubles) == (True, 1_700_000_000.0, ())


@pytest.mark.parametrize(
    ("changes", "cure"),
    [
        ({"maxmemory_policy": "allkeys-lru"}, "noeviction"),
        ({"used_memory": 95}, "raise maxmemory"),
        ({"aof_enabled": 0}, "appendonly yes"),
        ({"aof_last_write_status": "err"}, "append-only file"),
        ({"rdb_last_bgsave_status": "err"}, "snapshot"),
    ],
)
def test_each_trouble_has_its_cure(changes, cure):
    (trouble,) = redis_state(GOOD | changes).troubles
    assert cure in trouble


def test_a_server_without_a_bound_is_never_nearly_full():
    assert redis_state(GOOD | {"maxmemory": 0, "used_memory": 10**12}).troubles == ()


def test_fields_that_a_managed_server_hides_are_empty():
    told = redis_state({})
    assert (told.kind, told.version, told.run_id, told.policy, told.memory_max) == ("redis", "", "", "", 0)
