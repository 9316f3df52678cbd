"""Which address can be set, and what a person is told first."""

import pytest

from couponpress.errors import InputError
from couponpress_worker.doctor.callback_url import affected, checked

PLATFORM, SANDBOX = "https://api.mch.weixin.qq.com", "http://127.0.0.1:8900"


@pytest.mark.parametrize(
    ("url", "base_url"),
    [
        ("https://shop.example/wechatpay/callback", PLATFORM),
        ("https://shop.example:8443/x", PLATFORM),
        ("http://127.0.0.1:8800/wechatpay/callback", SANDBOX),
        ("https://shop.example/" + "x" * 235, PLATFORM),
    ],
)
def test_addresses_that_will_do(url, base_url):
    assert checked(url, base_url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/x",
        "http://shop.example/x",
        "http://127.0.0.1:8800/x",
        "https:///x",
        "https://[::1/x",
        "https://shop.example/x?y=1",
        "https://shop.example/x#y",
        "https://me:secret@shop.example/x",
        "https://shop.example/图片",
        "https://shop.example/a b",
        "https://shop.example/a\nb",
        "https://shop.example/" + "x" * 236,
    ],
)
def test_addresses_that_will_not_do(url):
    with pytest.raises(InputError, match="https address"):
        checked(url, PLATFORM)


def test_a_person_is_told_whom_a_change_affects():
    told = affected("1900000001", "https://old.example/x", "https://new.example/x")
    for word in ("1900000001", "all of its brands", "https://old.example/x", "https://new.example/x", "FORWARD_URL"):
        assert word in told
    assert "now: none" in affected("1", None, "https://new.example/x")
    of_brand = affected("120344", None, "https://new.example/x", of_brand=True)
    assert "the whole brand 120344" in of_brand
    assert "of its brands" not in of_brand
