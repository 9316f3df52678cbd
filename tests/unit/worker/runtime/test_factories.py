"""What is made from the settings: the platform's client."""

from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.settings import Secrets
from couponpress_worker.wechatpay.signing import answer_message, sign
from tests.builders import APIV3_KEY, PUBLIC_KEY_ID, fleet_settings, rsa_key

KEY, OTHER = rsa_key(0), rsa_key(1)


def test_a_key_that_is_fetched_later_verifies_from_then_on():
    held = {PUBLIC_KEY_ID: KEY.public_key()}
    platform = platform_for(fleet_settings(), Secrets(KEY, dict(held), APIV3_KEY), held)
    headers = {"Wechatpay-Timestamp": "1", "Wechatpay-Nonce": "n", "Wechatpay-Serial": "5F1C"}
    headers["Wechatpay-Signature"] = sign(OTHER, answer_message("1", "n", b"{}"))
    assert platform._verifier.objection(headers, b"{}", now=1) == "signed with a key that is not known here"
    held["5F1C"] = OTHER.public_key()
    assert platform._verifier.objection(headers, b"{}", now=1) is None
