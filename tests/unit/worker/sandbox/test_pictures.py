import io
import json

import pytest
from PIL import Image

from couponpress_worker.sandbox import pictures


def head(coupon_type, coupon, **more):
    part = {"type": coupon_type, f"{coupon_type.lower()}_coupon": coupon} | more
    return {"brand_id": "120344", "image_generation_type": "COMBINE_IMAGE", "combine_image": part}


@pytest.mark.parametrize(
    ("content", "color", "lines"),
    [
        (
            head("NORMAL", {"threshold": 10000, "discount_amount": 1}, background_color="#ff5733"),
            "#ff5733",
            ["¥0.01 off", "from ¥100", "brand 120344"],
        ),
        (head("DISCOUNT", {"threshold": 0, "percent_off": 20}), "#07c160", ["20 % off", "no minimum", "brand 120344"]),
        (
            head("EXCHANGE", {"threshold": 2**62, "exchange_price": 990}),
            "#07c160",
            ["for ¥9.90", "from ¥46116860184273879.04", "brand 120344"],
        ),
        (
            {
                "brand_id": "b",
                "image_generation_type": "CUT_OUT",
                "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/shoe.jpg"},
            },
            "#f2f2f2",
            ["CUT OUT", "shoe.jpg", "brand b"],
        ),
    ],
)
def test_a_picture_shows_its_offer(content, color, lines):
    assert pictures.describe(content) == (color, lines)
    with Image.open(io.BytesIO(pictures.draw(json.dumps(content).encode()))) as picture:
        assert (picture.format, picture.size) == ("PNG", (pictures.SIDE_PIXELS, pictures.SIDE_PIXELS))
        assert picture.getpixel((2, 2)) == tuple(bytes.fromhex(color[1:]))
        assert len(picture.getcolors(maxcolors=100_000)) > 2
