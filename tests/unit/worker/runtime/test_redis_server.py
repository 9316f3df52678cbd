import redis


def test_the_server_runs_as_the_ledger_needs_it(redis_url):
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        asked = client.config_get("appendonly", "maxmemory-policy", "hash-max-listpack-entries")
    assert asked == {"appendonly": "yes", "maxmemory-policy": "noeviction", "hash-max-listpack-entries": "512"}
