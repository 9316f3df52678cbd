"""Bodies that come slowly, over HTTP."""

import json
import time

from tests.builders import cut_out_body
from tests.integration.producers.gateway.test_gateway import IMPATIENT, NDJSON
from tests.running_gateway import running_gateway


def test_a_stream_that_comes_slowly_is_no_slow_client(tmp_path, redis_url, client):
    """Three times as long as a whole body may take, at a fraction of its least rate."""

    def lines():
        since = time.monotonic()
        number = 0
        while time.monotonic() - since < 6.0:
            number += 1
            yield (json.dumps(cut_out_body(number)) + "\n").encode() if number % 2 else b"\n"
            time.sleep(0.5)  # a program has a new row now and then

    with (
        running_gateway(tmp_path, redis_url, program=("-c", IMPATIENT)) as one,
        one.caller("shop") as caller,
    ):
        answer = caller.post("/runs/live/catalog", content=lines(), headers=NDJSON)
    assert answer.status_code == 202, answer.text
    assert answer.json()["new"] >= 5
