import json

from couponpress_worker.sandbox import notices
from couponpress_worker.wechatpay.signing import unseal

KEY = b"0123456789abcdef0123456789abcdef"


def test_an_envelope_opens_with_the_key_and_what_it_says_of_itself():
    notice = notices.write(notices.PICTURE, {"task_id": "中文"}, apiv3_key=KEY, now=1_700_000_000.9)
    envelope = json.loads(notice.body)
    resource = envelope["resource"]
    opened = unseal(KEY, resource["nonce"].encode(), resource["ciphertext"], resource["associated_data"].encode())
    assert json.loads(opened) == {"task_id": "中文"}
    assert len(resource["nonce"]) == 12
    assert resource["algorithm"] == "AEAD_AES_256_GCM"
    assert envelope["event_type"] == "PRODUCT_COUPON_SP.IMAGE_GENERATION"
    assert envelope["resource_type"] == "encrypt-resource"
    assert envelope["create_time"] == "2023-11-15T06:13:20+08:00"
    assert envelope["id"] == notice.id
    assert len(notice.id) <= 36


def test_every_notice_has_an_id_and_a_nonce_of_its_own():
    written = [notices.write(notices.ECHO, {}, apiv3_key=KEY, now=0) for _ in range(20)]
    assert len({notice.id for notice in written}) == 20
    assert len({json.loads(notice.body)["resource"]["nonce"] for notice in written}) == 20
    assert json.loads(written[0].body)["resource"]["original_type"] == "security"
