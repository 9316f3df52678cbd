"""Checks a request's headers and signature (pure). Every check returns a refusal, or None.

The order is the platform's: headers first, then the signer, the timestamp and the signature. Rules:
pay.weixin.qq.com/doc/v3/merchant/4012365336 (signature) and the APIv3 basic rules (Accept, User-Agent).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from couponpress_worker.sandbox import exchange, refusals
from couponpress_worker.sandbox.exchange import Answer, Request
from couponpress_worker.wechatpay.signing import (
    BRAND_SCHEME,
    FRESHNESS_SECONDS,
    SCHEME,
    request_message,
    signature_holds,
)

PAIRS = frozenset({"nonce_str", "timestamp", "serial_no", "signature"})
_PAIR = re.compile(r'([a-z_]+)="([^"]+)"')
_ACCEPTABLE = frozenset({"application/json", "application/*", "*/*"})


@dataclass(frozen=True, slots=True)
class Partner:
    """The one merchant that the platform knows, and the name of the platform's own key.

    A brand that signs for itself has a scheme of its own, and must say which key of the platform it checks with.
    """

    mchid: str
    serial_no: str
    key: RSAPublicKey = field(repr=False)
    platform_key_id: str
    brand: bool = False

    @property
    def scheme(self) -> str:
        """The first word of its Authorization header."""
        return BRAND_SCHEME if self.brand else SCHEME

    @property
    def named(self) -> str:
        """What its id is called in that header."""
        return "brand_id" if self.brand else "mchid"


def header_objection(request: Request, partner: Partner, media_type: str | None) -> Answer | None:
    """Return the refusal of the headers other than Authorization. `media_type` is None for a call without a body."""
    headers = request.headers
    for name in ("Accept", "User-Agent"):
        if not headers.get(name.lower()):
            return refusals.header_missing(name)
    if not any(kind.partition(";")[0].strip() in _ACCEPTABLE for kind in headers["accept"].lower().split(",")):
        return refusals.not_acceptable()
    if media_type and headers.get("content-type", "").partition(";")[0].strip().lower() != media_type:
        return refusals.wrong_media_type(media_type)
    named = headers.get("wechatpay-serial")
    if named is None and partner.brand:
        return refusals.header_missing("Wechatpay-Serial")
    if named is not None and named != partner.platform_key_id:
        return refusals.other_platform_key(named)
    return None


def authorization_pairs(header: str, scheme: str = SCHEME, named: str = "mchid") -> dict[str, str] | None:
    """Return the five pairs of an Authorization header in any order, or None if it is not one.

    >>> authorization_pairs('WECHATPAY2-SHA256-RSA2048 mchid="1"') is None
    True
    """
    told, _, rest = header.partition(" ")
    if told != scheme:
        return None
    pairs: dict[str, str] = {}
    for part in rest.split(","):
        match = _PAIR.fullmatch(part)
        if match is None or match[1] in pairs:
            return None
        pairs[match[1]] = match[2]
    return pairs if pairs.keys() == PAIRS | {named} else None


def signature_objection(request: Request, signed_body: bytes, partner: Partner, now: float) -> Answer | None:
    """Return the refusal of the signature.

    Args:
        request: the request.
        signed_body: the bytes that the signature covers: the body, or the meta part of an upload.
        partner: who may sign.
        now: the platform's clock, seconds since 1970.
    """
    header = request.headers.get("authorization", "")
    pairs = authorization_pairs(header, partner.scheme, partner.named)
    if pairs is None:
        issue = (
            "authorization is missing" if not header else f"authorization is not {partner.scheme} and its five pairs"
        )
        return refusals.sign_error("HTTP头Authorization缺失或格式错误", "authorization", issue)
    if (refusal := _claims_objection(pairs, partner, now)) is not None:
        return refusal
    message = request_message(request.method, request.target, pairs["timestamp"], pairs["nonce_str"], signed_body)
    if not signature_holds(partner.key, message, pairs["signature"]):
        return refusals.signature_wrong(request.method, request.target, message)
    return None


def _claims_objection(pairs: Mapping[str, str], partner: Partner, now: float) -> Answer | None:
    """Check the signer and the timestamp."""
    if pairs[partner.named] != partner.mchid:
        issue = f"{partner.named} is not known"
        return refusals.sign_error("商户号不存在", partner.named, issue, exchange.MERCHANT_ABSENT)
    if pairs["serial_no"] != partner.serial_no:
        issue = f"serial_no is not a certificate of this {partner.named}"
        return refusals.sign_error("商户证书序列号有误", "serial_no", issue, exchange.SERIAL_WRONG)
    timestamp = pairs["timestamp"]
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
        return refusals.sign_error("Authorization中的timestamp格式错误", "timestamp", "timestamp is not Unix seconds")
    if abs(now - int(timestamp)) >= FRESHNESS_SECONDS:
        issue = f"timestamp is 5 minutes or more from the platform's clock ({int(now)})"
        return refusals.sign_error("Authorization中的timestamp已过期，与当前时间相差超过5分钟", "timestamp", issue)
    return None
