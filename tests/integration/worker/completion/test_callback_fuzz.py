"""Whatever is sent to the receiver, signed or not: an answer that is meant, never a crash, never a 500 of ours.

Every test counts its cases: `cases` in what `pytest --junit-xml` writes.
"""

import asyncio
import json
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from couponpress.ledger.notices import NoticeLedger
from couponpress.outcome import State
from couponpress_worker.completion.callback import CALLBACK_PATH, ECHO_EVENT, IMAGE_EVENTS, CallbackReceiver
from couponpress_worker.completion.callback_asgi import BODY_LIMIT_BYTES, CallbackService
from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.signing import Verifier, answer_message, seal
from tests.builders import APIV3_KEY, KEYS, PICTURE, PUBLIC_KEY_ID, bring_to, completer_over, states_of, stored

# What is generated may be long, and hypothesis would rather not show it.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")

NOW = 1_790_000_000.0
#: Signs in a tenth of the time of an ordinary key.
KEY = PlatformKey.generate()
#: Cases of each test. For many more: `FUZZ_CASES=5000 make test PYTEST=tests/integration/worker/completion`.
CASES = int(os.environ.get("FUZZ_CASES", "200"))
fuzzed = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)

odd_numbers = st.integers() | st.floats() | st.sampled_from([10**4000, -(10**4299), 2**63, 1e308, float("inf")])
odd_text = st.text(st.characters(exclude_categories=())) | st.sampled_from(
    ["\0", "\ud800", "\udfff\ud800", "图片", "a" * 5000, "cut-out-000001", "SUCCESS", "__proto__", "%s%n", "{}"]
)
values = st.recursive(
    st.none() | st.booleans() | odd_numbers | odd_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(odd_text, inner, max_size=4),
    max_leaves=12,
)
#: Deeper than any reader goes, and just as deep as Python's own still goes: what is read may be too deep to be shown.
deep = (st.integers(100, 2000) | st.integers(850, 1000)).map(lambda depth: "[" * depth + "]" * depth)
FIELDS = ("brand_id", "task_id", "image_generation_type", "task_state", "cut_out_result", "combine_image_result")
GOOD = {
    "brand_id": "120344",
    "task_id": "cut-out-000001",
    "image_generation_type": "CUT_OUT",
    "task_state": "SUCCESS",
    "cut_out_result": {"image_url": PICTURE},
}


class Fuzzed:
    """One receiver on one loop for all cases of a test."""

    def __init__(self, url):
        self.runner = asyncio.Runner()
        self.cases = 0
        self.redis = Redis.from_url(url)
        notices = NoticeLedger(self.redis, KEYS)
        receiver = CallbackReceiver(
            verifier=Verifier({PUBLIC_KEY_ID: KEY.public_key}),
            apiv3_key=APIV3_KEY,
            completer=completer_over(self.redis),
            count=lambda kind: notices.count([kind]),
            note_echo=notices.note_echo,
            clock=lambda: NOW,
        )
        self.service = CallbackService({CALLBACK_PATH: receiver.receive})

    def call(self, body, headers=None, *, method="POST", path=CALLBACK_PATH, pieces=1):
        """Send a request as uvicorn hands it over; returns the status."""
        self.cases += 1
        step = max(1, -(-len(body) // pieces))
        parts = [body[at : at + step] for at in range(0, len(body), step)] or [b""]
        messages = [{"type": "http.request", "body": part, "more_body": True} for part in parts]
        messages[-1]["more_body"] = False
        sent = []

        async def receive():
            return messages.pop(0)

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": headers or []}
        self.runner.run(self.service(scope, receive, send))
        assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]
        if sent[0]["status"] >= 400:
            assert json.loads(sent[1]["body"])["code"] == "FAIL"
        return sent[0]["status"]

    def signed(self, body, **options):
        """Send a body that the platform has signed."""
        timestamp = str(int(NOW))
        headers = {
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": "n",
            "wechatpay-serial": PUBLIC_KEY_ID,
            "wechatpay-signature": KEY.sign(answer_message(timestamp, "n", body)),
        }
        return self.call(body, [(k.encode(), v.encode()) for k, v in headers.items()], **options)

    def sealed(self, text):
        """Send a callback whose opened resource is this text."""
        return self.signed(envelope(text))


def envelope(text, nonce="fdasflkja484", event="PRODUCT_COUPON_SP.IMAGE_GENERATION"):
    resource = {"nonce": nonce, "ciphertext": seal(APIV3_KEY, nonce.encode(), text, b""), "associated_data": ""}
    return json.dumps({"id": "EV-1", "event_type": event, "resource": resource}).encode()


def written(value):
    """JSON as a careless sender writes it: NaN, lone surrogates and all."""
    return json.dumps(value).encode(errors="surrogatepass")


@pytest.fixture
def fuzz(redis_url, client, request, record_testsuite_property):
    one = Fuzzed(redis_url)
    yield one
    record_testsuite_property(f"{request.node.name} cases", one.cases)
    one.runner.run(one.redis.aclose())
    one.runner.close()
    assert one.cases >= CASES // 2


@fuzzed
@given(
    body=st.binary(max_size=300),
    headers=st.lists(
        st.tuples(
            st.sampled_from(["timestamp", "nonce", "serial", "signature", "signature-type"]),
            st.binary(max_size=60)
            | st.sampled_from(
                [b"1790000000", PUBLIC_KEY_ID.encode(), b"", b"=" * 344, b"WECHATPAY/SIGNTEST/" + b"x" * 336, b"\xff"]
            ),
        ),
        max_size=6,
    ),
    method=st.sampled_from(["POST", "POST", "POST", "GET", "PUT", "\0", ""]),
    path=st.sampled_from([CALLBACK_PATH, CALLBACK_PATH, CALLBACK_PATH, "/", "", "/wechatpay/callback/", "\ud800"]),
)
def test_unsigned_bytes_and_headers(fuzz, body, headers, method, path):
    told = [(f"wechatpay-{name}".encode(), value) for name, value in headers]
    asked_by_a_balancer = method == "GET" and path == "/"
    allowed = {200} if asked_by_a_balancer else {401, 404, 405}
    assert fuzz.call(body, told, method=method, path=path) in allowed


@fuzzed
@given(body=st.binary(max_size=2000), pieces=st.integers(1, 20))
def test_signed_bytes(fuzz, body, pieces):
    assert fuzz.signed(body, pieces=pieces) in {204, 400}


@fuzzed
@given(size=st.integers(BODY_LIMIT_BYTES - 5, BODY_LIMIT_BYTES + 5000), pieces=st.integers(1, 50))
def test_bodies_about_as_large_as_they_may_be(fuzz, size, pieces):
    assert fuzz.signed(b"x" * size, pieces=pieces) == (413 if size > BODY_LIMIT_BYTES else 400)


@fuzzed
@given(value=values)
def test_signed_json_of_any_shape(fuzz, value):
    assert fuzz.signed(written(value)) in {204, 400}


@fuzzed
@given(
    event=st.sampled_from(sorted(IMAGE_EVENTS) + [ECHO_EVENT]) | values,
    resource=values
    | st.fixed_dictionaries(
        {},
        optional={
            "nonce": values | st.text(max_size=16),
            "ciphertext": values | st.binary(max_size=60).map(lambda one: one.hex()) | st.just("AAAA" * 20),
            "associated_data": values,
            "algorithm": values,
        },
    ),
)
def test_signed_envelopes_of_any_shape(fuzz, event, resource):
    assert fuzz.signed(written({"event_type": event, "resource": resource})) in {204, 400}


@fuzzed
@given(text=st.binary(max_size=500) | deep.map(str.encode) | values.map(written))
def test_sealed_texts_of_any_shape(fuzz, text):
    assert fuzz.sealed(text) in {204, 400}


@fuzzed
@given(changes=st.dictionaries(st.sampled_from(FIELDS), values, min_size=1, max_size=4))
def test_sealed_tasks_with_any_values(fuzz, redis_url, changes):
    if fuzz.cases == 0:
        bring_to(redis_url, stored(redis_url), [State.ACCEPTED])
    assert fuzz.sealed(written(GOOD | changes)) in {204, 400}


@fuzzed
@given(name=st.sampled_from(FIELDS), value=deep)
def test_sealed_tasks_that_are_as_deep_as_can_be_read(fuzz, redis_url, name, value):
    if fuzz.cases == 0:
        bring_to(redis_url, stored(redis_url), [State.ACCEPTED])
    text = json.dumps(GOOD | {name: "@"}).replace('"@"', value)
    assert fuzz.sealed(text.encode()) in {204, 400}


@fuzzed
@given(value=deep, name=st.sampled_from(["event_type", "resource", "id"]))
def test_envelopes_that_are_as_deep_as_can_be_read(fuzz, value, name):
    text = json.dumps({"event_type": "X", "resource": {}} | {name: "@"}).replace('"@"', value)
    assert fuzz.signed(text.encode()) in {204, 400}


@fuzzed
@given(url=odd_text)
def test_any_text_as_the_pictures_url_is_stored_or_refused(fuzz, client, redis_url, url):
    if fuzz.cases == 0:
        bring_to(redis_url, stored(redis_url), [State.ACCEPTED])
    status = fuzz.sealed(written(GOOD | {"cut_out_result": {"image_url": url}}))
    assert status == (204 if url else 400)
    assert states_of(client, "b1.1") in ([State.ACCEPTED], [State.SUCCEEDED])


@fuzzed
@given(
    content=values
    | st.fixed_dictionaries(
        {
            "data": st.lists(
                values
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "serial_no": values,
                        "encrypt_certificate": values
                        | st.fixed_dictionaries(
                            {}, optional={"nonce": values, "ciphertext": values, "associated_data": values}
                        ),
                    },
                ),
                max_size=3,
            )
        }
    )
)
def test_a_list_of_certificates_of_any_shape_yields_none(fuzz, content):
    fuzz.cases += 1
    held = PlatformKeys({PUBLIC_KEY_ID: KEY.public_key}, APIV3_KEY, None, clock=lambda: NOW)
    assert list(held._verifier_of(written(content)).keys) == [PUBLIC_KEY_ID]
