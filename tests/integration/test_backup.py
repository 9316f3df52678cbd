"""The backup of deploy/README.md: its commands on a server that works, its copy in another server, and on it goes."""

import re
import shutil

import pytest
import redis

from couponpress import Client, UnknownRunError
from couponpress_worker.runtime import redis_server
from tests.builders import KEYS, assert_consistent, producer_settings
from tests.pages import ROOT

SERVER = "docker compose exec redis valkey-cli "
COPY = "docker compose cp redis:/data/appendonlydir backup/"


def steps():
    """The commands of the page, in their order."""
    section = (ROOT / "deploy" / "README.md").read_text("utf-8").partition("## Backup and restore\n")[2]
    block = re.search(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)[1]
    return block.splitlines()


def specs(numbers):
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"}
    for number in numbers:
        yield {"row_id": str(number), "brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": picture}


def test_a_copy_of_the_data_goes_on_in_another_server(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    port = redis_server.free_port()
    server = redis_server.start(first, port)
    try:
        with Client(producer_settings(f"redis://127.0.0.1:{port}/0")) as client, redis.Redis(port=port) as plain:
            assert client.enqueue_many(specs(range(250)), run="before").new == 250
            copies = 0
            for step in steps():
                if step == COPY:
                    assert plain.info("persistence")["aof_rewrite_in_progress"] == 0
                    shutil.copytree(first / "appendonlydir", second / "appendonlydir")
                    copies += 1
                else:
                    assert step.startswith(SERVER), step
                    plain.execute_command(*step.removeprefix(SERVER).split())
            assert copies == 1
            assert plain.config_get("auto-aof-rewrite-percentage") == {"auto-aof-rewrite-percentage": "100"}
            client.enqueue_many(specs(range(250, 300)), run="before")
            client.enqueue_many(specs(range(10)), run="after")
    finally:
        redis_server.stop(server)
    port = redis_server.free_port()
    server = redis_server.start(second, port)
    try:
        with Client(producer_settings(f"redis://127.0.0.1:{port}/0")) as client, redis.Redis(port=port) as plain:
            assert client.run("before").total == 250
            with pytest.raises(UnknownRunError):
                client.run("after")
            # What the copy does not know is new again, under the task_ids that it had.
            receipt = client.enqueue_many(specs(range(300)), run="before")
            assert (receipt.new, receipt.known) == (50, 250)
            assert_consistent(plain, KEYS)
    finally:
        redis_server.stop(server)
