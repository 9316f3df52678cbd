"""Every refusal that the sandbox gives, by the platform's table of statuses and codes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from couponpress_worker.sandbox import exchange
from couponpress_worker.sandbox.exchange import Answer, refused

#: How much of the message that was verified against a refused signature is shown.
_SHOWN_MESSAGE = 256
_SHOWN_VALUE = 100


def not_found() -> Answer:
    """No such path."""
    return refused(404, "NOT_FOUND", "请求的URL不存在，请检查路径")


def wrong_method(allowed: Sequence[str]) -> Answer:
    """The path exists, the method does not."""
    names = ", ".join(allowed)
    return refused(405, "METHOD_NOT_ALLOWED", f"该URL只支持{names}", headers=((b"allow", names.encode()),))


def header_missing(name: str) -> Answer:
    """Accept or User-Agent is absent."""
    return refused(400, "INVALID_REQUEST", f"HTTP头缺少{name}", detail={"field": name, "location": "header"})


def other_platform_key(named: str) -> Answer:
    """Wechatpay-Serial names a key that the platform does not have."""
    return refused(
        400,
        "INVALID_REQUEST",
        "HTTP头Wechatpay-Serial不是有效的微信支付公钥ID",
        number=exchange.SERIAL_WRONG,
        detail={"field": "Wechatpay-Serial", "value": named[:_SHOWN_VALUE], "location": "header"},
    )


def not_acceptable() -> Answer:
    """Accept does not cover JSON."""
    return refused(406, "NOT_ACCEPTABLE", "HTTP头Accept必须包含application/json")


def too_large(limit_bytes: int) -> Answer:
    """The body is larger than any that would be right."""
    return refused(413, "REQUEST_TOO_LARGE", f"请求包体不得超过{limit_bytes}字节")


def wrong_media_type(expected: str) -> Answer:
    """Content-Type is not what the call takes."""
    return refused(415, "UNSUPPORTED_MEDIA_TYPE", f"HTTP头Content-Type必须为{expected}")


def sign_error(message: str, field: str, issue: str, number: int = exchange.SIGNATURE_WRONG) -> Answer:
    """The Authorization header cannot be used, or names someone or a time that is not right."""
    detail = {"detail": {"issue": issue}, "field": field, "location": "authorization"}
    return refused(401, "SIGN_ERROR", message, number=number, detail=detail)


def signature_wrong(method: str, target: str, message: bytes) -> Answer:
    """The signature is not the partner's over `message`; the answer shows what was verified."""
    detail = {
        "detail": {"issue": "sign not match"},
        "field": "signature",
        "location": "authorization",
        "sign_information": {
            "method": method,
            "url": target,
            "sign_message_length": len(message),
            "truncated_sign_message": message[:_SHOWN_MESSAGE].decode("utf-8", "replace"),
        },
    }
    message_zh = "签名错误，请检查签名串与商户API私钥是否与证书序列号对应"
    return refused(401, "SIGN_ERROR", message_zh, number=exchange.BAD_SIGNATURE, detail=detail)


def wrong_value(
    field: str, issue: str, value: object = None, *, location: str = "body", number: int = exchange.ILLEGAL_VALUE
) -> Answer:
    """A field is missing, ill-formed or not allowed. `field` is a JSON pointer in a body, else a plain name."""
    detail: dict[str, object] = {"field": field, "issue": issue, "location": location}
    if value is not None:
        detail["value"] = value if isinstance(value, int | float) else str(value)[:_SHOWN_VALUE]
    return refused(400, "PARAM_ERROR", f"参数错误：{field.strip('/') or '包体'}", number=number, detail=detail)


def not_json(issue: str) -> Answer:
    """The body is not a JSON object."""
    return wrong_value("/", issue, number=exchange.BAD_STRUCTURE)


def same_serial(task_id: str) -> Answer:
    """The task_id was used before, with another body."""
    return refused(
        400,
        "ALREADY_EXISTS",
        "任务ID已存在且请求参数不一致，请检查task_id是否重复使用",
        number=exchange.SAME_SERIAL_OTHER_DATA,
        detail={"field": "/task_id", "value": task_id, "location": "body"},
    )


def not_authorised(brand_id: str) -> Answer:
    """The brand did not authorise the partner."""
    return refused(
        403,
        "NO_AUTH",
        f"品牌{brand_id}未授权当前服务商",
        number=exchange.NOT_AUTHORISED,
        detail={"field": "/brand_id", "value": brand_id, "location": "body"},
    )


def absent(what: str) -> Answer:
    """What was asked for does not exist, or not for this brand."""
    return refused(404, "RESOURCE_NOT_EXISTS", f"{what}不存在", number=exchange.OBJECT_ABSENT)


def too_fast() -> Answer:
    """The limit is reached; the request was not taken."""
    return refused(429, "RATELIMIT_EXCEEDED", "请求频率超过限制，请降低频率后使用原参数重试", number=exchange.TOO_FAST)


def inner_fault(status: int) -> Answer:
    """A fault of the platform's own: 500, 503, or a gateway's 504 without a body."""
    if status == 500:
        return refused(500, "SYSTEM_ERROR", "系统异常，请使用原参数重试")
    if status == 503:
        return refused(503, "SERVICE_UNAVAILABLE", "服务暂不可用，请稍后重试")
    return Answer(status, number=exchange.UNLISTED, content_type=b"text/plain")


def gateway_page() -> Answer:
    """A gateway's 502: HTML where JSON is expected."""
    page = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
    return Answer(502, page, exchange.UNLISTED, b"text/html")
