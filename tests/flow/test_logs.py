"""A fleet with faults that logs JSON: every line is one object, and none holds a key, a token or a body."""

import json
import re
import time
from pathlib import Path

import httpx
import pytest

from couponpress import Client, ProducerSettings
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress_worker.demo.fleet import fleet, sample_catalog
from tests.running_gateway import running_gateway

pytestmark = pytest.mark.flow

FAULTS = ["errors=5", "resets_after=2", "lost_callbacks=2", "doubled_callbacks=3", "probe_callbacks=2"]
#: How secrets and bodies look; what of them is fixed is added in the test.
FORBIDDEN = ["PRIVATE KEY", "WECHATPAY2-", "signature=", "Bearer", "ciphertext", "image_generation_type", "wxpaylogo"]


def wait_until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)
    return value


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_line_of_every_service_is_one_object_without_secrets(tmp_path, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_CALLBACK_SPAN", "3")
    monkeypatch.setenv("COUPONPRESS_LOG", "json")
    options = ["--seed", "7", "--callback-interval", "1"] + [word for fault in FAULTS for word in ("--fault", fault)]
    with fleet(tmp_path, *options) as (services, env):
        services.start("scheduler", env=env)
        catalog = tmp_path / "catalog.csv"
        sample_catalog.write(catalog, rows=200)
        settings = ProducerSettings.load({"redis_url": env["COUPONPRESS_REDIS_URL"], "mchid": env["COUPONPRESS_MCHID"]})
        with running_gateway(tmp_path, settings.redis_url, MCHID=settings.mchid) as gateway, Client(settings) as client:
            client.enqueue_many(CatalogUpload([str(catalog)]).specs(), run="autumn")
            with gateway.caller() as caller:
                ids = {"X-Request-ID": "shop-17"}
                assert caller.get("/runs/none", headers=ids).headers["X-Request-ID"] == "shop-17"
            forged = {"Wechatpay-Signature": "c2VjcmV0", "Wechatpay-Serial": "x\ty", "Request-ID": "forged"}
            for port in re.findall(r"127\.0\.0\.1:(\d+)/wechatpay", (tmp_path / "callback.log").read_text()):
                httpx.post(f"http://127.0.0.1:{port}/wechatpay/callback", headers=forged, content=b"{}")
            wait_until(lambda: client.run("autumn").finished, 90, "the end of the run")
            tokens = list(gateway.tokens.values())
        files = [env["COUPONPRESS_MCH_PRIVATE_KEY_FILE"], env["COUPONPRESS_APIV3_KEY_FILE"]]
        secrets = [word for name in files for word in Path(name).read_text().split() if len(word) > 16]
    names = ["worker", "callback", "scheduler", "gateway"]
    logs = {name: (tmp_path / f"{name}.log").read_text() for name in names}
    lines = {name: lines_of(tmp_path / f"{name}.log") for name in names}
    for name in names:
        assert lines[name], name
        assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines[name]), name
        for word in [*FORBIDDEN, *secrets, *tokens]:
            assert word not in logs[name], (name, word)
    answered = [line for line in lines["worker"] if line["logger"].endswith("event_log") and line.get("request_id")]
    assert {(line["run"], line["chunk"][0]) for line in answered} == {("autumn", "b")}
    assert all(line["task_id"] and line["request_id"] in line["message"] for line in answered)
    hints = [line for line in lines["worker"] if line["logger"].startswith("celery") and "hint" in line]
    assert any("received" in line["message"] and line["chunk"].startswith("b") for line in hints)
    refused = [line for line in lines["callback"] if "refused" in line["message"]]
    assert any(line.get("request_id") for line in refused)
