import itertools

import pytest

from couponpress_worker.sandbox.checks import Partner, authorization_pairs, header_objection, signature_objection
from couponpress_worker.sandbox.exchange import Request
from couponpress_worker.wechatpay.signing import SCHEME, Signer
from tests.builders import rsa_key

KEY, OTHER = rsa_key(0), rsa_key(1)
PARTNER = Partner("1900000109", "ABCD", KEY.public_key(), "PUB_KEY_ID_1")
NOW = 1_700_000_000
BODY = '{"a":"中"}'.encode()
HEADERS = {"accept": "application/json", "user-agent": "tests/1", "content-type": "application/json"}
SIGNER = Signer("1900000109", "ABCD", KEY)


def signed(signer=SIGNER, *, timestamp=NOW, method="POST", target="/v3/x?b=1", body=BODY):
    return signer.authorization(method, target, body, timestamp=timestamp, nonce="n" * 32)


def request(**headers):
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in (HEADERS | changed).items() if value is not None}
    return Request("POST", "/v3/x", "b=1", kept, BODY)


def objection(authorization):
    return signature_objection(request(authorization=authorization), BODY, PARTNER, NOW + 0.5)


def test_a_right_request_passes():
    asked = request(authorization=signed(), wechatpay_serial="PUB_KEY_ID_1")
    assert header_objection(asked, PARTNER, "application/json") is None
    assert signature_objection(asked, BODY, PARTNER, NOW) is None


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({"accept": None}, 400, b"Accept"),
        ({"accept": ""}, 400, b"Accept"),
        ({"user_agent": None}, 400, b"User-Agent"),
        ({"accept": "text/html"}, 406, b"Accept"),
        ({"content_type": None}, 415, b"Content-Type"),
        ({"content_type": "text/json"}, 415, b"Content-Type"),
        ({"wechatpay_serial": "PUB_KEY_ID_2"}, 400, b"Wechatpay-Serial"),
        ({"wechatpay_serial": ""}, 400, b"Wechatpay-Serial"),
    ],
)
def test_headers_that_will_not_do(headers, status, said):
    answer = header_objection(request(**headers), PARTNER, "application/json")
    assert answer.status == status
    assert said in answer.body


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "*/*"},
        {"accept": "text/html, application/json;q=0.9"},
        {"accept": "application/*"},
        {"content_type": "application/json; charset=utf-8"},
        {"content_type": "Application/JSON"},
    ],
)
def test_headers_that_will_do(headers):
    assert header_objection(request(**headers), PARTNER, "application/json") is None


def test_a_call_without_a_body_needs_no_content_type():
    assert header_objection(request(content_type=None), PARTNER, None) is None


def test_the_five_pairs_may_come_in_any_order():
    scheme, _, pairs = signed().partition(" ")
    orders = [f"{scheme} {','.join(order)}" for order in itertools.permutations(pairs.split(","))]
    assert len(orders) == 120
    assert all(objection(order) is None for order in orders)


@pytest.mark.parametrize(
    "header",
    [
        "",
        SCHEME,
        "Bearer abc",
        signed().replace(SCHEME, "WECHATPAY2-SM2-WITH-SM3"),
        signed().replace(",", ", "),
        signed().replace(',nonce_str="' + "n" * 32 + '"', ""),
        signed().replace('nonce_str="' + "n" * 32 + '"', 'nonce_str=""'),
        signed() + ',mchid="1900000109"',
        signed() + ',more="1"',
        signed().replace('"', ""),
        signed() + ",",
    ],
)
def test_a_header_that_is_not_the_five_pairs(header):
    assert authorization_pairs(header) is None
    assert objection(header).status == 401


@pytest.mark.parametrize(
    ("header", "field", "number"),
    [
        (signed(Signer("1900000108", "ABCD", KEY)), b'"field":"mchid"', 269546538),
        (signed(Signer("1900000109", "ABCE", KEY)), b'"field":"serial_no"', 269546507),
        (signed(timestamp=NOW - 300), b'"field":"timestamp"', 268443699),
        (signed(timestamp=NOW + 301), b'"field":"timestamp"', 268443699),
        (signed().replace(str(NOW), "soon"), b'"field":"timestamp"', 268443699),
        (signed().replace(str(NOW), "9" * 400), b'"field":"timestamp"', 268443699),
        (signed(Signer("1900000109", "ABCD", OTHER)), b'"field":"signature"', 269546525),
        (signed(method="GET"), b'"field":"signature"', 269546525),
        (signed(target="/v3/x"), b'"field":"signature"', 269546525),
        (signed(body=BODY + b"\n"), b'"field":"signature"', 269546525),
        (signed(body=b""), b'"field":"signature"', 269546525),
        (signed().replace("n" * 32, "m" * 32), b'"field":"signature"', 269546525),
        (signed().replace('signature="', 'signature="?'), b'"field":"signature"', 269546525),
    ],
)
def test_who_when_and_what_is_signed(header, field, number):
    answer = objection(header)
    assert (answer.status, answer.number) == (401, number)
    assert b'"code":"SIGN_ERROR"' in answer.body
    assert field in answer.body


def test_a_wrong_signature_is_told_what_was_verified():
    answer = objection(signed(body=b"other"))
    message = f"POST\\n/v3/x?b=1\\n{NOW}\\n{'n' * 32}\\n".encode() + BODY.replace(b'"', b'\\"') + b"\\n"
    assert b'"truncated_sign_message":"' + message + b'"' in answer.body
    assert b'"method":"POST"' in answer.body
    assert b'"url":"/v3/x?b=1"' in answer.body
    assert b'"sign_message_length":%d' % (len(f"POST\n/v3/x?b=1\n{NOW}\n\n\n") + 32 + len(BODY)) in answer.body


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_a_clock_within_five_minutes_passes(seconds):
    authorization = signed(timestamp=NOW + seconds)
    assert signature_objection(request(authorization=authorization), BODY, PARTNER, NOW) is None
