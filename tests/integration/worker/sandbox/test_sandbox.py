"""The sandbox as its clients meet it: its own process, real HTTP, real signatures on both sides."""

import asyncio
import json
import queue
import secrets
import signal
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from couponpress.errors import InputError, ListenError
from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.runtime.redis_server import free_port
from couponpress_worker.sandbox.calls import body_digest
from couponpress_worker.sandbox.options import SandboxOptions
from couponpress_worker.sandbox.routes import ECHO_PATH, SUBMIT_PATH
from couponpress_worker.sandbox.serve import run
from couponpress_worker.sandbox.window import SlidingWindow
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.signing import Signer, Verifier, new_nonce, unseal
from tests.sandboxes import running

BODY = {
    "brand_id": "120344",
    "image_generation_type": "COMBINE_IMAGE",
    "combine_image": {
        "scope": "ALL",
        "type": "DISCOUNT",
        "usage_mode": "SINGLE",
        "discount_coupon": {"threshold": 10000, "percent_off": 20},
    },
}
QUERY = "brand_id=120344&image_generation_type=COMBINE_IMAGE"


class Partner:
    """A client that does everything right unless told otherwise."""

    def __init__(self, sandbox):
        names = {name.removeprefix("COUPONPRESS_").lower(): value for name, value in sandbox.environment.items()}
        self.settings = Settings.load(names)
        self.secrets = Secrets.read(self.settings)
        self.signer = Signer(self.settings.mchid, self.settings.mch_serial_no, self.secrets.private_key)
        self.verifier = Verifier(self.secrets.public_keys)
        ca_file = self.settings.ca_file
        context = ssl.create_default_context(cafile=ca_file) if ca_file else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.http = httpx.Client(base_url=self.settings.base_url, verify=context, trust_env=False, timeout=10)

    def call(self, method, target, body=b"", **options):
        authorization = self.signer.authorization(method, target, body, timestamp=int(time.time()), nonce=new_nonce())
        headers = {
            "Authorization": authorization,
            "Accept": "application/json",
            "Content-Type": "application/json",
            "Wechatpay-Serial": self.settings.wechatpay_public_key_id,
        }
        return self.http.request(method, target, content=body, headers=headers, **options)

    def submit(self, task_id=None, **options):
        body = json.dumps(BODY | {"task_id": task_id or f"task_{secrets.token_hex(8)}"}).encode()
        return self.call("POST", SUBMIT_PATH, body, **options)

    def objection(self, answer):
        return self.verifier.objection(answer.headers, answer.content, now=time.time())

    def opened(self, callback):
        resource = json.loads(callback.body)["resource"]
        data = resource["associated_data"].encode()
        return json.loads(unseal(self.secrets.apiv3_key, resource["nonce"].encode(), resource["ciphertext"], data))


class Callback:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.id = json.loads(body)["id"]


@contextmanager
def receiving(*statuses):
    """Receive callbacks on a port of its own; answers `statuses` in turn, then 204 for ever."""
    callbacks, answers = queue.Queue(), iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(next(answers, 204))
            self.send_header("Content-Length", "0")
            self.end_headers()
            callbacks.put(Callback(self.path, self.headers, body))

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    callbacks.url = f"http://127.0.0.1:{server.server_port}/wechatpay/callback"
    try:
        yield callbacks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def eventually(read, wanted):
    """Wait for a condition; the deadline only ends a test that has failed."""
    deadline = time.monotonic() + 20
    while not wanted(found := read()):
        assert time.monotonic() < deadline, found
        time.sleep(0.01)
    return found


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("sandbox")


@pytest.fixture(scope="module")
def served(directory):
    with running(directory, picture_seconds=0.05, callback_interval_seconds=0.05) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def served_over_tls(directory):
    with running(directory, tls=True) as sandbox:
        yield sandbox


@contextmanager
def as_started(sandbox):
    before = sandbox.control()
    sandbox.reset()
    yield sandbox
    sandbox.control(**before)


@pytest.fixture
def sandbox(served):
    """The module's sandbox, as it was when it started."""
    with as_started(served) as sandbox:
        yield sandbox


@pytest.fixture
def partner(sandbox):
    partner = Partner(sandbox)
    with partner.http:
        yield partner


def test_from_submit_to_a_picture_that_can_be_opened(sandbox, partner):
    with receiving() as callbacks:
        sandbox.control(notify_url=callbacks.url)
        answer = partner.submit("task_from_submit_to_picture")
        assert (answer.status_code, answer.json()) == (
            200,
            {"task_id": "task_from_submit_to_picture", "brand_id": "120344"},
        )
        assert partner.objection(answer) is None
        assert answer.headers["Request-ID"].endswith("-0")
        callback = callbacks.get(timeout=20)
    assert callback.path == "/wechatpay/callback"
    assert callback.headers["Content-Type"] == "application/json"
    assert partner.verifier.objection(callback.headers, callback.body, now=time.time()) is None
    told = partner.opened(callback)
    assert (told["task_id"], told["task_state"]) == ("task_from_submit_to_picture", "SUCCESS")
    asked = partner.call("GET", f"{SUBMIT_PATH}/{told['task_id']}?{QUERY}")
    assert asked.json() == told
    assert partner.objection(asked) is None
    picture = partner.http.get(told["combine_image_result"]["image_url"])
    assert picture.headers["Content-Type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_over_tls_with_the_authority_that_the_env_names(served_over_tls):
    with as_started(served_over_tls) as sandbox:
        partner = Partner(sandbox)
        with partner.http:
            assert partner.settings.base_url.startswith("https://")
            assert partner.objection(partner.submit()) is None
        with httpx.Client() as stranger, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            stranger.get(sandbox.base_url)
        assert sandbox.statistics()["accepted"] == 1


def test_errors_are_told_as_the_platform_does_and_are_not_signed(sandbox, partner):
    sandbox.control(unauthorized_brands=["120344"])
    answer = partner.submit()
    assert (answer.status_code, answer.json()["code"]) == (403, "NO_AUTH")
    assert answer.headers["Request-ID"].endswith("-268579803")
    assert "Wechatpay-Signature" not in answer.headers
    assert partner.http.post(SUBMIT_PATH, content=b"{}").status_code == 415
    assert partner.http.get(SUBMIT_PATH).status_code == 405
    assert partner.http.get("/v3/nothing").status_code == 404
    assert partner.call("POST", SUBMIT_PATH, b" " * 65_537).status_code == 413
    assert partner.call("GET", "/v3/certificates").json()["code"] == "RESOURCE_NOT_EXISTS"
    counted = sandbox.statistics()
    assert (counted["received"], counted["rejected"], counted["accepted"]) == (3, 3, 0)


def test_the_limit_is_a_sliding_second_and_every_arrival_is_counted(sandbox, partner):
    sandbox.control(limit=3)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda number: partner.submit(f"task_{number:04}"), range(40)))
    arrivals, counted = sandbox.arrivals(tasks=True), sandbox.statistics()
    window = SlidingWindow(3)
    expected = [200 if window.admits(round(offset * 1e6)) else 429 for offset in arrivals["offsets"]]
    assert arrivals["statuses"] == expected
    assert 429 in expected
    assert sorted(arrivals["task_ids"]) == [f"task_{number:04}" for number in range(40)]
    throttled = [answer for answer in answers if answer.status_code == 429]
    assert len(throttled) == counted["throttled"] == 40 - counted["accepted"]
    assert {answer.json()["code"] for answer in throttled} == {"RATELIMIT_EXCEEDED"}
    assert all(answer.headers["Request-ID"].endswith("-270924289") for answer in throttled)
    assert counted["received"] == sum(counted["per_second"]) == 40
    assert 3 <= counted["most_in_any_second"] <= 40
    assert abs(counted["first_arrival"] - time.time()) < 60


def test_repeats_and_conflicts(sandbox, partner):
    for _ in range(3):
        assert partner.submit("task_same").status_code == 200
    body = json.dumps(BODY | {"task_id": "task_same"}, indent=1).encode()
    answer = partner.call("POST", SUBMIT_PATH, body)
    assert (answer.status_code, answer.json()["code"]) == (400, "ALREADY_EXISTS")
    assert answer.headers["Request-ID"].endswith("-268578927")
    counted = sandbox.statistics()
    assert [counted[name] for name in ("accepted", "doubled", "rejected", "replayed")] == [1, 2, 1, 0]


def test_the_record_says_of_each_submit_what_became_of_it(sandbox, partner):
    began_us = time.monotonic_ns() // 1000
    body = json.dumps(BODY | {"task_id": "task_known"}).encode()
    other = json.dumps(BODY | {"task_id": "task_known"}, indent=1).encode()
    for one in (body, body, other):
        partner.call("POST", SUBMIT_PATH, one)
    sandbox.control(faults={"html": 100})
    partner.call("POST", SUBMIT_PATH, body)
    sandbox.control(faults={"html": 0, "resets_after": 100})
    with pytest.raises(httpx.TransportError):
        partner.call("POST", SUBMIT_PATH, body)
    calls = sandbox.calls()
    assert calls["task_ids"] == ["task_known"] * 5
    assert calls["bodies"] == [body_digest(one) for one in (body, body, other, body, body)]
    assert calls["statuses"] == [200, 200, 400, 502, 0]
    assert calls["meanings"] == ["new", "doubled", "conflict", "", "doubled"]
    assert calls["faults"] == ["", "", "", "html", "resets_after"]
    # The answer that never went has no moment; the moments are those of the machine's monotonic clock.
    assert all(
        began_us < came < answered
        for came, answered in zip(calls["moments_us"][:4], calls["answered_us"], strict=False)
    )
    assert calls["answered_us"][4] == 0
    # One connection carried them all; the fault closed it.
    lost_us = eventually(sandbox.calls, lambda calls: all(calls["lost_us"]))["lost_us"]
    assert len(set(lost_us)) == 1
    assert lost_us[0] > calls["moments_us"][4]


def test_the_tasks_page_says_how_each_task_stands(sandbox, partner):
    sandbox.control(picture_seconds=0, faults={"fail": 0})
    partner.submit("task_made")
    sandbox.control(faults={"fail": 100})
    partner.submit("task_failed")
    sandbox.control(picture_seconds=3600, faults={"fail": 0})
    partner.submit("task_open")
    told = sandbox.tasks()
    assert told["states"] == {"task_made": "SUCCESS", "task_failed": "FAIL", "task_open": "PROCESSING"}
    assert told["image_urls"] == {"task_made": f"{sandbox.base_url}/pictures/task_made.png"}


@pytest.mark.parametrize(
    ("fault", "errors", "taken"),
    [
        ("resets_before", (httpx.ReadError, httpx.RemoteProtocolError, httpx.WriteError), False),
        ("resets_after", (httpx.ReadError, httpx.RemoteProtocolError), True),
        ("silence", (httpx.ReadTimeout,), True),
    ],
)
@pytest.mark.parametrize("over", ["served", "served_over_tls"])
def test_faults_of_the_connection(request, fault, errors, taken, over):
    with as_started(request.getfixturevalue(over)) as faulty:
        faulty.control(faults={fault: 100})
        partner = Partner(faulty)
        with partner.http, pytest.raises(errors):
            partner.submit("task_faulty", timeout=0.5)
        counted = eventually(faulty.statistics, lambda counted: counted["faults"])
        assert counted["faults"] == {fault: 1}
        assert (counted["accepted"], counted["dropped"]) == ((1, 0) if taken else (0, 1))
        assert faulty.arrivals(tasks=True)["statuses"] == [0]


def test_faults_of_the_answer(sandbox, partner):
    sandbox.control(faults={"html": 100})
    answer = partner.submit("task_html")
    assert (answer.status_code, answer.headers["Content-Type"]) == (502, "text/html")
    sandbox.control(faults={"html": 0, "unsigned_answers": 100})
    answer = partner.submit("task_unsigned")
    assert (answer.status_code, partner.objection(answer)) == (200, "signature headers are missing")
    sandbox.control(faults={"unsigned_answers": 0, "probe_answers": 100})
    answer = partner.submit("task_probe")
    assert answer.headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
    assert (answer.status_code, partner.objection(answer)) == (200, "the signature does not hold")
    sandbox.control(faults={"probe_answers": 0, "slow": 100, "slow_ms": 150})
    began = time.monotonic()
    assert partner.submit("task_slow").status_code == 200
    assert time.monotonic() - began >= 0.15
    sandbox.control(faults={"slow": 0}, latency_ms=120)
    began = time.monotonic()
    assert partner.submit("task_latency").status_code == 200
    assert time.monotonic() - began >= 0.12
    counted = sandbox.statistics()
    assert counted["faults"] == {"html": 1, "unsigned_answers": 1, "probe_answers": 1, "slow": 1}
    assert (counted["accepted"], counted["dropped"]) == (4, 1)


def test_inner_faults_come_in_three_kinds_and_half_of_them_took_the_request(sandbox, partner):
    sandbox.control(faults={"errors": 100})
    answers = [partner.submit(f"task_{number:04}") for number in range(60)]
    assert {answer.status_code for answer in answers} == {500, 503, 504}
    codes = {answer.json()["code"] for answer in answers if answer.content}
    assert codes == {"SYSTEM_ERROR", "SERVICE_UNAVAILABLE"}
    counted = sandbox.statistics()
    assert counted["accepted"] + counted["dropped"] == 60
    assert counted["accepted"] >= 10
    assert counted["dropped"] >= 10


def test_a_callback_that_is_not_taken_comes_again(sandbox, partner):
    with receiving(500, 302, 202) as callbacks:
        sandbox.control(notify_url=callbacks.url)
        partner.submit("task_again")
        came = [callbacks.get(timeout=20) for _ in range(4)]
        counted = eventually(sandbox.statistics, lambda counted: counted["callbacks"]["sent"] == 1)
    assert len({callback.id for callback in came}) == 1
    assert len({callback.headers["Wechatpay-Nonce"] for callback in came}) == 4
    assert counted["callbacks"]["failed"] == 3
    assert counted["callbacks"]["waiting"] == 0


def test_a_callback_is_given_up_after_its_repeats(sandbox, partner):
    sandbox.control(notify_url=f"http://127.0.0.1:{free_port()}/nobody", callback_repeats=2)
    partner.submit("task_given_up")
    counted = eventually(sandbox.statistics, lambda counted: counted["callbacks"]["given_up"] == 1)
    assert (counted["callbacks"]["failed"], counted["callbacks"]["sent"]) == (3, 0)


def test_a_probe_callback_is_followed_by_the_proper_one(sandbox, partner):
    with receiving(401) as callbacks:
        sandbox.control(notify_url=callbacks.url, faults={"probe_callbacks": 100})
        partner.submit("task_probe_callback")
        probe, proper = (callbacks.get(timeout=20) for _ in range(2))
        partner.submit("task_believed")
        assert callbacks.get(timeout=20).headers["Wechatpay-Signature"].startswith("WECHATPAY/SIGNTEST/")
        counted = eventually(sandbox.statistics, lambda counted: counted["callbacks"]["sent"] == 2)
    now = time.time()
    assert probe.id == proper.id
    assert partner.verifier.objection(probe.headers, probe.body, now=now) == "the signature does not hold"
    assert partner.verifier.objection(proper.headers, proper.body, now=now) is None
    assert (counted["callbacks"]["probes"], counted["callbacks"]["probes_believed"]) == (2, 1)


def test_doubled_callbacks(sandbox, partner):
    with receiving() as callbacks:
        sandbox.control(notify_url=callbacks.url, faults={"doubled_callbacks": 100})
        partner.submit("task_doubled_callback")
        first, second = (callbacks.get(timeout=20) for _ in range(2))
    assert (first.id, first.body) == (second.id, second.body)


def test_echo_calls_back(sandbox, partner):
    with receiving() as callbacks:
        body = json.dumps({"echo_message": "hello", "notify_url": callbacks.url}).encode()
        assert partner.call("POST", ECHO_PATH, body).status_code == 200
        callback = callbacks.get(timeout=20)
    assert json.loads(callback.body)["event_type"] == "SECURITY_ECHO.SUCCESS"
    assert partner.opened(callback) == {"echo_message": "hello"}


def test_certificates_are_listed_and_sign_callbacks(sandbox, partner):
    """As a merchant that has them sees it: the receiver's own keys, fetched by the fleet's own client."""

    async def refreshed(held):
        client = platform_for(partner.settings, partner.secrets)
        try:
            return await PlatformKeys.refresh(held(client))
        finally:
            await client.aclose()

    keys = {}

    def held(client):
        one = PlatformKeys(partner.secrets.public_keys, partner.secrets.apiv3_key, client.certificates)
        keys["held"] = one.keys
        return one

    def objection(callback):
        return Verifier(keys["held"]).objection(callback.headers, callback.body, now=time.time())

    with receiving() as callbacks:
        for count in (1, 2):
            sandbox.control(notify_url=callbacks.url, certificates=count)
            partner.submit(f"task_certificate_{count}")
            callback = callbacks.get(timeout=20)
            if count == 2:
                assert objection(callback) == "signed with a key that is not known here"
            assert asyncio.run(refreshed(held))
            assert len(keys["held"]) == 1 + count
            assert callback.headers["Wechatpay-Serial"] != partner.settings.wechatpay_public_key_id
            assert objection(callback) is None
    sandbox.control(certificates=0)
    assert asyncio.run(refreshed(held))
    assert list(keys["held"]) == [partner.settings.wechatpay_public_key_id]


def test_callbacks_out_of_order(sandbox, partner):
    """One that says PROCESSING before the answer to the submit, one after the callback with the result."""
    with receiving() as callbacks:
        faults = {"early_callbacks": 100, "stale_callbacks": 100}
        sandbox.control(notify_url=callbacks.url, faults=faults, latency_ms=500)
        with ThreadPoolExecutor(1) as pool:
            answer = pool.submit(partner.submit, "task_out_of_order")
            early = callbacks.get(timeout=20)
            assert not answer.done()
            assert answer.result().status_code == 200
        states = [partner.opened(callback)["task_state"] for callback in (early, *(callbacks.get() for _ in range(2)))]
    assert states[0] == "PROCESSING"
    assert sorted(states[1:]) == ["PROCESSING", "SUCCESS"]


def test_the_arrivals_of_queries_are_told_too(sandbox, partner):
    partner.submit("task_asked_about")
    partner.call("GET", f"{SUBMIT_PATH}/task_asked_about?{QUERY}")
    told = sandbox.arrivals("query", tasks=True)
    assert (told["offsets"], told["task_ids"], told["statuses"]) == ([0.0], ["task_asked_about"], [200])
    with httpx.Client(base_url=sandbox.base_url) as http:
        assert http.get("/sandbox/arrivals", params={"kind": "x"}).status_code == 400


def test_control_names_what_is_wrong_and_changes_nothing_then(sandbox):
    before = sandbox.control()
    with pytest.raises(ValueError, match="limt"):
        sandbox.control(limit=7, limt=8)
    with pytest.raises(ValueError, match=r"faults\.errors"):
        sandbox.control(faults={"errors": 101})
    assert sandbox.control() == before
    with httpx.Client(base_url=sandbox.base_url) as http:
        assert http.post("/sandbox/control", content=b"[]").status_code == 400
        assert http.post("/sandbox/control", content=b"{").status_code == 400
        assert http.get("/sandbox/nothing").status_code == 404
        assert http.get("/pictures/task_unknown.png").status_code == 404


def test_reset_forgets_what_happened(sandbox, partner):
    partner.submit("task_forgotten")
    sandbox.reset()
    assert sandbox.statistics()["received"] == 0
    assert sandbox.arrivals() == {"offsets": []}
    assert partner.call("GET", f"{SUBMIT_PATH}/task_forgotten?{QUERY}").status_code == 404


def test_a_client_that_leaves_in_the_middle_of_its_request(sandbox):
    address = httpx.URL(sandbox.base_url)
    log = (sandbox.directory / "sandbox.log").read_text()
    with socket.create_connection((address.host, address.port)) as half:
        half.sendall(f"POST {SUBMIT_PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    counted = eventually(sandbox.statistics, lambda counted: counted["dropped"] == 1)
    assert (counted["received"], counted["rejected"]) == (1, 0)
    assert (sandbox.directory / "sandbox.log").read_text() == log


def test_a_reset_with_a_request_on_its_way(sandbox, partner):
    sandbox.control(faults={"slow": 100, "slow_ms": 300})
    log = (sandbox.directory / "sandbox.log").read_text()
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(partner.submit, "task_on_its_way")
        eventually(sandbox.statistics, lambda counted: counted["accepted"] == 1)
        sandbox.reset()
        assert slow.result().status_code == 200
    assert sandbox.arrivals(tasks=True) == {"offsets": [], "task_ids": [], "statuses": []}
    assert (sandbox.directory / "sandbox.log").read_text() == log


@pytest.mark.parametrize(("number", "tls"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_it_ends_in_order_with_requests_that_it_keeps_waiting(directory, number, tls):
    with running(directory, tls=tls, faults={"silence": 50, "slow": 50, "slow_ms": 60_000}) as sandbox:
        log = (directory / "sandbox.log").read_text()
        partner = Partner(sandbox)
        with partner.http, ThreadPoolExecutor(6) as threads:
            waiting = [threads.submit(partner.submit, f"task_{number:04}") for number in range(6)]
            counted = eventually(sandbox.statistics, lambda counted: counted["accepted"] == 6)
            assert set(counted["faults"]) == {"silence", "slow"}
            sandbox.process.send_signal(number)
            assert sandbox.process.wait(10) == 0
            ends = [one.exception() or one.result().status_code for one in waiting]
        assert ends.count(200) == counted["faults"]["slow"]
        assert (directory / "sandbox.log").read_text() == log
    assert log.splitlines()[-1].endswith(f"is ready; for a client: source {directory}/env")


def test_senders_that_have_a_port_each_are_told_apart(directory):
    ports = [free_port(), free_port()]
    with running(directory, more_ports=ports) as sandbox:
        partner = Partner(sandbox)
        own = int(sandbox.base_url.rpartition(":")[2])
        with partner.http:
            for number, port in enumerate([ports[1], own, ports[0], ports[1]]):
                partner.http.base_url = f"http://127.0.0.1:{port}"
                partner.submit(f"task_of_{number}")
        calls = sandbox.calls()
    assert calls["ports"] == [ports[1], own, ports[0], ports[1]]
    assert calls["meanings"] == ["new"] * 4  # one platform behind all of them


@pytest.mark.parametrize("further", [False, True])
def test_a_taken_port_is_named(directory, served, further):
    port = int(served.base_url.rpartition(":")[2])
    ports = {"port": free_port(), "more_ports": (port,)} if further else {"port": port}
    with pytest.raises(ListenError, match=f"port {port}"):
        run(SandboxOptions(directory=directory, **ports))


def test_a_wrong_option_is_named_before_anything_starts(tmp_path):
    with pytest.raises(InputError, match="limt"), running(tmp_path / "none", limt=5):
        pass
    assert not (tmp_path / "none").exists()
