"""An upload during which its Redis is killed and started again, with and without what it had stored."""

import shutil

import pytest
import redis

from couponpress import Client, RedisRestartedError, UnknownRunError
from couponpress_worker.runtime import redis_server
from tests.builders import KEYS, assert_consistent, producer_settings, spec

ROWS = 350


@pytest.mark.parametrize("forgets", [False, True])
def test_such_an_upload_is_refused_before_it_is_sealed_and_the_same_again_completes_it(tmp_path, forgets):
    port = redis_server.free_port()
    servers = [redis_server.start(tmp_path, port)]

    def specs():
        for number in range(1, ROWS + 1):
            if number == 201:
                servers[-1].kill()
                servers[-1].wait()
                if forgets:
                    shutil.rmtree(tmp_path / "appendonlydir")
                servers.append(redis_server.start(tmp_path, port))
            yield spec(number)

    try:
        with Client(producer_settings(f"redis://127.0.0.1:{port}/0")) as producer, redis.Redis(port=port) as plain:
            with pytest.raises(RedisRestartedError, match="Give the same command again"):
                producer.enqueue_many(specs(), run="june")
            kept = 0 if forgets else ROWS
            if forgets:
                with pytest.raises(UnknownRunError):
                    producer.run("june")
            else:
                assert (producer.run("june").uploading, producer.run("june").total) == (ROWS, 0)
            assert not plain.exists(KEYS.open("bulk"))
            for lock in plain.scan_iter("*upload*"):  # or wait until the silent upload counts as dead
                plain.delete(lock)
            receipt = producer.enqueue_many((spec(number) for number in range(1, ROWS + 1)), run="june")
            assert (receipt.new, receipt.known) == (ROWS - kept, kept)
            assert (producer.run("june").uploading, producer.run("june").total) == (0, ROWS)
            assert_consistent(plain)
    finally:
        redis_server.stop(servers[-1])
