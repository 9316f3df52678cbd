"""Draws the small picture behind a task's URL: the task's colour and offer as text.

It does not imitate the platform's pictures. Pillow is needed here only, and imported only when a picture is drawn.
"""

from __future__ import annotations

import io
import json
from typing import Any

SIDE_PIXELS = 256
_DEFAULT_COLOR = "#07c160"


def draw(body: bytes) -> bytes:
    """Return a PNG for an accepted request body. Takes some milliseconds.

    Raises:
        ImportError: Pillow is not installed.
    """
    from PIL import Image, ImageDraw, ImageFont  # noqa: PLC0415 - an optional extra

    color, lines = describe(json.loads(body))
    ink = "black" if _luminance(color) > 140 else "white"
    picture = Image.new("RGB", (SIDE_PIXELS, SIDE_PIXELS), color)
    pen = ImageDraw.Draw(picture)
    pen.rectangle((12, 12, SIDE_PIXELS - 13, SIDE_PIXELS - 13), outline=ink, width=3)
    for position, line in enumerate(lines):
        size = 30 if position == 0 else 15
        font = ImageFont.load_default(size)
        while size > 8 and pen.textlength(line, font) > SIDE_PIXELS - 40:
            size -= 1
            font = ImageFont.load_default(size)
        height = SIDE_PIXELS / 2 + (position - (len(lines) - 1) / 2) * 44
        pen.text((SIDE_PIXELS / 2, height), line, fill=ink, font=font, anchor="mm")
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def describe(content: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the background colour and the lines of text, the offer first. Amounts are shown in yuan."""
    brand = f"brand {content['brand_id']}"
    combine = content.get("combine_image")
    if content["image_generation_type"] == "CUT_OUT" or combine is None:
        return "#f2f2f2", ["CUT OUT", content["cut_out"]["image_url"].rpartition("/")[2][-30:], brand]
    coupon: dict[str, int] = combine[f"{combine['type'].lower()}_coupon"]
    offer = {
        "NORMAL": lambda: f"{_yuan(coupon['discount_amount'])} off",
        "DISCOUNT": lambda: f"{coupon['percent_off']} % off",
        "EXCHANGE": lambda: f"for {_yuan(coupon['exchange_price'])}",
    }[combine["type"]]()
    threshold = f"from {_yuan(coupon['threshold'])}" if coupon["threshold"] else "no minimum"
    return combine.get("background_color", _DEFAULT_COLOR), [offer, threshold, brand]


def _yuan(cents: int) -> str:
    return f"¥{cents // 100}" if cents % 100 == 0 else f"¥{cents // 100}.{cents % 100:02}"


def _luminance(color: str) -> float:
    red, green, blue = (int(color[position : position + 2], 16) for position in (1, 3, 5))
    return 0.299 * red + 0.587 * green + 0.114 * blue
