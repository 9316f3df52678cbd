"""The structs that are derived from the model accept only what the model accepts, with the same bytes."""

import json
from enum import IntEnum
from typing import Annotated

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from couponpress.compiled_spec import SpecChecker, struct_of
from couponpress.errors import SpecError
from couponpress.ledger.chunks import Identified, identified_in
from couponpress.serialized_spec import SerializedSpec
from couponpress.spec import (
    CombineImage,
    CutOut,
    DiscountCoupon,
    ExchangeCoupon,
    NormalCoupon,
    TaskSpec,
)
from tests.examples import examples

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/a.jpg"
INT64_MAX = 2**63 - 1

# --- what is generated: good values most of the time, and beside them what programs and people write -----------------

ODD = [
    None, True, False, 0, 1, -1, 1.0, 0.5, 1e300, float("nan"), float("inf"), 2**63 - 1, 2**63, 2**64, -(2**63) - 1,
    10**40, "", "1", "ALL", "all", "NORMAL", " ", "茶", "\x00", "\x7f", "\ud800", "\U0001f375", 'a"b', "a\\b", [], {},
    [1], {"a": 1}, "x" * 201, "x" * 200, "#ff5733", "#FF573", URL, URL + '"', URL + "\\", URL + " ", URL + "\n", "a\n"
]  # fmt: skip
COMBINE_RULES = {"NORMAL": "normal_coupon", "DISCOUNT": "discount_coupon", "EXCHANGE": "exchange_coupon"}
WORDS = ["SP-1", "茶-1", 'a"b', "a\\u0022b", "\\", "\u2028", "\u200b1"]
PRINTABLE = [chr(number) for number in range(0x21, 0x7F)]

#: What decides an example, with text of any letters: to draw each piece by a strategy takes ten times as long.
chances, some_text = st.randoms(use_true_random=True), st.text(max_size=30)


def a_request(chance, text):
    """A request whose pieces `chance` decides; some have the text."""
    one = chance.choice

    def mostly(good):
        return lambda: good() if chance.randrange(12) else one(ODD)

    def fields(required, **optional):
        """An object with the fields given, now and then without a required one or with one that is unknown."""

        def made():
            kind = chance.randrange(14)
            names = [name for name in required if kind != 0 or one([True, False])]
            names += [name for name in optional if one([True, False])]
            unknown = {one(["x", "name"]): one(ODD)} if kind == 1 else {}
            return {name: {**required, **optional}[name]() for name in names} | unknown

        return made

    amount = mostly(lambda: one([chance.randint(0, INT64_MAX), chance.randint(0, 100), 0, 1, 99, 100, INT64_MAX]))
    percent = mostly(lambda: chance.randint(0, 100))
    color = f"#{chance.randrange(1 << 24):06x}"
    colors = [color, color.upper(), "#ff573g", "#ff5733\n", "#ff57333", "ff5733"]
    urls = [
        "https://wxpaylogo.qpic.cn/" + "".join(chance.choices(PRINTABLE, k=chance.randint(1, 40))),
        URL + "x" * 1000,
    ]
    rules = {
        "normal_coupon": mostly(fields({"threshold": amount, "discount_amount": amount})),
        "discount_coupon": mostly(fields({"threshold": amount, "percent_off": percent})),
        "exchange_coupon": mostly(fields({"threshold": amount, "exchange_price": amount})),
    }
    kind = one([*COMBINE_RULES, ""])
    usual = {
        "scope": mostly(lambda: one(["ALL", "SINGLE", "CATEGORY"])),
        "type": (lambda: kind) if kind else mostly(lambda: one([*COMBINE_RULES])),
        "usage_mode": mostly(lambda: one(["SINGLE", "PROGRESSIVE_BUNDLE"])),
    }
    if kind:
        name = COMBINE_RULES[kind]
        combine = fields({**usual, name: rules[name]}, background_color=mostly(lambda: one(colors)))
    else:
        combine = fields(usual, **rules)
    own = {
        "brand_id": mostly(lambda: one(["1", "120344", "B_-9", "b" * 64, "b" * 65])),
        "task_id": mostly(lambda: "".join(chance.choices("0123456789abcXYZ_-", k=chance.randint(5, 41)))),
        "row_id": mostly(lambda: one([text, one(WORDS)])),
        "combine_image": combine,
    }
    required, optional = {"brand_id": own.pop("brand_id")}, own
    if one([True, True, False]):
        required["image_generation_type"] = lambda: "COMBINE_IMAGE"
        required["combine_image"] = mostly(optional.pop("combine_image"))
    else:
        required["image_generation_type"] = lambda: "CUT_OUT"
        required["cut_out"] = mostly(fields({"image_url": mostly(lambda: one(urls))}))
    return fields(required, **optional)()


class DoubledKeyError(ValueError):
    pass


def without_doubles(pairs):
    if len(dict(pairs)) != len(pairs):
        raise DoubledKeyError
    return dict(pairs)


def by_the_model(raw, default_row_id, strict):
    """What the model makes of plain data; None if it refuses."""
    if raw.get("row_id") is None and raw.get("task_id") is None:
        raw = {**raw, "row_id": default_row_id}
    try:
        spec, notes = TaskSpec.parse(raw, strict=strict)
    except SpecError:
        return None
    return spec, notes


def by_the_model_from(text, default_row_id, strict):
    try:
        raw = json.loads(text, object_pairs_hook=without_doubles)
    except ValueError:
        return None
    return by_the_model(raw, default_row_id, strict) if isinstance(raw, dict) else None


def assert_the_model_says_so(checked, expected):
    """Whatever was accepted has the model's bytes, ids, digest and notes."""
    assert expected is not None, "accepted what the model refuses"
    spec, notes = expected
    assert checked == (SerializedSpec.of(spec), notes)
    assert identified_in("run")(checked[0]) == Identified.of(spec, "run")
    assert identified_in("run")(checked[0]).row.body == spec.identified("run").body()


@settings(max_examples=examples(1500), deadline=None)
@given(chances, some_text, st.booleans())
def test_plain_data_is_accepted_only_as_the_model_accepts_it(chance, some, strict):
    raw = a_request(chance, some)
    checked = SpecChecker(strict=strict).of_fields(raw, "7")
    expected = by_the_model(raw, "7", strict)
    if checked is not None:
        assert_the_model_says_so(checked, expected)
    elif expected is not None and not left_to_the_model(raw):
        raise AssertionError("refused what the model accepts")


def left_to_the_model(raw):
    """What the model accepts and the structs leave to it: nulls, and objects of another type, which are left out."""
    combine = raw.get("combine_image")
    inner = combine if isinstance(combine, dict) else {}
    objects = [name for name in ("combine_image", "cut_out") if name in raw]
    rules = [name for name in COMBINE_RULES.values() if name in inner]
    return len(objects) > 1 or len(rules) > 1 or "null" in json.dumps(raw)


def rewritten(text, chance):
    """The same JSON, or one that is spelled otherwise: a key doubled, escapes, blanks, other numbers, cut off."""
    kind = chance.randrange(14)
    if kind == 0 and text.startswith("{") and len(text) > 2:
        return f'{{"brand_id": "9", {text[1:]}'
    if kind == 1 and '"threshold": ' in text:
        return text.replace('"threshold": ', '"threshold": 5, "threshold": ', 1)
    if kind == 2:
        return text.replace('"row_id": "', '"row_id": "\\u0022\\u0022').replace("{", '{"task_id": "abcdef", ', 1)
    if kind == 3:
        return text.replace("brand_id", "br\\u0061nd_id", 1)
    if kind == 4:
        return f" \t{text}\r\n"
    if kind == 5:
        return text + chance.choice(["}", "{}", ",", " x", "\x00"])
    if kind == 6:
        return text[: chance.randrange(len(text) + 1)]
    if kind == 7:
        return text.replace("1", chance.choice(["1.0", "1e0", "01", "-0", "+1", "１"]), 1)
    if kind == 8:
        return text.replace('"combine_image": {', '"combine_image": {"scope": "ALL"}, "combine_image": {', 1)
    if kind == 9:
        return text.replace(": ", ":").replace(", ", ",")
    if kind == 10:
        return text.replace('"', "'", 1)
    if kind == 11:
        colon = chance.choice(["\\u003a", "\\u003A", ":", ""])
        return text.replace('"row_id": "', f'"row_id": "{colon}').replace("{", '{"task_id": "abcdef", ', 1)
    return text


@settings(max_examples=examples(1500), deadline=None)
@given(chances, some_text, st.booleans(), st.booleans())
def test_a_text_is_accepted_only_as_the_model_accepts_it(chance, some, strict, ascii_only):
    text = rewritten(json.dumps(a_request(chance, some), ensure_ascii=ascii_only), chance)
    checked = SpecChecker(strict=strict).of_json(text, "7")
    if checked is not None:
        assert_the_model_says_so(checked, by_the_model_from(text, "7", strict))


GOOD = {
    "row_id": "SP-1",
    "brand_id": "120344",
    "image_generation_type": "COMBINE_IMAGE",
    "combine_image": {
        "scope": "ALL",
        "type": "NORMAL",
        "usage_mode": "SINGLE",
        "normal_coupon": {"threshold": 100, "discount_amount": 1},
    },
}


@given(st.text())
@example("\ud800")
@example('a"')
@example("a::b")
@example("\x00\x1f\x7f\u2028\U0001f375")
def test_a_row_id_comes_through_as_it_is(row_id):
    raw = {**GOOD, "row_id": row_id}
    for text in (json.dumps(raw), json.dumps(raw, ensure_ascii=False)):
        checked = SpecChecker(strict=False).of_json(text, "7")
        if checked is not None:
            assert_the_model_says_so(checked, by_the_model_from(text, "7", False))
            assert checked[0].row_id == row_id


def test_half_a_letter_is_left_to_the_model():
    assert SpecChecker(strict=False).of_fields({**GOOD, "row_id": "\ud800"}, "7") is None


@pytest.mark.parametrize("body", [
    GOOD,
    {**GOOD, "row_id": "茶-1", "task_id": "task_1"},
    {**GOOD, "row_id": 'a:"b"\\', "task_id": "task_1"},
    {name: value for name, value in GOOD.items() if name != "row_id"},
    {"brand_id": "1", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}},
])  # fmt: skip
def test_usual_requests_need_no_model(body):
    texts = [json.dumps(body), json.dumps(body, ensure_ascii=False), json.dumps(body, separators=(",", ":")) + "\n"]
    for text in [*texts, json.dumps(dict(reversed(body.items())))]:
        assert SpecChecker(strict=True).of_json(text, "7") is not None
    assert SpecChecker(strict=True).of_fields(body, "7") is not None


@pytest.mark.parametrize(("before", "after"), [
    ('"scope"', '"scope": "ALL", "scope"'),
    ('"brand_id"', '"brand_id": "120344", "brand_id"'),
    ('"row_id"', '"task_id": null, "row_id"'),
    ('"row_id"', '"task_id": "abcdef", "task_id": null, "row_id"'),
    ('"SP-1"', '"\\u0022", "row_id": "SP-1"'),
    ('"SP-1"', '"\\"", "row_id": "SP-1"'),
    ('"SP-1"', '"\\u003a", "row_id": "SP-1"'),
    ('"SP-1"', '"\\u003A"'),
    ('"threshold": 100', '"threshold": 100, "threshold": 100'),
    ('"threshold": 100', '"threshold": 100.0'),
    ('"threshold": 100', '"threshold": true'),
    ('"threshold": 100', '"threshold": "100"'),
    ('"threshold": 100', '"threshold": NaN'),
    ('"threshold": 100', '"threshold": 9223372036854775808'),
    ('"threshold": 100', '"threshold": 0100'),
    ('"ALL"', '"ALL", "name": 1'),
    ('"SINGLE"', '"SINGLE", "exchange_coupon": null'),
])  # fmt: skip
def test_what_is_not_plain_is_left_to_the_model(before, after):
    text = json.dumps(GOOD)
    assert before in text
    assert SpecChecker(strict=False).of_json(text.replace(before, after, 1), "7") is None


def test_ids_are_looked_at_by_the_caller():
    def is_id(text):
        return text not in {"nan", "null"}

    checker = SpecChecker(strict=False, is_id=is_id)
    assert checker.of_fields(GOOD, "7") is not None
    for name in ("row_id", "brand_id"):
        assert checker.of_fields({**GOOD, name: "nan"}, "7") is None
    assert SpecChecker(strict=False, is_id=lambda text: text != "abcdef").of_fields(
        {**GOOD, "task_id": "abcdef"}, "7"
    ) is None  # fmt: skip


class Number(IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


def test_data_of_other_types_is_left_to_the_model_or_read_as_by_it():
    for raw in (
        {**GOOD, "brand_id": Text("1")},
        {**GOOD, "combine_image": {**GOOD["combine_image"], "normal_coupon": {"threshold": Number.ONE,
                                                                              "discount_amount": 1}}},
    ):  # fmt: skip
        checked = SpecChecker(strict=False).of_fields(raw, "7")
        if checked is not None:
            assert_the_model_says_so(checked, by_the_model(raw, "7", False))


# --- the model is the one source -------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", [TaskSpec, CombineImage, CutOut, NormalCoupon, DiscountCoupon, ExchangeCoupon])
def test_a_struct_has_the_fields_of_its_model(model):
    derived = struct_of(model)
    assert list(derived.__struct_fields__) == list(model.model_fields)


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


def test_a_rule_that_has_no_counterpart_is_never_left_out():
    class WithFieldValidator(Strict):
        name: str

        @field_validator("name")
        @classmethod
        def _check(cls, value):
            return value

    class WithValidatorBefore(Strict):
        name: str

        @model_validator(mode="before")
        @classmethod
        def _check(cls, value):
            return value

    class WithAlias(Strict):
        name: str = Field(alias="other")

    class WithDefault(Strict):
        name: str = "a"

    class WithMultiple(Strict):
        number: Annotated[int, Field(multiple_of=5)]

    class WithOwnRule(Strict):
        name: Annotated[str, AfterValidator(str.strip)]

    class WithOtherPattern(Strict):
        name: Annotated[str, Field(pattern="a$")]

    class WithOtherType(Strict):
        number: float

    class Lax(BaseModel):
        model_config = ConfigDict(extra="forbid")
        name: str

    class Open(BaseModel):
        model_config = ConfigDict(strict=True)
        name: str

    class Stripped(BaseModel):
        model_config = ConfigDict(strict=True, extra="forbid", str_strip_whitespace=True)
        name: str

    for model in (WithFieldValidator, WithValidatorBefore, WithAlias, WithDefault, WithMultiple, WithOwnRule,
                  WithOtherPattern, WithOtherType, Lax, Open, Stripped):  # fmt: skip
        with pytest.raises(TypeError, match=r"\w"):
            struct_of(model)


def test_a_rule_that_is_added_to_the_model_holds_for_the_struct():
    class Even(NormalCoupon):
        @model_validator(mode="after")
        def _even(self):
            if self.threshold % 2:
                raise ValueError("odd")
            return self

    derived = struct_of(Even)
    assert msgspec.json.decode(b'{"threshold":4,"discount_amount":1}', type=derived).threshold == 4
    for text in (b'{"threshold":5,"discount_amount":1}', b'{"threshold":4,"discount_amount":5}'):
        with pytest.raises(msgspec.ValidationError):
            msgspec.json.decode(text, type=derived)
