"""The whole table of the platform's errors, one line per row, and the retry schedule."""

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couponpress.outcome import State
from couponpress_worker.wechatpay.judgement import (
    Accepted,
    Answer,
    Completed,
    Hold,
    NoAnswer,
    NotFound,
    Processing,
    QueryFirst,
    Rejected,
    Retry,
    Throttled,
    judge,
    judge_query,
    read_task,
)

#: A busy machine is no failure.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ID = "08F78BB5AF0610D302189F9C71"


def answer(status, code="", message="", number=0, **more):
    return Answer(status, code, message, request_id=f"{ID}-{number}", **more)


#: status, code, message, number -> what it means for a submit, and for a query
TABLE = [
    (200, "", "", 0, Accepted, Retry),
    (201, "", "", 0, Accepted, Retry),
    (202, "", "", 0, Retry, Retry),
    (202, "USERPAYING", "", 0, Retry, Retry),
    (204, "", "", 0, Accepted, Retry),
    (400, "PARAM_ERROR", "参数错误", 0, Rejected, Rejected),
    (400, "INVALID_REQUEST", "优惠门槛不符合要求", 0, Rejected, Rejected),
    (400, "INVALID_REQUEST", "Http头缺少Accept或User-Agent", 0, Hold, Hold),
    (400, "INVALID_REQUEST", "The request header is missing", 0, Hold, Hold),
    (400, "INVALID_REQUEST", "接口调用频率过高,请稍后再试", 0, Throttled, Throttled),
    (400, "INVALID_REQUEST", "Requests are too frequent", 0, Throttled, Throttled),
    (400, "ALREADY_EXISTS", "请求单号已存在", 0, QueryFirst, Rejected),
    (400, "RESOURCE_ALREADY_EXISTS", "资源已存在", 0, QueryFirst, Rejected),
    (400, "ALREADY_EXISTS", "请求单号重复", 268578927, Rejected, Rejected),
    (400, "INVALID_REQUEST", "请求单号重复", 268578927, Rejected, Rejected),
    (400, "FREQUENCY_LIMITED", "", 0, Throttled, Throttled),
    (400, "FREQUENCY_LIMIT_EXCEED", "", 0, Throttled, Throttled),
    (400, "SYSTEM_ERROR", "系统错误", 0, Retry, Retry),
    (401, "SIGN_ERROR", "签名错误", 0, Hold, Hold),
    (401, "", "", 0, Hold, Hold),
    (400, "SIGN_ERROR", "签名错误", 0, Hold, Hold),
    (403, "NO_AUTH", "商户无权限", 0, Hold, Hold),
    (403, "NO_AUTH", "商户无权限", 268579803, Hold, Hold),
    (403, "RULE_LIMIT", "业务规则限制", 0, Rejected, Rejected),
    (403, "FORBIDDEN", "", 0, Rejected, Rejected),
    (404, "NOT_FOUND", "", 0, Hold, NotFound),
    (404, "RESOURCE_NOT_EXISTS", "", 0, Hold, NotFound),
    (404, "ORDER_NOT_EXIST", "", 0, Hold, NotFound),
    (404, "RESOURCE_NOT_EXISTS", "品牌不存在", 268578608, Rejected, NotFound),
    (400, "INVALID_REQUEST", "品牌不存在", 268578608, Rejected, NotFound),
    (404, "", "", 0, Hold, Retry),
    (405, "", "", 0, Hold, Hold),
    (406, "", "", 0, Hold, Hold),
    (413, "", "", 0, Hold, Hold),
    (415, "INVALID_REQUEST", "", 0, Hold, Hold),
    (429, "RATELIMIT_EXCEEDED", "频率超限", 0, Throttled, Throttled),
    (429, "", "", 0, Throttled, Throttled),
    (429, "SOMETHING_NEW", "", 0, Throttled, Throttled),
    (500, "SYSTEM_ERROR", "系统错误", 0, Retry, Retry),
    (500, "PARAM_ERROR", "", 0, Retry, Retry),
    (502, "", "", 0, Retry, Retry),
    (503, "SERVICE_UNAVAILABLE", "", 0, Retry, Retry),
    (504, "", "", 0, Retry, Retry),
    # What nobody documents, and what is not the platform's own word, books no permanent failure.
    (409, "CONFLICT", "", 0, Rejected, Rejected),
    (400, "", "", 0, Retry, Retry),
    (403, "", "", 0, Retry, Retry),
    (407, "", "", 0, Retry, Retry),
    (408, "", "", 0, Retry, Retry),
    (302, "", "", 0, Retry, Retry),
    (599, "", "", 0, Retry, Retry),
]


@pytest.mark.parametrize(("status", "code", "message", "number", "submit", "query"), TABLE)
def test_every_row_of_the_table(status, code, message, number, submit, query):
    assert type(judge(answer(status, code, message, number))) is submit
    assert type(judge_query(answer(status, code, message, number))) is query


SPELLINGS = [
    "RATELIMIT_EXCEEDED",
    "RATE_LIMITED",
    "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED",
    "FREQENCY_LIMIT",
    "FREQUENCY_LIMIT",
]


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
@pytest.mark.parametrize(
    ("code", "number"),
    [(code, 0) for code in SPELLINGS] + [("INVALID_REQUEST", number) for number in (270924289, 268447840, 268461336)],
)
def test_every_spelling_of_too_fast_throttles_in_any_status(status, code, number):
    told = answer(status, code, number=number, retry_after_seconds=1.5)
    assert judge(told) == Throttled(1.5)
    assert judge_query(told) == Throttled(1.5)


def test_a_rule_limit_is_not_a_rate_limit():
    assert judge(answer(403, "RULE_LIMIT", "活动次数已达上限")) == Rejected("RULE_LIMIT", "活动次数已达上限")


@pytest.mark.parametrize("message", ["图片url不符合要求,不接受该域名", "We do not accept this picture", "头图尺寸错误"])
def test_a_message_about_the_row_stops_nobody(message):
    assert judge(answer(400, "INVALID_REQUEST", message)) == Rejected("INVALID_REQUEST", message)


# --- rejections ------------------------------------------------------------------------------------------------------


def test_a_rejection_names_code_message_and_field():
    told = answer(400, "PARAM_ERROR", "参数错误 (too long)", field="/combine_image/background_color")
    assert judge(told) == Rejected("PARAM_ERROR", "参数错误 (too long)", "/combine_image/background_color")


@pytest.mark.parametrize(("code", "number"), [("NO_AUTH", 0), ("NO_AUTH", 268579803), ("INVALID_REQUEST", 268579803)])
def test_a_missing_permission_is_about_the_brand(code, number):
    for verdict in (judge(answer(403, code, number=number)), judge_query(answer(403, code, number=number))):
        assert isinstance(verdict, Hold)
        assert (verdict.scope, verdict.code) == ("brand", code)
        assert "authorise" in verdict.cure
        assert "authorise" in judge(answer(403, "INVALID_REQUEST", "", 268579803)).message


def test_a_404_that_names_a_field_has_found_the_path():
    assert judge(answer(404, "RESOURCE_NOT_EXISTS", "x", field="/brand_id")) == Rejected(
        "RESOURCE_NOT_EXISTS", "x", "/brand_id"
    )


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (268435461, "not allowed"),
        (268435462, "too long"),
        (268435463, "too short"),
        (268435464, "out of range"),
        (268578101, "structure"),
        (268578224, "parameter"),
        (268578608, "no such object"),
        (268578704, "app id"),
        (268578404, "picture is missing"),
        (268578927, "used before with other data"),
        (268586067, "progressive"),
        (268573590, "date"),
        (270087680, "size limit"),
        (270924358, "not known"),
    ],
)
def test_a_rejection_without_words_takes_them_from_the_number(number, words):
    verdict = judge(answer(400, "INVALID_REQUEST", number=number))
    assert isinstance(verdict, Rejected)
    assert words in verdict.message
    assert judge(answer(400, "INVALID_REQUEST", "自己的话", number)).message == "自己的话"


# --- stops -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [268443699, 269546505, 269546507, 269546525, 269546538])
def test_a_signature_number_stops_the_partner_with_a_cure(number):
    verdict = judge(answer(400, "INVALID_REQUEST", "x", number))
    assert isinstance(verdict, Hold)
    assert verdict.scope == "partner"
    assert ("expired" if number == 269546505 else "MCH_SERIAL_NO") in verdict.cure


def test_a_sign_error_shows_what_the_platform_signed():
    verdict = judge(answer(401, "SIGN_ERROR", "签名错误", detail='{"sign_message_length":214}', skew_seconds=1.0))
    assert verdict.message == '签名错误 {"sign_message_length":214}'
    assert verdict.code == "SIGN_ERROR"


@pytest.mark.parametrize(("skew", "side"), [(412.4, "412 s behind"), (-300.0, "300 s ahead of")])
def test_a_clock_that_is_off_is_named_as_the_reason(skew, side):
    for told in (
        answer(401, "SIGN_ERROR", "签名已过期", skew_seconds=skew),
        answer(200, objection="the timestamp is 5 minutes or more from our clock", skew_seconds=skew),
    ):
        verdict = judge(told)
        assert verdict.code == "CLOCK_SKEW"
        assert side in verdict.cure
        assert "NTP" in verdict.cure


@pytest.mark.parametrize(
    ("told", "cure"),
    [
        (answer(401), "COUPONPRESS_MCH_PRIVATE_KEY_FILE"),
        (answer(404), "COUPONPRESS_BASE_URL"),
        (answer(415), "proxy"),
    ],
)
def test_every_stop_has_a_cure_and_says_how_to_go_on(told, cure):
    verdict = judge(told)
    assert verdict.scope == "partner"
    assert cure in verdict.cure
    assert "couponpress resume" in verdict.cure
    assert verdict.code == f"HTTP_{told.status}"


# --- in doubt --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("skew", [None, 0.0, 299.9, -299.9])
def test_a_2xx_whose_signature_does_not_hold_proves_nothing(status, skew):
    told = answer(status, objection="the signature does not hold", skew_seconds=skew, content={"task_state": "SUCCESS"})
    assert judge(told) == Retry("UNTRUSTED_ANSWER", "the signature does not hold")
    assert judge_query(told) == Retry("UNTRUSTED_ANSWER", "the signature does not hold")


@pytest.mark.parametrize(("kind", "code"), [("not_sent", "NOT_SENT"), ("open", "NO_ANSWER")])
def test_no_answer_is_tried_again(kind, code):
    assert judge(NoAnswer(kind, "reset by peer")) == Retry(code, "reset by peer")
    assert judge_query(NoAnswer(kind, "reset by peer")) == Retry(code, "reset by peer")


def test_a_reason_is_never_empty():
    assert judge(answer(502)) == Retry("HTTP_502", "status 502 without a reason")


@pytest.mark.parametrize(
    ("request_id", "number"),
    [
        (f"{ID}-0", 0),
        (f"{ID}-268578927", 268578927),
        ("a-b-c-17", 17),
        ("", None),
        ("268578927", None),
        ("abc-", None),
        ("abc-1x", None),
        ("abc-１", None),
        (f"abc-{'9' * 19}", None),
    ],
)
def test_the_number_of_a_request_id(request_id, number):
    assert Answer(200, request_id=request_id).number == number


_texts = st.text(max_size=30)
_codes = (
    st.sampled_from([*SPELLINGS, "", "PARAM_ERROR", "NO_AUTH", "SIGN_ERROR", "SYSTEM_ERROR", "ALREADY_EXISTS"]) | _texts
)


@UNHURRIED
@given(
    status=st.integers(100, 999),
    code=_codes,
    message=_texts,
    request_id=_texts,
    objection=st.none() | _texts,
    skew=st.none() | st.floats(allow_nan=False),
    content=st.dictionaries(_texts, st.integers() | _texts | st.none() | st.dictionaries(_texts, _texts)),
)
def test_any_answer_gets_a_judgement_and_only_a_trusted_2xx_is_accepted(
    status, code, message, request_id, objection, skew, content
):
    told = Answer(status, code, message, "", "", request_id, objection, None, skew, content)
    verdict = judge(told)
    assert isinstance(verdict, Accepted | Rejected | Throttled | Retry | QueryFirst | Hold)
    assert not isinstance(verdict, Accepted) or (200 <= status < 300 and objection is None)
    assert not isinstance(verdict, Rejected) or (code and 400 <= status < 500)
    queried = judge_query(told)
    assert not isinstance(queried, Completed | Processing) or (200 <= status < 300 and objection is None)


@pytest.mark.parametrize("number", [0, 10, 268573590])
@pytest.mark.parametrize("code", ["", "FREQUENCY_LIMITED"])
@pytest.mark.parametrize("objection", [None, "the signature does not hold"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_only_a_good_answer_takes_the_short_way(status, objection, code, number):
    told = judge(answer(status, code, number=number, objection=objection))
    if code:
        assert told == Throttled()
    elif objection:
        assert told == Retry("UNTRUSTED_ANSWER", objection)
    else:
        assert isinstance(told, Retry if status == 202 else Accepted)


def test_values_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer(200).status = 201


# --- queries ---------------------------------------------------------------------------------------------------------

URL = "https://wxpaylogo.qpic.cn/wxpaylogo/abc/0"


@pytest.mark.parametrize(
    ("content", "verdict"),
    [
        ({"task_state": "PROCESSING"}, Processing()),
        ({"task_state": "PROCESSING", "combine_image_result": {"image_url": URL}}, Processing()),
        ({"task_state": "SUCCESS", "combine_image_result": {"image_url": URL}}, Completed(State.SUCCEEDED, URL)),
        ({"task_state": "SUCCESS", "cut_out_result": {"image_url": URL}, "new": 1}, Completed(State.SUCCEEDED, URL)),
        (
            {"task_state": "SUCCESS", "combine_image_result": None, "cut_out_result": {"image_url": URL}},
            Completed(State.SUCCEEDED, URL),
        ),
        ({"task_state": "FAIL"}, Completed(State.FAILED)),
        ({"task_state": "FAIL", "cut_out_result": {"image_url": URL}}, Completed(State.FAILED)),
        ({"task_state": "SUCCESS"}, Retry("NO_IMAGE_URL", "task_state is SUCCESS, but there is no image_url")),
        (
            {"task_state": "SUCCESS", "cut_out_result": {"image_url": ""}},
            Retry("NO_IMAGE_URL", "task_state is SUCCESS, but there is no image_url"),
        ),
        (
            {"task_state": "SUCCESS", "cut_out_result": [URL]},
            Retry("NO_IMAGE_URL", "task_state is SUCCESS, but there is no image_url"),
        ),
        ({}, Retry("UNKNOWN_STATE", "task_state is 'None', which is none of the known ones")),
        ({"task_state": "DONE"}, Retry("UNKNOWN_STATE", "task_state is 'DONE', which is none of the known ones")),
        ({"task_state": ["x"]}, Retry("UNKNOWN_STATE", "task_state is \"['x']\", which is none of the known ones")),
    ],
)
def test_a_task_is_read_from_a_query_as_from_a_callback(content, verdict):
    assert read_task(content) == verdict
    assert judge_query(answer(200, content=content)) == verdict


@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_5xx_that_names_a_wait_hands_it_on(status):
    assert judge(answer(status, "SYSTEM_ERROR", "busy", retry_after_seconds=9.0)).retry_after_seconds == 9.0


def test_a_state_that_is_too_deep_to_be_printed_is_no_crash():
    """JSON is read on a short stack and judged on another: what just could be read may not be printable."""
    state = []
    for _ in range(5000):
        state = [state]
    assert read_task({"task_state": state}).code == "UNKNOWN_STATE"


@pytest.mark.parametrize(
    ("status", "code", "message", "number", "field"),
    [
        (400, "INVALID_REQUEST", "HTTP头Wechatpay-Serial不是有效的微信支付公钥ID", 269546507, "Wechatpay-Serial"),
        (400, "PARAM_ERROR", "请求头错误", 0, "Wechatpay-Serial"),
        (400, "PARAM_ERROR", "平台证书序列号错误", 0, ""),
        (400, "PARAM_ERROR", "请确认微信支付公钥ID是否正确", 268435461, ""),
        (401, "SIGN_ERROR", "平台证书序列号Wechatpay-Serial错误", 269546507, ""),
        (404, "RESOURCE_NOT_EXISTS", "平台证书序列号不存在", 268578608, ""),
    ],
)
def test_a_wrong_id_of_the_platforms_key_holds_the_partner_and_blames_that_setting_alone(
    status, code, message, number, field
):
    told = answer(status, code, message, number, field=field)
    for verdict in (judge(told), judge_query(told)):
        assert (verdict.scope, verdict.code, verdict.message) == ("partner", code, message)
        assert "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID" in verdict.cure
        assert "COUPONPRESS_MCH_SERIAL_NO" not in verdict.cure
        assert verdict.request_id == f"{ID}-{number}"


def test_an_outage_that_mentions_the_key_is_retried():
    assert isinstance(judge(answer(500, "SYSTEM_ERROR", "平台证书序列号", field="Wechatpay-Serial")), Retry)
