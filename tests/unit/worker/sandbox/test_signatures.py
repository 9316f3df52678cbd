import pytest

from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.sandbox.signatures import PROBE_PREFIX, Signatures
from couponpress_worker.wechatpay.signing import Verifier

KEY = PlatformKey.generate()
SIGNATURES = Signatures("PUB_KEY_ID_1", KEY, lambda: 1_700_000_000.7)
VERIFIER = Verifier({"PUB_KEY_ID_1": KEY.public_key})


@pytest.mark.parametrize("body", [b"", b"{}", "中文".encode()])
def test_a_signature_holds(body):
    headers = SIGNATURES.headers(body)
    assert VERIFIER.objection(headers, body, now=1_700_000_000) is None
    assert VERIFIER.objection(headers, body + b" ", now=1_700_000_000) is not None
    assert headers["Wechatpay-Signature-Type"] == "WECHATPAY2-SHA256-RSA2048"


def test_a_probe_never_holds_even_without_its_prefix():
    headers = SIGNATURES.headers(b"{}", probe=True)
    assert headers["Wechatpay-Signature"].startswith(PROBE_PREFIX)
    assert VERIFIER.objection(headers, b"{}", now=1_700_000_000) == "the signature does not hold"
    headers["Wechatpay-Signature"] = headers["Wechatpay-Signature"].removeprefix(PROBE_PREFIX)
    assert VERIFIER.objection(headers, b"{}", now=1_700_000_000) == "the signature does not hold"


def test_every_answer_has_a_request_id_and_a_nonce_of_its_own():
    ids = [SIGNATURES.request_id(268578927) for _ in range(50)]
    assert len(set(ids)) == 50
    assert all(request_id.rpartition("-")[2] == "268578927" for request_id in ids)
    assert SIGNATURES.request_id().endswith("-0")
    assert SIGNATURES.headers(b"")["Wechatpay-Nonce"] != SIGNATURES.headers(b"")["Wechatpay-Nonce"]
