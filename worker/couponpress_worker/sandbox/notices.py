"""Builds the body of a callback: the envelope of the platform's notices with its encrypted content (pure).

Shape: the platform's callback pages (pay.weixin.qq.com/doc/v3/partner/4017327744, partner/4019605946), with the
names that the published samples print for `original_type` and `associated_data`.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from couponpress_worker.wechatpay.signing import seal

_BEIJING = dt.timezone(dt.timedelta(hours=8))


@dataclass(frozen=True, slots=True)
class NoticeKind:
    """What the envelope says about its content."""

    event_type: str
    original_type: str
    associated_data: str
    summary: str


PICTURE: Final = NoticeKind(
    "PRODUCT_COUPON_SP.IMAGE_GENERATION", "product_coupon", "product_coupon_sp", "商品券图片生成结果"
)
#: No page gives the names in a brand's own notice. These are guessed from the partner's.
BRAND_PICTURE: Final = NoticeKind(
    "PRODUCT_COUPON.IMAGE_GENERATION", "product_coupon", "product_coupon", "商品券图片生成结果"
)
ECHO: Final = NoticeKind("SECURITY_ECHO.SUCCESS", "security", "", "签名验签测试回调")


@dataclass(frozen=True, slots=True)
class Notice:
    """One notice: its id stays the same however often it is delivered."""

    id: str
    body: bytes


def write(kind: NoticeKind, content: Mapping[str, Any], *, apiv3_key: bytes, now: float) -> Notice:
    """Seal `content` into an envelope. `now` is in seconds since 1970."""
    notice_id, nonce = f"EV-{secrets.token_hex(16)}", secrets.token_hex(6)
    plaintext = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    envelope = {
        "id": notice_id,
        "create_time": dt.datetime.fromtimestamp(int(now), _BEIJING).isoformat(),
        "event_type": kind.event_type,
        "resource_type": "encrypt-resource",
        "summary": kind.summary,
        "resource": {
            "algorithm": "AEAD_AES_256_GCM",
            "original_type": kind.original_type,
            "associated_data": kind.associated_data,
            "nonce": nonce,
            "ciphertext": seal(apiv3_key, nonce.encode(), plaintext, kind.associated_data.encode()),
        },
    }
    return Notice(notice_id, json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode())
