"""Traces of a real gateway, sent to a receiver of the test's own: every request, and the specs that it enqueues."""

import json
import subprocess
import sys

import pytest

from couponpress import Client
from tests.builders import KEYS, cut_out_body, producer_settings
from tests.collector import attributes_of, collector
from tests.running_gateway import running_gateway

CALLER = f"00-{0xCA11E4:032x}-{0xCA11:016x}-01"


def trace_of(client, chunk_id="u1.1"):
    return (client.hget(KEYS.chunk(chunk_id), "trace") or b"").decode()


def test_a_request_is_a_span_of_the_callers_trace_and_its_spec_carries_it(tmp_path, redis_url, client, monkeypatch):
    with collector() as (url, spans):
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        with running_gateway(tmp_path, redis_url) as gateway, gateway.caller() as caller:
            headers = {"traceparent": CALLER}
            assert caller.post("/runs/may/specs", json=cut_out_body(1), headers=headers).status_code == 202
            assert caller.get("/runs/may?secret=s3cret").status_code == 200
            lines = "\n".join(json.dumps(cut_out_body(at)) for at in range(10, 13))
            streamed = caller.post(
                "/runs/june/catalog", content=lines, headers=headers | {"Content-Type": "application/x-ndjson"}
            )
            assert streamed.is_success, streamed.text
            assert caller.get("/health").status_code == 200
            assert gateway.stop() == 0
    told = {span.name: span for service, span in spans if service == "couponpress-gateway"}
    assert sorted(told) == ["GET /v1/runs/{run:path}", "POST /v1/runs/{run}/catalog", "POST /v1/runs/{run}/specs"]
    single, catalog = told["POST /v1/runs/{run}/specs"], told["POST /v1/runs/{run}/catalog"]
    assert (single.trace_id.hex(), single.parent_span_id.hex()) == (f"{0xCA11E4:032x}", f"{0xCA11:016x}")
    assert trace_of(client) == f"00-{single.trace_id.hex()}-{single.span_id.hex()}-01"
    assert trace_of(client, "b2.1").split("-")[1] == catalog.trace_id.hex()
    assert attributes_of(single)["http.status_code"] == 202
    body = b"".join(span.SerializeToString() for span in told.values())
    assert not [text for text in (b"s3cret", b"wxpaylogo", gateway.tokens["shop"].encode()) if text in body]


def test_specs_of_several_requests_in_one_chunk_keep_each_its_trace(redis_url, client):
    with Client(producer_settings(redis_url)) as producer:
        traces = [CALLER, "", CALLER.replace("ca11e4", "ca11e5")]
        producer.enqueue_each([cut_out_body(at) for at in range(3)], run="may", traces=traces)
        assert trace_of(client) == f"{traces[0]} - {traces[2]}"
        producer.enqueue_many([cut_out_body(at) for at in range(10, 13)], run="june")
        assert not client.hexists(KEYS.chunk("b2.1"), "trace"), "a program without traces stores nothing"


def test_a_program_without_traces_loads_nothing_that_sends_them(redis_url, client):
    code = (
        "import sys; from couponpress import Client, ProducerSettings;"
        f"c = Client(ProducerSettings.load({{'redis_url': '{redis_url}', 'mchid': '{KEYS.mchid}'}}));"
        f"c.enqueue({cut_out_body(1)!r}, run='may'); c.close();"
        "senders = ('opentelemetry.exporter', 'opentelemetry.instrumentation', 'couponpress.gateway');"
        "print([name for name in sys.modules if name.startswith(senders)])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"
    assert trace_of(client) == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1"])
def test_a_collector_that_is_away_changes_nothing(tmp_path, redis_url, monkeypatch, url):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    with running_gateway(tmp_path, redis_url) as gateway, gateway.caller() as caller:
        assert caller.post("/runs/may/specs", json=cut_out_body(1)).status_code == 202
        assert gateway.stop() == 0
