"""A brand that calls for itself: a run end to end, by callbacks and by queries, against the sandbox."""

import json
import sys
import time
from collections import Counter
from os import environ

import pytest

from couponpress import Client, ProducerSettings
from couponpress_worker.demo.fleet import fleet, statistics
from couponpress_worker.sandbox.credentials import MCHID
from tests import processes
from tests.builders import cut_out_body, png

pytestmark = pytest.mark.flow


def told_by(env, *words):
    command = [sys.executable, "-m", "couponpress", *words]
    return processes.run(command, env=environ | env, check=False, capture_output=True, text=True, timeout=60)


def test_a_brand_s_run_ends_whole_and_never_takes_another_brand_s_specs(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "2")  # a lost callback is queried after 2 s
    with fleet(tmp_path, "--brand", "--strict", "--fault", "lost_callbacks=20", "--seed", "7") as (_, env):
        assert env["COUPONPRESS_SIGNS_AS"] == "brand"
        values = {"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]}
        with Client(ProducerSettings.load(values)) as client:
            own = [cut_out_body(number, brand_id=MCHID) for number in range(60)]
            client.enqueue_many([*own, cut_out_body(60, brand_id="120345")], run="brand")
            deadline = time.monotonic() + 60
            while not client.run("brand").finished:
                assert time.monotonic() < deadline, client.run("brand")
                time.sleep(0.2)
            outcomes = list(client.outcomes("brand"))
        photos = tmp_path / "photos.csv"
        photos.write_text(f"row_id,brand_id,商品图\nSP-1,{MCHID},one.png\nSP-2,{MCHID},one.png\n", encoding="utf-8")
        (tmp_path / "one.png").write_bytes(png(1))
        submitted = told_by(env, "submit", str(photos), "--watch")
        seen = statistics(env["COUPONPRESS_BASE_URL"])
        examined = told_by(env, "doctor", "--json")
        shown = told_by(env, "callback-url")

    assert Counter(one.outcome for one in outcomes) == {"succeeded": 60, "rejected": 1}
    assert [(one.brand_id, one.code, one.attempts) for one in outcomes if one.outcome == "rejected"] == [
        ("120345", "OTHER_BRAND", 0)
    ]
    assert submitted.returncode == 0, submitted.stderr
    assert "1 of 1 pictures: uploaded 1" in submitted.stderr
    assert seen["calls"]["upload"]["received"] == 1
    assert (seen["accepted"], seen["rejected"]) == (62, 0)
    assert seen["callbacks"]["lost"] > 0
    assert seen["calls"]["query"]["received"] >= seen["callbacks"]["lost"]
    findings = {finding["name"]: finding for finding in json.loads(examined.stdout)}
    assert findings["settings"]["seen"].startswith(f"brand {MCHID}")
    assert all(findings[name]["good"] for name in ("signature", "platform key", "callback url"))
    assert "platform certificates" not in findings
    assert shown.stdout.strip().endswith("/wechatpay/callback")
