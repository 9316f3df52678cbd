"""The contract, rule by rule: what a picture request may hold, and the bytes that it becomes."""

import copy
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from couponpress.errors import SpecError
from couponpress.spec import (
    PART_OF_TYPE,
    RULE_OF_TYPE,
    CombineImage,
    CutOut,
    NormalCoupon,
    TaskSpec,
    generated_task_id,
)

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"
NORMAL = {"threshold": 10000, "discount_amount": 1}
DISCOUNT = {"threshold": 10000, "percent_off": 20}
EXCHANGE = {"threshold": 10000, "exchange_price": 20}
RULES = {"NORMAL": NORMAL, "DISCOUNT": DISCOUNT, "EXCHANGE": EXCHANGE}
INT64_MAX = 9223372036854775807

# The sample body as the platform's page prints it (wechatpay-im/website, the submit page of image-generation-tasks;
# the same on pay.weixin.qq.com/doc/v3/partner/4017327752): it carries objects that its own type does not use.
PRINTED_SAMPLE = """{
  "brand_id": "120344",
  "task_id": "image_generation_task_1",
  "image_generation_type": "COMBINE_IMAGE",
  "combine_image": {
    "scope": "ALL",
    "type": "NORMAL",
    "usage_mode": "SINGLE",
    "normal_coupon": {"threshold": 10000, "discount_amount": 1},
    "discount_coupon": {"threshold": 10000, "percent_off": 20},
    "exchange_coupon": {"threshold": 10000, "exchange_price": 20},
    "background_color": "#ff5733"
  },
  "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"}
}"""


def head_picture(coupon_type="NORMAL", **changes):
    """A good head picture; a key of `changes` is a dotted path, and `...` deletes it."""
    raw = {
        "brand_id": "120344",
        "image_generation_type": "COMBINE_IMAGE",
        "combine_image": {
            "scope": "SINGLE" if coupon_type == "EXCHANGE" else "ALL",
            "type": coupon_type,
            "usage_mode": "SINGLE",
            RULE_OF_TYPE[coupon_type]: dict(RULES[coupon_type]),
        },
    }
    return changed(raw, changes)


def cut_out(**changes):
    return changed(
        {"brand_id": "120344", "image_generation_type": "CUT_OUT", "cut_out": {"image_url": URL}},
        changes,
    )


def changed(raw, changes):
    raw = copy.deepcopy(raw)
    for path, value in changes.items():
        *parents, last = path.split(".")
        at = raw
        for parent in parents:
            at = at[parent]
        if value is ...:
            del at[last]
        else:
            at[last] = value
    return raw


def problems(raw, strict=False):
    with pytest.raises(SpecError) as caught:
        TaskSpec.parse(raw, strict=strict)
    return {problem.field: problem for problem in caught.value.problems}


GOOD = [
    head_picture("NORMAL"),
    head_picture("DISCOUNT"),
    head_picture("EXCHANGE"),
    cut_out(),
    head_picture(brand_id="b"),
    head_picture(brand_id="A-b_9" * 12),
    head_picture(task_id="abcdef"),
    head_picture(task_id="A-_9" * 10),
    head_picture(**{"combine_image.scope": "SINGLE"}),
    head_picture(**{"combine_image.scope": "CATEGORY"}),
    head_picture(**{"combine_image.usage_mode": "PROGRESSIVE_BUNDLE"}),
    head_picture(**{"combine_image.background_color": "#ff5733"}),
    head_picture(**{"combine_image.background_color": "#ABCDEF"}),
    head_picture(**{"combine_image.normal_coupon": {"threshold": 100, "discount_amount": 100}}),
    head_picture(**{"combine_image.normal_coupon": {"threshold": 0, "discount_amount": 500}}),
    head_picture(**{"combine_image.normal_coupon": {"threshold": INT64_MAX, "discount_amount": INT64_MAX}}),
    head_picture("DISCOUNT", **{"combine_image.discount_coupon": {"threshold": 0, "percent_off": 1}}),
    head_picture("DISCOUNT", **{"combine_image.discount_coupon": {"threshold": INT64_MAX, "percent_off": 99}}),
    head_picture("EXCHANGE", **{"combine_image.exchange_coupon": {"threshold": 0, "exchange_price": 0}}),
    head_picture("EXCHANGE", **{"combine_image.exchange_coupon": {"threshold": 0, "exchange_price": INT64_MAX}}),
    cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/x"}),
    cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/" + "x" * 998}),
    cut_out(row_id="r" * 200),
]


@pytest.mark.parametrize("raw", GOOD, ids=lambda raw: json.dumps(raw)[25:90])
def test_what_the_rules_allow_is_sent_as_it_was_given(raw):
    spec, _ = TaskSpec.parse(raw, strict=True)
    sent = json.loads(spec.identified("run").body())
    given_task_id = raw.get("task_id")
    assert sent.pop("task_id") == given_task_id if given_task_id else sent.pop("task_id").startswith("cp_")
    assert sent == {name: value for name, value in raw.items() if name not in {"task_id", "row_id"}}


NO_FIELD = "is not a field of this request"
NO_TASK_ID = "must be 6 to 40 digits, letters, _ or -"
NO_BRAND_ID = "must be digits, letters, _ or -"
NO_COLOR = "must be # and six hex digits, for example #ff5733"
NO_URL = "must be a picture stored on https://wxpaylogo.qpic.cn/"
NO_INTEGER = "must be a valid integer"
TOO_BIG = f"must be less than or equal to {INT64_MAX}"

BAD = [
    (head_picture(brand_id=...), "brand_id", "is required"),
    (head_picture(brand_id=""), "brand_id", NO_BRAND_ID),
    (head_picture(brand_id="12 34"), "brand_id", NO_BRAND_ID),
    (head_picture(brand_id="120344\n"), "brand_id", NO_BRAND_ID),
    (head_picture(brand_id="a&b"), "brand_id", NO_BRAND_ID),
    (head_picture(brand_id="品牌"), "brand_id", NO_BRAND_ID),
    (head_picture(brand_id="b" * 65), "brand_id", "must have at most 64 characters"),
    (head_picture(brand_id=120344), "brand_id", "must be a valid string"),
    (head_picture(task_id="abcde"), "task_id", NO_TASK_ID),
    (head_picture(task_id="a" * 41), "task_id", NO_TASK_ID),
    (head_picture(task_id="abc.def"), "task_id", NO_TASK_ID),
    (head_picture(task_id="abcdef\n"), "task_id", NO_TASK_ID),
    (head_picture(task_id="任务任务任务"), "task_id", NO_TASK_ID),
    (head_picture(task_id="١٢٣٤٥٦"), "task_id", NO_TASK_ID),
    (head_picture(image_generation_type=...), "image_generation_type", "is required"),
    (head_picture(image_generation_type="cut_out"), "image_generation_type", "must be 'COMBINE_IMAGE' or 'CUT_OUT'"),
    (head_picture(image_generation_type=["CUT_OUT"]), "image_generation_type", "must be 'COMBINE_IMAGE' or 'CUT_OUT'"),
    (
        head_picture(combine_image=...),
        "combine_image",
        "is required when image_generation_type is COMBINE_IMAGE",
    ),
    (cut_out(cut_out=...), "cut_out", "is required when image_generation_type is CUT_OUT"),
    (cut_out(callback_url="https://x"), "callback_url", NO_FIELD),
    (head_picture(**{"combine_image.scope": ...}), "combine_image.scope", "is required"),
    (
        head_picture(**{"combine_image.scope": "SHOP"}),
        "combine_image.scope",
        "must be 'ALL', 'SINGLE' or 'CATEGORY'",
    ),
    (head_picture(**{"combine_image.type": ...}), "combine_image.type", "is required"),
    (
        head_picture(**{"combine_image.type": "normal"}),
        "combine_image.type",
        "must be 'NORMAL', 'DISCOUNT' or 'EXCHANGE'",
    ),
    (head_picture(**{"combine_image.usage_mode": ...}), "combine_image.usage_mode", "is required"),
    (
        head_picture(**{"combine_image.usage_mode": "SEQUENTIAL"}),
        "combine_image.usage_mode",
        "must be 'SINGLE' or 'PROGRESSIVE_BUNDLE'",
    ),
    (head_picture(**{"combine_image.title": "x"}), "combine_image.title", NO_FIELD),
    (head_picture(**{"combine_image.background_color": "ff5733"}), "combine_image.background_color", NO_COLOR),
    (head_picture(**{"combine_image.background_color": "#ff573"}), "combine_image.background_color", NO_COLOR),
    (head_picture(**{"combine_image.background_color": "#ff57333"}), "combine_image.background_color", NO_COLOR),
    (head_picture(**{"combine_image.background_color": "#gg5733"}), "combine_image.background_color", NO_COLOR),
    (head_picture(**{"combine_image.background_color": "#ff5733\n"}), "combine_image.background_color", NO_COLOR),
    (head_picture(**{"combine_image.background_color": "Color010"}), "combine_image.background_color", NO_COLOR),
    *(
        (
            head_picture(kind, **{f"combine_image.{RULE_OF_TYPE[kind]}": ...}),
            f"combine_image.{RULE_OF_TYPE[kind]}",
            f"is required when type is {kind}",
        )
        for kind in RULE_OF_TYPE
    ),
    *(
        (
            head_picture(kind, **{f"combine_image.{RULE_OF_TYPE[kind]}.{name}": value}),
            f"combine_image.{RULE_OF_TYPE[kind]}.{name}",
            rule,
        )
        for kind, names in (
            ("NORMAL", NORMAL),
            ("DISCOUNT", DISCOUNT),
            ("EXCHANGE", EXCHANGE),
        )
        for name in names
        for value, rule in (
            (..., "is required"),
            (None, "is required"),
            ("100", NO_INTEGER),
            (100.0, NO_INTEGER),
            (True, NO_INTEGER),
            (-1, "must be greater than or equal to "),
            (2**63, "must be less than or equal to "),
        )
    ),
    (
        head_picture(**{"combine_image.normal_coupon.discount_amount": 0}),
        "combine_image.normal_coupon.discount_amount",
        "must be greater than or equal to 1",
    ),
    (
        head_picture(**{"combine_image.normal_coupon.discount_amount": 10001}),
        "combine_image.normal_coupon.discount_amount",
        "must not exceed the threshold",
    ),
    (
        head_picture("DISCOUNT", **{"combine_image.discount_coupon.percent_off": 0}),
        "combine_image.discount_coupon.percent_off",
        "must be greater than or equal to 1",
    ),
    (
        head_picture("DISCOUNT", **{"combine_image.discount_coupon.percent_off": 100}),
        "combine_image.discount_coupon.percent_off",
        "must be less than or equal to 99",
    ),
    (head_picture(**{"combine_image.normal_coupon.currency": "CNY"}), "combine_image.normal_coupon.currency", NO_FIELD),
    (cut_out(**{"cut_out.image_url": ...}), "cut_out.image_url", "is required"),
    (cut_out(**{"cut_out.image_url": None}), "cut_out.image_url", "is required"),
    (cut_out(**{"cut_out.image_url": "http://wxpaylogo.qpic.cn/x"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn.evil.example/x"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn@evil.example/x"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogoXqpic.cn/x"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": " https://wxpaylogo.qpic.cn/x"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/a b"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/图"}), "cut_out.image_url", NO_URL),
    (cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/x\n"}), "cut_out.image_url", NO_URL),
    (
        cut_out(**{"cut_out.image_url": "https://wxpaylogo.qpic.cn/" + "x" * 999}),
        "cut_out.image_url",
        "must have at most 1024 characters",
    ),
    (cut_out(**{"cut_out.width": 1}), "cut_out.width", NO_FIELD),
    (cut_out(row_id=""), "row_id", "must have at least 1 character"),
    (cut_out(row_id="r" * 201), "row_id", "must have at most 200 characters"),
    (cut_out(row_id="\ud800"), "row_id", "must be a valid string"),
]


@pytest.mark.parametrize(("raw", "field", "rule"), BAD, ids=lambda case: str(case)[-60:])
def test_a_broken_rule_is_named_with_its_field(raw, field, rule):
    found = problems(raw)
    assert list(found) == [field]
    assert found[field].rule.startswith(rule)


def test_every_broken_rule_is_named_at_once_with_the_value_that_broke_it():
    raw = head_picture("DISCOUNT", task_id="short", **{"combine_image.scope": "X", "combine_image.usage_mode": ...})
    found = problems(raw)
    assert {name: problem.value for name, problem in found.items()} == {
        "task_id": "short",
        "combine_image.scope": "X",
        "combine_image.usage_mode": None,
    }
    with pytest.raises(SpecError, match=re.escape("task_id: must be 6 to 40 digits, letters, _ or - (got 'short')")):
        TaskSpec.parse(raw)


def test_a_null_counts_as_absent_wherever_it_stands():
    raw = head_picture(task_id=None, row_id=None, cut_out=None)
    raw["combine_image"] |= {"discount_coupon": None, "background_color": None}
    spec, notes = TaskSpec.parse(raw, strict=True)
    assert notes == ()
    assert b"null" not in spec.identified("run").body()


# --- the sample as printed -------------------------------------------------------------------------------------------


def test_the_printed_sample_is_accepted_and_what_does_not_belong_is_left_out_and_noted():
    spec, notes = TaskSpec.parse(json.loads(PRINTED_SAMPLE))
    assert notes == (
        "cut_out: left out, it has no place here",
        "combine_image.discount_coupon: left out, it has no place here",
        "combine_image.exchange_coupon: left out, it has no place here",
    )
    assert spec.body() == (
        b'{"brand_id":"120344","task_id":"image_generation_task_1","image_generation_type":"COMBINE_IMAGE",'
        b'"combine_image":{"scope":"ALL","type":"NORMAL","usage_mode":"SINGLE",'
        b'"normal_coupon":{"threshold":10000,"discount_amount":1},"background_color":"#ff5733"}}'
    )


def test_the_printed_sample_is_refused_when_strict():
    found = problems(json.loads(PRINTED_SAMPLE), strict=True)
    assert set(found) == {"cut_out", "combine_image.discount_coupon", "combine_image.exchange_coupon"}
    assert {problem.rule for problem in found.values()} == {"has no place here"}


def test_the_printed_sample_as_a_cut_out_keeps_only_the_picture():
    raw = json.loads(PRINTED_SAMPLE) | {"image_generation_type": "CUT_OUT"}
    spec, notes = TaskSpec.parse(raw)
    assert notes == ("combine_image: left out, it has no place here",)
    assert json.loads(spec.body()).keys() == {"brand_id", "task_id", "image_generation_type", "cut_out"}


def test_building_directly_refuses_what_has_no_place():
    part = CombineImage(
        scope="ALL", type="NORMAL", usage_mode="SINGLE", normal_coupon=NormalCoupon(threshold=2, discount_amount=1)
    )
    with pytest.raises(ValidationError, match="cut_out has no place when image_generation_type is COMBINE_IMAGE"):
        TaskSpec(brand_id="1", image_generation_type="COMBINE_IMAGE", combine_image=part, cut_out=CutOut(image_url=URL))
    with pytest.raises(ValidationError, match="discount_coupon has no place when type is NORMAL"):
        CombineImage.model_validate({**head_picture()["combine_image"], "discount_coupon": DISCOUNT})


# --- what is doubtful is noted, not refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "noted"),
    [
        (head_picture(), []),
        (head_picture(**{"combine_image.scope": "CATEGORY"}), []),
        (head_picture(**{"combine_image.scope": "SINGLE"}), ["combine_image.scope"]),
        (head_picture(**{"combine_image.usage_mode": "PROGRESSIVE_BUNDLE"}), ["combine_image.usage_mode"]),
        (head_picture("EXCHANGE", **{"combine_image.scope": "ALL"}), ["combine_image.scope"]),
        (head_picture("EXCHANGE", **{"combine_image.scope": "CATEGORY"}), ["combine_image.scope"]),
        (cut_out(), []),
    ],
)
def test_doubts_are_noted(raw, noted):
    _, notes = TaskSpec.parse(raw)
    assert [note.partition(": ")[0] for note in notes] == noted


@pytest.mark.parametrize("scope", ["ALL", "CATEGORY"])
def test_strict_refuses_an_exchange_that_coupon_creation_would_refuse(scope):
    found = problems(head_picture("EXCHANGE", **{"combine_image.scope": scope}), strict=True)
    assert found["combine_image.scope"].value == scope


# --- ids and bytes ---------------------------------------------------------------------------------------------------


def test_a_generated_task_id_depends_on_run_and_row_only():
    spec, _ = TaskSpec.parse(head_picture(row_id="SP-1"))
    other, _ = TaskSpec.parse(cut_out(row_id="SP-1", brand_id="other"))
    # "cp_" and base64url of the first 15 bytes of SHA-256("may\0SP-1"): whoever changes the rule makes every
    # catalog that was submitted before new work.
    assert spec.identified("may").task_id == "cp_me90aPg7efNvG0JQ9iv-"
    assert other.identified("may").task_id == spec.identified("may").task_id
    assert spec.identified("june").task_id != spec.identified("may").task_id


def test_a_callers_own_task_id_is_kept_and_serves_as_row_id():
    spec, _ = TaskSpec.parse(head_picture(task_id="my_own_id"))
    assert (spec.identified("a").task_id, spec.identified("b").row_id) == ("my_own_id", "my_own_id")
    spec, _ = TaskSpec.parse(head_picture(task_id="my_own_id", row_id="7"))
    assert spec.identified("a") is spec


def test_equal_specs_without_any_id_are_the_same_work():
    first, _ = TaskSpec.parse(head_picture())
    again, _ = TaskSpec.parse(head_picture())
    other, _ = TaskSpec.parse(head_picture(brand_id="120345"))
    assert first.identified("r") == again.identified("r")
    assert first.identified("r").task_id != other.identified("r").task_id


def test_a_body_needs_a_task_id():
    spec, _ = TaskSpec.parse(head_picture())
    with pytest.raises(ValueError, match="call identified"):
        spec.body()


def test_the_row_id_is_never_sent():
    spec, _ = TaskSpec.parse(cut_out(row_id="SP-1"))
    assert b"SP-1" not in spec.identified("run").body()


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@settings(deadline=None)
@given(run=texts, row_id=texts)
def test_every_generated_task_id_keeps_the_platforms_rule(run, row_id):
    task_id = generated_task_id(run, row_id)
    assert re.fullmatch(r"[0-9A-Za-z_-]{6,40}", task_id)
    assert generated_task_id(run, row_id) == task_id


@settings(deadline=None)
@given(st.lists(texts, unique=True, max_size=50))
def test_rows_of_one_run_get_task_ids_of_their_own(row_ids):
    assert len({generated_task_id("run", row_id) for row_id in row_ids}) == len(row_ids)


amounts = st.integers(0, INT64_MAX)
rules = st.one_of(
    st.tuples(amounts, st.integers(1, INT64_MAX))
    .filter(lambda pair: not pair[0] or pair[1] <= pair[0])
    .map(lambda pair: ("NORMAL", {"threshold": pair[0], "discount_amount": pair[1]})),
    st.tuples(amounts, st.integers(1, 99)).map(
        lambda pair: ("DISCOUNT", {"threshold": pair[0], "percent_off": pair[1]})
    ),
    st.tuples(amounts, amounts).map(lambda pair: ("EXCHANGE", {"threshold": pair[0], "exchange_price": pair[1]})),
)


@settings(deadline=None)
@given(
    rule=rules,
    scope=st.sampled_from(["ALL", "SINGLE", "CATEGORY"]),
    usage_mode=st.sampled_from(["SINGLE", "PROGRESSIVE_BUNDLE"]),
    color=st.none() | st.from_regex(r"\A#[0-9A-Fa-f]{6}\Z"),
    strays=st.sets(st.sampled_from([*RULE_OF_TYPE.values(), "cut_out"])),
)
def test_whatever_else_it_carries_a_good_head_picture_sends_exactly_what_belongs(
    rule, scope, usage_mode, color, strays
):
    coupon_type, amounts_given = rule
    belongs = {
        "brand_id": "120344",
        "image_generation_type": "COMBINE_IMAGE",
        "combine_image": {
            "scope": scope,
            "type": coupon_type,
            "usage_mode": usage_mode,
            RULE_OF_TYPE[coupon_type]: amounts_given,
        }
        | ({"background_color": color} if color else {}),
    }
    raw = copy.deepcopy(belongs)
    for name in strays - {RULE_OF_TYPE[coupon_type]}:
        (raw if name in PART_OF_TYPE.values() else raw["combine_image"])[name] = {"anything": ["at", "all"]}
    spec, notes = TaskSpec.parse(raw)
    body = spec.identified("run").body()
    sent = json.loads(body)
    assert sent.pop("task_id")
    assert sent == belongs
    assert sum("left out" in note for note in notes) == len(strays - {RULE_OF_TYPE[coupon_type]})
    # The bytes are compact, and reading them back gives the same spec: what is signed is what was meant.
    assert b" " not in body
    assert TaskSpec.parse(json.loads(body))[0].body() == body


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["brand_id", "task_id", "image_generation_type", "combine_image", "cut_out", "row_id", "x"]),
        json_values | st.sampled_from(["COMBINE_IMAGE", "CUT_OUT", "120344"]),
    )
)
def test_anything_else_gets_problems_never_another_error(raw):
    try:
        told = TaskSpec.parse(raw)[0].identified("run").body().decode()
    except SpecError as error:
        told = "; ".join(f"{problem.field}: {problem.rule}" for problem in error.problems)
    assert told
