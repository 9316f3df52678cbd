"""Broken rules in words: pydantic's own in English, whole sentences in Chinese."""

import pytest

from couponpress.errors import SpecError
from couponpress.language import speaking
from couponpress.spec import TaskSpec

GOOD = {
    "brand_id": "120344",
    "image_generation_type": "COMBINE_IMAGE",
    "combine_image": {
        "scope": "ALL",
        "type": "NORMAL",
        "usage_mode": "SINGLE",
        "normal_coupon": {"threshold": 100, "discount_amount": 20},
    },
}


def told(change):
    combine = {**GOOD["combine_image"], **change.pop("combine_image", {})}
    with pytest.raises(SpecError) as raised:
        TaskSpec.parse({**GOOD, "combine_image": combine, **change})
    return str(raised.value)


@pytest.mark.parametrize(
    ("change", "english", "chinese"),
    [
        (
            {"combine_image": {"scope": "SHOP"}},
            "combine_image.scope: must be 'ALL', 'SINGLE' or 'CATEGORY' (got 'SHOP')",
            "combine_image.scope：应为 ALL、SINGLE 或 CATEGORY，而不是“SHOP”",
        ),
        (
            {"combine_image": {"normal_coupon": {"threshold": -1, "discount_amount": 20}}},
            "combine_image.normal_coupon.threshold: must be greater than or equal to 0 (got -1)",
            "combine_image.normal_coupon.threshold：应为 0 元或以上，而不是“-1”",
        ),
        (
            {"combine_image": {"normal_coupon": {"threshold": "1", "discount_amount": 20}}},
            "combine_image.normal_coupon.threshold: must be a valid integer (got '1')",
            "combine_image.normal_coupon.threshold：应为整数，而不是“1”",
        ),
        (
            {"combine_image": {"normal_coupon": {"threshold": 10, "discount_amount": 20}}},
            "combine_image.normal_coupon.discount_amount: must not exceed the threshold (got 20)",
            "combine_image.normal_coupon.discount_amount：不能超过门槛（现为“20”）",
        ),
        ({"brand_id": None}, "brand_id: is required", "brand_id：必填"),
        ({"row_id": ""}, "row_id: must have at least 1 character (got '')", "row_id：至少应有 1 个字符（现为“”）"),
        (
            {"brand_id": "1" * 65},
            f"brand_id: must have at most 64 characters (got '{'1' * 65}')",
            f"brand_id：至多可有 64 个字符（现为“{'1' * 65}”）",
        ),
        (
            {"cut_out": 5, "image_generation_type": "CUT_OUT"},
            "cut_out: must be a valid dictionary or instance of CutOut (got 5)",
            "cut_out：应为对象（CutOut），而不是“5”",
        ),
        (
            {"colour": "red"},
            "colour: is not a field of this request (got 'red')",
            "colour：不是该请求的字段（现为“red”）",
        ),
    ],
)
def test_a_broken_rule_is_told_in_both_languages(change, english, chinese):
    assert told(dict(change)) == english
    with speaking("zh_CN"):
        assert told(dict(change)) == chinese
