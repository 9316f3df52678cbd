"""What the platform's client builds and reads, without a socket."""

import asyncio
import hashlib
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponpress.errors import InputError
from couponpress_worker.wechatpay.client import SUBMIT_TARGET, Account, WeChatPay
from couponpress_worker.wechatpay.message import Response
from couponpress_worker.wechatpay.multipart import PICTURE_LIMIT_BYTES, picture_form
from couponpress_worker.wechatpay.response import DETAIL_LIMIT, MESSAGE_LIMIT, read_answer
from couponpress_worker.wechatpay.signing import (
    Signer,
    Verifier,
    answer_message,
    request_message,
    sign,
    signature_holds,
)
from tests.builders import rsa_key

#: A busy machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NOW = 1722850421.25
KEY_ID = "PUB_KEY_ID_0001"


@pytest.fixture(scope="module")
def key():
    return rsa_key()


@pytest.fixture(scope="module")
def verifier(key):
    return Verifier({KEY_ID: key.public_key()})


@pytest.fixture
def client(key, verifier):
    return WeChatPay("https://api.example", Signer("1900000001", "5F1C72E2", key), verifier, clock=lambda: NOW)


def signed_headers(key, body, timestamp=1722850421, **more):
    headers = {
        "Wechatpay-Timestamp": str(timestamp),
        "Wechatpay-Nonce": "abc",
        "Wechatpay-Serial": KEY_ID,
        "Wechatpay-Signature": sign(key, answer_message(str(timestamp), "abc", body)),
    }
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


def read(status, headers, body, verifier):
    """What is read from a response; a header's text may be any, as bytes from a socket may."""
    raw = [(name.lower().encode(), value.encode(errors="surrogatepass")) for name, value in headers.items()]
    return read_answer(Response(status, raw, body), verifier, now=NOW)


# --- requests --------------------------------------------------------------------------------------------------------


def authorization(request, scheme="WECHATPAY2-SHA256-RSA2048"):
    told, _, rest = request.authorization.partition(" ")
    assert told == scheme
    return {name: value.strip('"') for name, value in (pair.split("=", 1) for pair in rest.split(","))}


def test_a_submit_is_signed_over_the_very_bytes(client, key):
    body = '{"brand_id":"120344","task_id":"cp_形象店"}'.encode()
    request = client.sign_submit(body)
    parts = authorization(request)
    assert (request.method, request.target) == ("POST", SUBMIT_TARGET)
    assert request.wire(b"api.example").startswith(f"POST {SUBMIT_TARGET} HTTP/1.1\r\nHost: api.example\r\n".encode())
    assert request.wire(b"api.example").partition(b"\r\n\r\n")[2] == body
    assert (parts["mchid"], parts["serial_no"], parts["timestamp"]) == ("1900000001", "5F1C72E2", "1722850421")
    message = request_message("POST", SUBMIT_TARGET, parts["timestamp"], parts["nonce_str"], body)
    assert signature_holds(key.public_key(), message, parts["signature"])


def test_a_brand_submits_below_its_own_path_under_its_own_scheme_and_does_not_name_itself(key, verifier):
    account = Account.of_brand("120344")
    signer = Signer("120344", "5F1C72E2", key, account.scheme, account.named)
    client = WeChatPay("https://api.example", signer, verifier, account=account, clock=lambda: NOW)
    target = "/brand/marketing/product-coupon/image-generation-tasks"
    request = client.sign_submit(b'{"brand_id":"120344","task_id":"cp_000001"}')
    body = request.wire(b"api.example").partition(b"\r\n\r\n")[2]
    assert (request.method, request.target, body) == ("POST", target, b'{"task_id":"cp_000001"}')
    parts = authorization(request, "WECHATPAY-BRAND-SHA256-RSA2048")
    assert (parts.get("mchid"), parts["brand_id"]) == (None, "120344")
    message = request_message("POST", target, parts["timestamp"], parts["nonce_str"], body)
    assert signature_holds(key.public_key(), message, parts["signature"])


def test_every_signing_takes_a_fresh_nonce(client):
    assert len({authorization(client.sign_submit(b"{}"))["nonce_str"] for _ in range(20)}) == 20


def test_a_signed_request_shows_neither_signature_nor_body(client):
    shown = repr(client.sign_submit(b'{"task_id":"secret"}'))
    assert SUBMIT_TARGET in shown
    assert "WECHATPAY2" not in shown
    assert "secret" not in shown


@pytest.mark.parametrize(
    ("task_id", "brand_id"), [("cp 1", "1"), ("cp_1", "1&x=%2F"), ("cp_1", "品牌"), ("../x#", "1"), ("cp_1", "a\r\nb")]
)
def test_an_id_that_would_be_quoted_is_refused(client, task_id, brand_id):
    with pytest.raises(ValueError, match="cannot be asked for"):
        asyncio.run(client.query(task_id, brand_id, "CUT_OUT"))


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.JPG", "image/jpeg"), ("奶茶 1.jpeg", "image/jpeg"), ("a.b.png", "image/png"), ("x.bmp", "image/bmp")],
)
def test_a_picture_travels_with_its_digest(name, kind):
    picture = b"\x89PNG\r\n\r\n--not-a-boundary--\r\n\x00"
    form = picture_form(name, picture)
    boundary = form.content_type.removeprefix("multipart/form-data; boundary=")
    start, meta, file, end = form.body.split(f"--{boundary}".encode())
    assert (start, end) == (b"", b"--\r\n")
    head, content = meta.split(b"\r\n\r\n", 1)
    assert head == b'\r\nContent-Disposition: form-data; name="meta"\r\nContent-Type: application/json'
    assert content == form.meta + b"\r\n"
    assert json.loads(form.meta) == {"filename": name, "sha256": hashlib.sha256(picture).hexdigest()}
    head, content = file.split(b"\r\n\r\n", 1)
    disposition = f'\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}'
    assert head == disposition.encode()
    assert content == picture + b"\r\n"


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("a.gif", b"x"),
        ("png", b""),
        ("a.png", b""),
        ("a.png", bytes(PICTURE_LIMIT_BYTES + 1)),
        ("a" * 147 + ".png", b"x"),
        ('a".png', b"x"),
        ("a/b.png", b"x"),
        ("a\r\nX: y.png", b"x"),
    ],
)
def test_a_picture_that_the_platform_does_not_take_is_refused(name, picture):
    with pytest.raises(InputError, match=r"cannot be uploaded: .* up to 2 MB"):
        picture_form(name, picture)


def test_a_picture_of_the_full_size_under_a_name_of_the_full_length_is_taken():
    assert len(picture_form("a" * 146 + ".png", bytes(PICTURE_LIMIT_BYTES)).body) > PICTURE_LIMIT_BYTES


# --- answers ---------------------------------------------------------------------------------------------------------


def test_a_signed_answer_is_read(key, verifier):
    body = b'{"task_id":"cp_1","brand_id":"120344","new":1}'
    headers = signed_headers(key, body, 1722850431, Request_ID="08F7-0")
    answer = read(200, headers, body, verifier)
    assert answer.objection is None
    assert answer.content == {"task_id": "cp_1", "brand_id": "120344", "new": 1}
    assert (answer.code, answer.message, answer.request_id, answer.number) == ("", "", "08F7-0", 0)
    assert answer.skew_seconds == 9.75


def test_headers_are_read_in_any_case(key, verifier):
    headers = {name.lower(): value for name, value in signed_headers(key, b"", Request_ID="1-0").items()}
    answer = read(204, headers, b"", verifier)
    assert (answer.objection, answer.request_id, answer.content) == (None, "1-0", {})


def test_a_2xx_without_a_signature_has_an_objection(verifier):
    assert read(200, {}, b"{}", verifier).objection == "signature headers are missing"


def test_an_error_is_read_without_a_signature(verifier):
    body = {
        "code": "PARAM_ERROR",
        "message": "参数错误",
        "detail": {"field": "/combine_image/scope", "value": "X", "issue": "不是枚举值", "location": "body"},
    }
    answer = read(400, {"Request-ID": "08-268435461"}, json.dumps(body).encode(), verifier)
    assert (answer.code, answer.message, answer.field) == (
        "PARAM_ERROR",
        "参数错误 (不是枚举值)",
        "/combine_image/scope",
    )
    assert (answer.objection, answer.number) == (None, 268435461)


def test_an_issue_that_the_message_holds_is_not_said_twice(verifier):
    body = json.dumps({"code": "PARAM_ERROR", "message": "错误: 太长", "detail": {"issue": "太长"}}).encode()
    assert read(400, {}, body, verifier).message == "错误: 太长"


def test_a_sign_error_keeps_what_the_platform_signed(verifier):
    detail = {
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": {"method": "POST", "sign_message_length": 214, "truncated_sign_message": "POST\n/v3\n1\n"},
    }
    body = json.dumps({"code": "SIGN_ERROR", "message": "签名错误", "detail": detail}).encode()
    answer = read(401, {}, body, verifier)
    assert json.loads(answer.detail) == detail
    assert (answer.code, answer.message, answer.field) == ("SIGN_ERROR", "签名错误", "signature")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html><body>502 Bad Gateway</body></html>",
        b"[1,2]",
        b'"SIGN_ERROR"',
        b"null",
        b'{"code":',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"code": 40001, "message": ["x"], "detail": "text"}',
        b'{"code": "not a code", "detail": [1]}',
        b'{"code": "lower_case"}',
    ],
)
def test_a_body_that_is_not_the_platforms_yields_no_code(verifier, body):
    answer = read(502, {}, body, verifier)
    assert (answer.status, answer.code, answer.message, answer.field) == (502, "", "", "")


def test_words_are_cut_and_can_be_stored(verifier):
    body = json.dumps({"code": "A" * 64, "message": "\ud800" + "长" * 9999, "detail": {"issue": "x" * 9999}}).encode()
    answer = read(400, {"Request-ID": "\udcff-7"}, body, verifier)
    assert answer.code == "A" * 64
    assert len(answer.message) == MESSAGE_LIMIT
    assert len(answer.detail) == DETAIL_LIMIT
    assert (answer.message + answer.detail + answer.request_id).encode()
    assert read(400, {}, b'{"code":"%s"}' % (b"A" * 65), verifier).code == ""


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        ("120", 120.0),
        ("Mon, 05 Aug 2024 09:33:51 GMT", 9.75),
        ("Mon, 05 Aug 2024 09:33:51", 9.75),
        ("Mon, 05 Aug 2024 09:00:00 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
        ("Mon, 99 Aug 2024 09:33:51 GMT", None),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(verifier, value, seconds):
    headers = {} if value is None else {"Retry-After": value}
    assert read(429, headers, b"", verifier).retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("status", "headers", "skew"),
    [
        (502, {}, None),
        (502, {"Date": "yesterday"}, None),
        (502, {"Date": "Mon, 05 Aug 2024 09:33:51 GMT"}, 9.75),
        (401, {"Wechatpay-Timestamp": "1722850401"}, -20.25),
        # A probe's own timestamp proves nothing about the clock.
        (200, {"Wechatpay-Timestamp": "1", "Date": "Mon, 05 Aug 2024 09:33:51 GMT"}, 9.75),
        (200, {"Wechatpay-Timestamp": "x" * 20}, None),
    ],
)
def test_the_clocks_are_compared(verifier, status, headers, skew):
    assert read(status, headers, b"", verifier).skew_seconds == skew


_word = st.text(max_size=12)
_json = st.recursive(
    st.none() | st.integers() | st.floats() | _word,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_word, inner, max_size=2),
    max_leaves=3,
)
_error_body = st.fixed_dictionaries({}, optional={"code": _json, "message": _json, "detail": _json})
_header_names = st.sampled_from(["Date", "Retry-After", "Request-ID", "Wechatpay-Timestamp", "Wechatpay-Nonce", "X"])


@UNHURRIED
@given(
    status=st.integers(100, 599),
    body=st.binary() | _error_body.map(lambda body: json.dumps(body).encode()),
    headers=st.dictionaries(_header_names, st.text(st.characters(), max_size=30), max_size=4),
)
def test_nothing_that_comes_back_makes_reading_raise(verifier, status, body, headers):
    answer = read(status, headers, body, verifier)
    assert (answer.message + answer.field + answer.detail + answer.request_id).encode() is not None
    assert re.fullmatch("[A-Z0-9_]*", answer.code)
    assert (answer.objection is not None) == (200 <= status < 300)
