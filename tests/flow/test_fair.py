"""A brand with ten rows behind a large backlog of another one, in the same lane of a whole fleet."""

import time

import pytest

from couponpress.ledger.chunks import CHUNK_SIZE
from couponpress_worker.demo.fleet import fleet, statistics
from couponpress_worker.submission.leased_chunk import CHUNKS_IN_HAND
from tests.flow.test_fleet import client_of, wait_until
from tests.flow.test_limit import most_within_3_s

pytestmark = pytest.mark.flow

RATE = 200
BACKLOG = 20_000
#: For so long the chunks that are in hand when a brand comes keep the fleet busy.
IN_HAND_SECONDS = CHUNKS_IN_HAND * CHUNK_SIZE / RATE


def rows(brand, count):
    picture = {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/7.png"}
    task = {"brand_id": brand, "image_generation_type": "CUT_OUT", "cut_out": picture}
    return ({**task, "row_id": f"{brand} {number}"} for number in range(count))


def test_ten_rows_do_not_wait_for_another_brands_backlog(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_RATE", f"{RATE}/second")
    with fleet(tmp_path) as (_, env), client_of(env) as client:
        began = time.monotonic()
        client.enqueue_many(rows("1", BACKLOG), run="large")
        base_url = env["COUPONPRESS_BASE_URL"]
        # One brand alone has the whole limit; a demo fleet's lateness budget leaves 91 %.
        wait_until(lambda: most_within_3_s(base_url, began * 1e6) >= 0.8 * RATE * 3, 60, "a rate near the limit")
        enqueued = time.monotonic()
        client.enqueue_many(rows("2", 10), run="small")
        wait_until(lambda: not client.run("small").waiting, 60, "the small run on the wire")
        waited = time.monotonic() - enqueued
        left = client.run("large").waiting
        seen = statistics(base_url)
    assert waited <= IN_HAND_SECONDS + 2
    assert left > BACKLOG / 2  # the backlog is far from its end
    assert seen["most_in_any_second"] <= RATE
