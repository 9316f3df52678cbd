import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couponpress.spec import TaskSpec
from couponpress_worker.sandbox import rules
from couponpress_worker.sandbox.exchange import Answer, Request
from tests.builders import cut_out_body

COMBINE = {
    "scope": "ALL",
    "type": "NORMAL",
    "usage_mode": "SINGLE",
    "normal_coupon": {"threshold": 10000, "discount_amount": 1},
    "background_color": "#ff5733",
}
HEAD = {
    "brand_id": "120344",
    "task_id": "image_generation_task_1",
    "image_generation_type": "COMBINE_IMAGE",
    "combine_image": COMBINE,
}
CUT_OUT = {
    "brand_id": "120344",
    "task_id": "image_generation_task_2",
    "image_generation_type": "CUT_OUT",
    "cut_out": {"image_url": "https://wxpaylogo.qpic.cn/wxpaylogo/example.jpg"},
}
#: The platform's own sample: it carries the objects of every type at once.
SAMPLE = HEAD | {
    "combine_image": COMBINE
    | {
        "discount_coupon": {"threshold": 10000, "percent_off": 20},
        "exchange_coupon": {"threshold": 10000, "exchange_price": 20},
    },
    "cut_out": CUT_OUT["cut_out"],
}


def read(content, *, strict=False):
    return rules.read_task(json.dumps(content).encode(), strict=strict)


def with_part(**changes):
    part = {name: value for name, value in (COMBINE | changes).items() if value != "leave out"}
    return HEAD | {"combine_image": part}


@pytest.mark.parametrize(
    "content", [HEAD, CUT_OUT, with_part(scope="CATEGORY"), with_part(background_color="leave out")]
)
@pytest.mark.parametrize("strict", [False, True])
def test_right_bodies_are_read(content, strict):
    spec = read(content, strict=strict)
    assert isinstance(spec, TaskSpec)
    assert spec.task_id == content["task_id"]


def test_the_sample_as_printed_is_taken_unless_strict():
    assert isinstance(read(SAMPLE), TaskSpec)
    answer = read(SAMPLE, strict=True)
    assert (answer.status, answer.number) == (400, 270924358)


@pytest.mark.parametrize(
    ("content", "pointer", "number"),
    [
        ({name: value for name, value in HEAD.items() if name != "task_id"}, "/task_id", 268578101),
        ({name: value for name, value in HEAD.items() if name != "brand_id"}, "/brand_id", 268578101),
        (HEAD | {"task_id": "short"}, "/task_id", 268435461),
        (HEAD | {"task_id": "x" * 41}, "/task_id", 268435461),
        (HEAD | {"task_id": 123456}, "/task_id", 268435464),
        (HEAD | {"row_id": "7"}, "/row_id", 270924358),
        (HEAD | {"colour": "red"}, "/colour", 270924358),
        (HEAD | {"brand_id": None}, "/brand_id", 268435461),
        (HEAD | {"cut_out": None}, "/cut_out", 268435461),
        (with_part(background_color=None), "/combine_image/background_color", 268435461),
        (with_part(background_color="red"), "/combine_image/background_color", 268435461),
        (with_part(type="FREE"), "/combine_image/type", 268435461),
        (with_part(normal_coupon="leave out"), "/combine_image/normal_coupon", 268578101),
        (with_part(normal_coupon={"threshold": 1}), "/combine_image/normal_coupon/discount_amount", 268578101),
        (
            with_part(normal_coupon={"threshold": 1, "discount_amount": 2}),
            "/combine_image/normal_coupon/discount_amount",
            268435464,
        ),
        (
            with_part(normal_coupon={"threshold": "1", "discount_amount": 1}),
            "/combine_image/normal_coupon/threshold",
            268435461,
        ),
        (
            with_part(normal_coupon={"threshold": -1, "discount_amount": 1}),
            "/combine_image/normal_coupon/threshold",
            268435464,
        ),
        (HEAD | {"image_generation_type": "CUT_OUT"}, "/cut_out", 268578101),
        (CUT_OUT | {"cut_out": {"image_url": "https://example.com/a.jpg"}}, "/cut_out/image_url", 268435461),
    ],
)
def test_every_broken_rule_is_a_param_error_that_points_at_the_field(content, pointer, number):
    answer = read(content)
    told = json.loads(answer.body)
    assert (answer.status, answer.number, told["code"]) == (400, number, "PARAM_ERROR")
    assert (told["detail"]["field"], told["detail"]["location"]) == (pointer, "body")
    assert told["detail"]["issue"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"a":NaN}', b'{"a":"\xd6\xd0"}', b"[" * 100_000, b"9" * 5000],
)
def test_what_is_not_a_json_object(body):
    answer = rules.read_task(body, strict=False)
    assert (answer.status, answer.number) == (400, 268578101)


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_fall_over(body):
    assert isinstance(rules.read_task(body, strict=True), Answer)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*HEAD, *COMBINE, "threshold"]), inner, max_size=5)
        ),
        max_leaves=12,
    )
)
def test_no_json_at_all_makes_it_fall_over(content):
    answer = rules.read_task(json.dumps(content).encode(), strict=False)
    assert isinstance(answer, TaskSpec) or answer.status == 400


@pytest.mark.parametrize(
    ("query", "task_id", "field"),
    [
        ("", "task_1", "brand_id"),
        ("brand_id=1", "task_1", "image_generation_type"),
        ("brand_id=&image_generation_type=CUT_OUT", "task_1", "brand_id"),
        ("brand_id=1&image_generation_type=CUT", "task_1", "image_generation_type"),
        ("brand_id=1&image_generation_type=CUT_OUT&more=1", "task_1", "query"),
        ("brand_id=1&image_generation_type=CUT_OUT&brand_id=1", "task_1", "query"),
        ("brand_id=1&image_generation_type=CUT_OUT", "a", "task_id"),
    ],
)
def test_queries_that_will_not_do(query, task_id, field):
    answer = rules.read_query(query, task_id)
    assert answer.status == 400
    assert json.loads(answer.body)["detail"]["field"] == field


def test_a_right_query():
    assert rules.read_query("brand_id=1&image_generation_type=CUT_OUT", "task_1") == ("1", "CUT_OUT")


def test_a_brand_names_itself_neither_in_a_task_nor_in_a_query():
    unnamed = cut_out_body(brand_id=None)
    assert rules.read_task(json.dumps(unnamed).encode(), strict=True, brand_id="120344").brand_id == "120344"
    assert rules.read_query("image_generation_type=CUT_OUT", "task_1", brand_id="120344") == ("120344", "CUT_OUT")
    named = rules.read_task(json.dumps(cut_out_body()).encode(), strict=False, brand_id="120344")
    assert json.loads(named.body)["detail"]["field"] == "/brand_id"
    named = rules.read_query("brand_id=120344&image_generation_type=CUT_OUT", "task_1", brand_id="120344")
    assert json.loads(named.body)["detail"]["field"] == "query"


@pytest.mark.parametrize("url", ["https://example.com/wechatpay/callback", "http://127.0.0.1:8000/x", "http://[::1]/x"])
def test_notify_urls_that_will_do(url):
    assert rules.read_notify_config(json.dumps({"notify_url": url}).encode()) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        5,
        "http://example.com/x",
        "https://example.com/x?y=1",
        "https://example.com/x#y",
        "https://example.com/" + "x" * 256,
        "ftp://example.com/",
        "https:///x",
        "https://[::1/x",
        "https://example.com/a b",
    ],
)
def test_notify_urls_that_will_not_do(url):
    assert rules.read_notify_config(json.dumps({"notify_url": url}).encode()).status == 400


def test_notify_config_takes_one_field():
    body = b'{"notify_url":"https://example.com/x","update_time":"now"}'
    assert json.loads(rules.read_notify_config(body).body)["detail"]["field"] == "/update_time"


def echo(content, **headers):
    return rules.read_echo(Request("POST", "/v3/security/echo", "", headers, json.dumps(content).encode()))


def test_echo():
    named = {"wechatpay-serial": "PUB_KEY_ID_1"}
    assert echo({"echo_message": "hello"}, **named) == ("hello", None)
    with_url = {"echo_message": "hello", "encrypted_echo_message": "x", "notify_url": "https://example.com/x"}
    assert echo(with_url, **named) == ("hello", "https://example.com/x")


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"echo_message": ""},
        {"echo_message": 5},
        {"echo_message": "a", "encrypted_echo_message": 5},
        {"echo_message": "a", "more": 1},
        {"echo_message": "a", "notify_url": "http://example.com/"},
    ],
)
def test_echo_that_will_not_do(content):
    assert echo(content, **{"wechatpay-serial": "PUB_KEY_ID_1"}).status == 400


def test_echo_must_name_the_platform_key():
    assert b"Wechatpay-Serial" in echo({"echo_message": "hello"}).body
