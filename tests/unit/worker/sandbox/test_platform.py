import hashlib
import json

import pytest

from couponpress_worker.sandbox.credentials import MERCHANT_KEY_FILE, Credentials
from couponpress_worker.sandbox.exchange import Request
from couponpress_worker.sandbox.options import Behaviour
from couponpress_worker.sandbox.platform import Platform
from couponpress_worker.sandbox.routes import ECHO_PATH, NOTIFY_PATH, SUBMIT_PATH, UPLOAD_PATH, find
from couponpress_worker.wechatpay.signing import Signer, private_key_from

NOW = 1_700_000_000
BODY = {
    "brand_id": "120344",
    "task_id": "task_1",
    "image_generation_type": "CUT_OUT",
    "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"},
}
QUERY = "brand_id=120344&image_generation_type=CUT_OUT"


@pytest.fixture(scope="module")
def credentials(tmp_path_factory):
    return Credentials.prepare(tmp_path_factory.mktemp("sandbox"))


class Bench:
    """A platform whose clocks stand still until they are moved, and a partner that signs."""

    def __init__(self, credentials, *, strict=False, **behaviour):
        key = private_key_from((credentials.directory / MERCHANT_KEY_FILE).read_bytes(), "the partner's key")
        self.signer = Signer(credentials.mchid, credentials.serial_no, key)
        self.key_id = credentials.public_key_id
        self.now_us = 0
        self.later, self.sent, self.nonces = [], [], 0
        self.platform = Platform(
            credentials,
            Behaviour().changed(behaviour),
            self,
            base_url="http://127.0.0.1:8900",
            strict=strict,
            clock=lambda: NOW,
            monotonic_us=lambda: self.now_us,
        )

    def after(self, seconds, act):
        self.later.append((seconds, act))

    def send(self, delivery):
        self.sent.append(delivery)

    def call(self, method, path, body=b"", query="", *, signed_body=None, content_type="application/json"):
        self.nonces += 1
        target = f"{path}?{query}" if query else path
        signed_body = body if signed_body is None else signed_body
        headers = {
            "accept": "application/json",
            "user-agent": "tests",
            "content-type": content_type,
            "wechatpay-serial": self.key_id,
            "authorization": self.signer.authorization(
                method, target, signed_body, timestamp=NOW, nonce=f"{self.nonces:032}"
            ),
        }
        return self.platform.answer(find(method, path), Request(method, path, query, headers, body))

    def submit(self, **changes):
        return self.call("POST", SUBMIT_PATH, json.dumps(BODY | changes).encode())

    def query(self, task_id="task_1", query=QUERY):
        return self.call("GET", f"{SUBMIT_PATH}/{task_id}", query=query)


@pytest.fixture
def bench(credentials):
    return Bench(credentials)


def code(answer):
    return answer.status, json.loads(answer.body)["code"], answer.number


def test_a_right_submit_is_accepted(bench):
    answer = bench.submit()
    assert (answer.status, json.loads(answer.body)) == (200, {"task_id": "task_1", "brand_id": "120344"})
    assert bench.platform.counts == {"accepted": 1}


def test_the_same_again_is_the_same_answer_and_makes_nothing_new(bench):
    assert bench.submit() == bench.submit()
    assert bench.platform.counts == {"accepted": 1, "doubled": 1}
    assert (len(bench.platform.tasks), len(bench.later)) == (1, 1)


def test_the_same_serial_with_another_body_is_a_conflict(bench):
    bench.submit()
    assert code(bench.submit(brand_id="120345")) == (400, "ALREADY_EXISTS", 268578927)
    again = json.dumps(BODY, indent=1).encode()
    assert code(bench.call("POST", SUBMIT_PATH, again)) == (400, "ALREADY_EXISTS", 268578927)
    assert bench.platform.counts == {"accepted": 1, "submit rejected": 2}


def test_a_brand_that_did_not_authorise(credentials):
    bench = Bench(credentials, unauthorized_brands=["120344"])
    assert code(bench.submit()) == (403, "NO_AUTH", 268579803)
    assert bench.submit(brand_id="120345").status == 200


def test_a_broken_rule_and_a_wrong_signature(bench):
    assert code(bench.submit(task_id="x")) == (400, "PARAM_ERROR", 268435461)
    assert code(bench.call("POST", SUBMIT_PATH, b"{}", signed_body=b"{ }")) == (401, "SIGN_ERROR", 269546525)
    assert bench.platform.counts == {"submit rejected": 2}


def test_strict_refuses_what_does_not_belong(credentials, bench):
    stranger = {"combine_image": {"scope": "ALL"}}
    assert Bench(credentials, strict=True).submit(**stranger).status == 400
    assert bench.submit(**stranger).status == 200


def test_a_task_is_made_in_time_and_told_by_query_and_callback(bench):
    bench.submit()
    ((seconds, announce),) = bench.later
    assert 0 <= seconds <= 1
    bench.now_us = int(seconds * 1_000_000) - 1
    assert json.loads(bench.query().body)["task_state"] == "PROCESSING"
    bench.now_us += 1
    told = json.loads(bench.query().body)
    assert told == {
        "brand_id": "120344",
        "task_id": "task_1",
        "image_generation_type": "CUT_OUT",
        "task_state": "SUCCESS",
        "cut_out_result": {"image_url": "http://127.0.0.1:8900/pictures/task_1.png"},
    }
    bench.platform.behave(bench.platform.behaviour.changed({"notify_url": "http://127.0.0.1:9/x"}))
    announce()
    assert len(bench.sent) == 1


def test_a_share_fails(credentials):
    bench = Bench(credentials, picture_seconds=0, faults={"fail": 100})
    bench.submit()
    told = json.loads(bench.query().body)
    assert told["task_state"] == "FAIL"
    assert "cut_out_result" not in told


def test_queries_that_find_nothing(bench):
    bench.submit()
    assert code(bench.query("task_2")) == (404, "RESOURCE_NOT_EXISTS", 268578608)
    assert code(bench.query(query=QUERY.replace("120344", "1"))) == (404, "RESOURCE_NOT_EXISTS", 268578608)
    assert code(bench.query(query=QUERY.replace("CUT_OUT", "COMBINE_IMAGE")))[:2] == (400, "PARAM_ERROR")
    assert code(bench.query(query=""))[:2] == (400, "PARAM_ERROR")


def test_limits_are_per_call_and_change_at_once(credentials):
    bench = Bench(credentials, limit=2, query_limit=1, upload_limit=0)
    platform = bench.platform
    assert [platform.arrive("submit", 0) for _ in range(3)] == [(0, True), (1, True), (2, False)]
    assert [platform.arrive("query", 0) for _ in range(2)] == [(0, True), (1, False)]
    assert all(platform.arrive("upload", 0)[1] for _ in range(100))
    assert [platform.arrive("notify_set", 0)[1] for _ in range(10)] == [True] * 10
    assert [platform.arrive("notify_shown", 0)[1] for _ in range(11)] == [True] * 10 + [False]
    assert platform.counts == {"submit throttled": 1, "query throttled": 1, "notify_shown throttled": 1}
    platform.behave(platform.behaviour.changed({"limit": 3}))
    assert platform.arrive("submit", 0) == (3, True)


def test_forgetting_keeps_the_behaviour_alone(credentials):
    bench = Bench(credentials, limit=1)
    bench.submit()
    bench.platform.arrive("submit", 0)
    bench.platform.forget()
    assert bench.query().status == 404
    assert (len(bench.platform.arrivals["submit"]), bench.platform.counts["accepted"]) == (0, 0)
    assert [bench.platform.arrive("submit", 1) for _ in range(2)] == [(0, True), (1, False)]


def test_notify_configs(bench):
    assert code(bench.call("GET", NOTIFY_PATH)) == (404, "RESOURCE_NOT_EXISTS", 268578608)
    url = {"notify_url": "https://example.com/wechatpay/callback"}
    set_answer = bench.call("POST", NOTIFY_PATH, json.dumps(url).encode())
    assert json.loads(set_answer.body) == url | {"update_time": "2023-11-14T22:13:20+00:00"}
    assert bench.call("GET", NOTIFY_PATH) == set_answer
    assert bench.platform.behaviour.notify_url == url["notify_url"]
    assert bench.call("POST", NOTIFY_PATH, b'{"notify_url":"http://example.com/"}').status == 400


def test_echo_calls_back_only_when_asked(bench):
    assert json.loads(bench.call("POST", ECHO_PATH, b'{"echo_message":"hi"}').body) == {"echo_message": "hi"}
    assert bench.sent == []
    body = b'{"echo_message":"hi","notify_url":"http://127.0.0.1:9/x"}'
    assert bench.call("POST", ECHO_PATH, body).status == 200
    assert [delivery.url for delivery in bench.sent] == ["http://127.0.0.1:9/x"]


def test_a_public_key_merchant_has_no_certificates(bench):
    assert code(bench.call("GET", "/v3/certificates")) == (404, "RESOURCE_NOT_EXISTS", 268578608)


def upload(bench, *, signed=None, media="multipart/form-data; boundary=frontier"):
    content = b"\x89PNG\r\n\x1a\n"
    meta = json.dumps({"filename": "a.png", "sha256": hashlib.sha256(content).hexdigest()}).encode()
    body = (
        b'--frontier\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json\r\n\r\n'
        + meta
        + b'\r\n--frontier\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
        + content
        + b"\r\n--frontier--\r\n"
    )
    return bench.call("POST", UPLOAD_PATH, body, signed_body=signed or meta, content_type=media)


def test_an_upload_is_signed_over_its_meta_part(bench):
    answer = upload(bench)
    assert answer.status == 200
    url = json.loads(answer.body)["image_url"]
    assert bench.submit(cut_out={"image_url": url}).status == 200
    assert code(upload(bench, signed=b"{}")) == (401, "SIGN_ERROR", 269546525)
    assert upload(bench, media="application/json").status == 415
    assert upload(bench, media="multipart/form-data").status == 400
    assert bench.platform.counts["upload rejected"] == 3
