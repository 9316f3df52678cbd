"""One cell becomes one value: money to cents, 折 to percent off, a merchant's words to the platform's.

Pure. A spelling that could mean two things is refused with the rule that it breaks. Ranges are checked by the spec: a
price may be read well and still be too high.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from functools import lru_cache

from couponpress.language import gettext

#: At most 21 digits: more than any amount has, and Decimal stays exact. 050 may be what a comma has left of 1,050.
_WHOLE = r"[1-9][0-9]{0,2}(?:,[0-9]{3}){1,6}|[1-9][0-9]{0,20}|0"
_CENTS = re.compile(rf"({_WHOLE})\s*分?")
_YUAN = re.compile(
    rf"(?:人民币|CNY|RMB)?\s*(?:(?:CN)?¥)?\s*({_WHOLE})(\.[0-9]+)?\s*(?:(?:元|圆)整?|块|¥|人民币|CNY|RMB)?",
    re.IGNORECASE,
)
#: The usual spelling of an amount in yuan, which is looked for first, for speed.
_USUAL_YUAN = re.compile(r"([1-9][0-9]{0,20}|0)(?:\.([0-9]{1,2}))?").fullmatch
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*%\s*(off)?", re.IGNORECASE)
_FOLD = re.compile(r"打?\s*([0-9]{1,3}(?:\.[0-9]{1,9})?)\s*折")
#: Under a discount, 15折 may be 1.5折 or 85 % of the price by mistake; from 2.0折 on the short spelling is clear.
_LEAST_SHORT_FOLD = 20
_CHINESE_DIGITS = str.maketrans("一二三四五六七八九点", "123456789.")
#: Three digits alone may be what a spreadsheet has left of 000255.
_HEX_COLOR = re.compile(r"#?[0-9a-f]{6}|#[0-9a-f]{3}|(?![0-9]{3})[0-9a-f]{3}", re.IGNORECASE)
_USUAL_COLOR = re.compile(r"#[0-9A-Fa-f]{6}").fullmatch
_RGB = re.compile(r"rgb\(\s*([0-9]{1,3})\s*[,\s]\s*([0-9]{1,3})\s*[,\s]\s*([0-9]{1,3})\s*\)", re.IGNORECASE)
_NO_THRESHOLD = {"无", "无门槛"}

#: Field -> a merchant's words -> the platform's; the first of several that mean the same is the usual one.
WORDS: Mapping[str, Mapping[str, str]] = {
    "image_generation_type": {"拼图": "COMBINE_IMAGE", "头图": "COMBINE_IMAGE", "抠图": "CUT_OUT"},
    "scope": {
        "全场": "ALL",
        "全场券": "ALL",
        "单品": "SINGLE",
        "单品券": "SINGLE",
        "品类": "CATEGORY",
        "品类券": "CATEGORY",
    },
    "type": {
        "满减券": "NORMAL",
        "满减": "NORMAL",
        "折扣券": "DISCOUNT",
        "折扣": "DISCOUNT",
        "兑换券": "EXCHANGE",
        "兑换": "EXCHANGE",
    },
    "usage_mode": {"单券": "SINGLE", "多次优惠": "PROGRESSIVE_BUNDLE"},
}

#: The web's colours of these names.
_COLORS: Mapping[str, str] = {
    "black": "#000000",
    "blue": "#0000ff",
    "brown": "#a52a2a",
    "gold": "#ffd700",
    "gray": "#808080",
    "green": "#008000",
    "grey": "#808080",
    "orange": "#ffa500",
    "pink": "#ffc0cb",
    "purple": "#800080",
    "red": "#ff0000",
    "silver": "#c0c0c0",
    "white": "#ffffff",
    "yellow": "#ffff00",
    "黑": "#000000",
    "蓝": "#0000ff",
    "棕": "#a52a2a",
    "金": "#ffd700",
    "灰": "#808080",
    "绿": "#008000",
    "橙": "#ffa500",
    "粉": "#ffc0cb",
    "紫": "#800080",
    "红": "#ff0000",
    "银": "#c0c0c0",
    "白": "#ffffff",
    "黄": "#ffff00",
}


#: Letters without a width or a meaning of their own: zero width, direction marks, soft hyphen, byte-order mark.
_UNSEEN = re.compile(
    r"[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    r"\u2800\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)


#: Digits that are raised, in a circle, Roman or a fraction: the plain form of 10² would be 102.
_DRESSED_DIGIT = re.compile(
    r"[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u209c\u2150-\u218b\u2460-\u249b\u24ea-\u24ff\u2776-\u2793\u3220-\u3229"
    r"\u3248-\u325f\u3280-\u3289\u32b1-\u32bf\u32c0-\u32cb\u3358-\u3370\u33e0-\u33fe\U0001f100-\U0001f10c]"
)


class CellError(ValueError):
    """A cell that cannot be read; the message is the rule that it breaks."""


def word(field: str, text: str) -> str:
    """Return the platform's word for a cell of `field`; a word that is not known stays, for the spec to refuse.

    >>> word("type", "满减券"), word("scope", "all"), word("scope", "周边")
    ('NORMAL', 'ALL', '周边')
    """
    plain = _plain(text)
    return WORDS[field].get(plain) or plain.upper().replace("-", "_").replace(" ", "_")


def cents(text: str) -> int:
    """Return an amount that is written in cents (分).

    A decimal point is refused even in front of zeros: 199.0 might be yuan.

    Raises:
        CellError: not a whole number.
    """
    found = _CENTS.fullmatch(_plain(text))
    if found is None:
        raise CellError(gettext("must be a whole number of cents (分), for example 19990"))
    return int(found[1].replace(",", ""))


def yuan(text: str) -> int:
    """Return in cents an amount that is written in yuan (元), exactly.

    >>> yuan("199.9"), yuan("￥1,299.00"), yuan("5元")
    (19990, 129900, 500)

    Raises:
        CellError: no amount, or more than two decimals.
    """
    if usual := _USUAL_YUAN(text):
        whole, fraction = usual.groups("")
        return int(whole + fraction.ljust(2, "0"))
    found = _YUAN.fullmatch(_plain(text))
    if found is None:
        raise CellError(gettext("must be an amount in yuan (元), for example 199.90"))
    whole, fraction = found[1].replace(",", ""), found[2] or ""
    if len(fraction) > 3:
        raise CellError(gettext("must have at most two decimals, for the smallest amount is one cent (分)"))
    return int(Decimal(whole + fraction).scaleb(2))


def threshold_cents(text: str) -> int:
    """Return a threshold that is written in cents; 无 and 无门槛 mean 0."""
    return 0 if not text.isascii() and _plain(text) in _NO_THRESHOLD else cents(text)


def threshold_yuan(text: str) -> int:
    """Return in cents a threshold that is written in yuan; 无 and 无门槛 mean 0."""
    return 0 if not text.isascii() and _plain(text) in _NO_THRESHOLD else yuan(text)


def percent_off(text: str) -> int:
    """Return whole percent off, from a number of percent or from any spelling that `discount` knows.

    Raises:
        CellError: see `discount`.
    """
    plain = _plain(text)
    found = re.fullmatch(r"([0-9]{1,3})\s*%?", plain)
    return int(found[1]) if found else discount(text)


@lru_cache(maxsize=1024)  # a catalog has few different ones
def discount(text: str) -> int:
    """Return whole percent off, from 折 (what is paid, in tenths) or from a percentage (what is taken off).

    >>> discount("8折"), discount("8.5折"), discount("85折"), discount("八五折"), discount("20% off")
    (20, 15, 15, 15, 20)

    Raises:
        CellError: it could mean two things, as a bare number or 85% does; or it comes to no whole percent.
    """
    plain = _plain(text)
    if found := _FOLD.fullmatch(plain.translate(_CHINESE_DIGITS)):
        off = 100 - _paid(found[1])
    elif found := _PERCENT.fullmatch(plain):
        off = Decimal(found[1])
        if off > 50 and not found[2]:
            raise CellError(
                gettext("may mean what is paid or what is taken off; write %(shown)s折 or %(off)s%% off")
                % {"shown": f"{(100 - off) / 10:f}", "off": f"{off:f}"}
            )
    else:
        raise CellError(gettext("must say what it means, for example 8折, 8.5折 or 20% off"))
    if off != off.to_integral_value() or off < 0:
        raise CellError(gettext("must come to whole percent off, for example 8.5折 (15 percent off)"))
    return int(off)


def _paid(number: str) -> Decimal:
    """Return the percent of the price that a number of 折 leaves to pay.

    Raises:
        CellError: less than 1折, or a number that is no usual spelling.
    """
    paid = Decimal(number)
    if paid < 1:
        raise CellError(gettext("must be at least 1折 (90 percent off); 8折 is 20 percent off, and 0.8折 would be 92"))
    if paid <= 10:
        return paid * 10
    # Nothing costs more than 10 折, so that 85折 is the short spelling of 8.5折.
    if "." in number or not _LEAST_SHORT_FOLD <= paid < 100:
        raise CellError(gettext("is no usual discount; write it between 1折 and 9.9折, for example 8.5折"))
    return paid


def color(text: str) -> str:
    """Return a colour as `#rrggbb`; one that is not understood stays, for the spec to refuse.

    >>> color("#F53"), color("ff5733"), color("rgb(255, 87, 51)"), color("红色"), color("#FF5733")
    ('#ff5533', '#ff5733', '#ff5733', '#ff0000', '#FF5733')
    """
    if _USUAL_COLOR(text):
        return text
    plain = _plain(text)
    if _HEX_COLOR.fullmatch(plain):
        # A colour that was in the platform's form already stays as it is: the same catalog is the same bytes.
        digits = plain.removeprefix("#")
        return f"#{digits}" if len(digits) == 6 else "#" + "".join(digit * 2 for digit in digits.lower())
    if found := _RGB.fullmatch(plain):
        parts = [int(part) for part in found.groups()]
        return "#" + "".join(f"{part:02x}" for part in parts) if max(parts) <= 255 else text.strip()
    name = plain.casefold()
    return _COLORS.get(name) or _COLORS.get(name.removesuffix("色")) or text.strip()


def visible(text: str) -> str:
    """Return a text without letters that nobody sees, such as a zero-width space or a byte-order mark."""
    return text if text.isascii() else _UNSEEN.sub("", text)


def _plain(text: str) -> str:
    """Full-width digits, brackets, commas and signs become the plain ones; ￥ becomes ¥. A raised digit is none."""
    if text.isascii():
        return text.strip()
    return unicodedata.normalize("NFKC", _DRESSED_DIGIT.sub("\ufffd", visible(text))).strip()
