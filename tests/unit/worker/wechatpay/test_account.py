"""The two kinds of callers: their paths, and what of a stored body they send."""

import json

import pytest

from couponpress.serialized_spec import SerializedSpec
from couponpress_worker.wechatpay.client import PARTNER, Account
from tests.builders import identified, spec

BRAND = Account.of_brand("120344")


def test_the_paths_are_those_of_the_platform_s_pages():
    told = [(one.submit_target, one.upload_target, one.notify_target) for one in (PARTNER, BRAND)]
    assert told == [
        (
            "/v3/marketing/partner/product-coupon/image-generation-tasks",
            "/v3/marketing/partner/product-coupon/media/upload-image",
            "/v3/marketing/partner/product-coupon/notify-configs",
        ),
        (
            "/brand/marketing/product-coupon/image-generation-tasks",
            "/brand/marketing/product-coupon/media/upload-image",
            "/brand/marketing/product-coupon/notify-configs",
        ),
    ]
    assert PARTNER.query_target("t", "1", "CUT_OUT").endswith("-tasks/t?brand_id=1&image_generation_type=CUT_OUT")
    assert BRAND.query_target("t", "120344", "CUT_OUT").endswith("-tasks/t?image_generation_type=CUT_OUT")


def bodies():
    """The bytes as each of the two writers stores them."""
    written = SerializedSpec.of(spec(1))
    return [identified([1])[0].row.body, written.head + written.task_id.encode() + written.tail]


@pytest.mark.parametrize("body", bodies())
def test_a_brand_sends_all_but_its_name_in_the_same_order(body):
    assert PARTNER.sent(body) is body
    named = json.loads(body)
    unnamed = json.loads(BRAND.sent(body))
    assert list(unnamed.items()) == [(name, value) for name, value in named.items() if name != "brand_id"]
    assert BRAND.sent(body) == BRAND.sent(body)


@pytest.mark.parametrize("brand_id", ["120345", "1203440", "12034"])
def test_another_brand_s_body_is_never_sent_without_its_name(brand_id):
    body = identified([1], brand_id=brand_id)[0].row.body
    assert PARTNER.sent(body) == body
    with pytest.raises(ValueError, match="another brand"):
        BRAND.sent(body)
