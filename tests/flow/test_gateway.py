"""A shop speaks to the gateway only: specs go in over HTTP, picture URLs come out, with a real fleet between."""

import json
import time

import pytest

from tests.builders import cut_out_body, head_body
from tests.running_gateway import running_gateway

pytestmark = pytest.mark.flow


def test_specs_go_in_over_http_and_picture_urls_come_out(plain_fleet, tmp_path):
    url, mchid = plain_fleet["COUPONPRESS_REDIS_URL"], plain_fleet["COUPONPRESS_MCHID"]
    with (
        running_gateway(tmp_path, url, MCHID=mchid) as one,
        one.caller() as shop,
    ):
        assert shop.post("/runs/single/specs", json=head_body(1)).status_code == 202
        rows = "\n".join(json.dumps(cut_out_body(number, row_id=f"row {number}")) for number in range(1, 251))
        sent = shop.post("/runs/many/catalog", content=rows, headers={"Content-Type": "application/x-ndjson"})
        assert sent.json()["new"] == 250
        deadline = time.monotonic() + 90
        while not all(run["finished"] for run in shop.get("/runs").json()["runs"]):
            assert time.monotonic() < deadline, shop.get("/runs").text
            time.sleep(0.2)
        lines = [json.loads(line) for line in shop.get("/runs/many/results").text.splitlines()]
        assert [line["row_id"] for line in lines] == [f"row {number}" for number in range(1, 251)]
        assert all(line["outcome"] == "succeeded" and line["image_url"] for line in lines)
        assert shop.get("/specs/head-000001").json()["state"] == "succeeded"
