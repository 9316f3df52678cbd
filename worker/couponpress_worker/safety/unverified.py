"""Notices that this process can verify none of the platform's answers, so that it holds the partner (pure).

The platform signs every 2xx. When several of them in a row do not verify and none ever did, the platform's key in the
settings is wrong, or something on the way removes the signature headers. Without a hold the fleet would submit every
spec, book none of them, and submit many of them again.

A single answer that does not verify means little: the platform sends wrong signatures now and then, to see whether
clients check. So one verified answer ends the watch for good; then such answers are retried.
"""

from __future__ import annotations

from typing import Final

from couponpress_worker.wechatpay.judgement import UNTRUSTED_CODE, Accepted, Hold, Judgement, Retry
from couponpress_worker.wechatpay.signing import HEADERS_MISSING

#: So many 2xx in a row that do not verify, before any that does, are no chance.
UNVERIFIED_IN_A_ROW: Final = 5

_CURE_KEY = (
    "The platform takes our calls, but its answers do not verify: COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID and "
    "COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE must be the id and the file of one key, from the merchant platform's API "
    "security page. Correct them, start the workers again, then `couponpress resume`."
)
_CURE_HEADERS = (
    "The platform takes our calls, but something on the way drops Wechatpay-* headers from its answers: look for a "
    "proxy or gateway between here and COUPONPRESS_BASE_URL, let it pass these headers, then `couponpress resume`. "
    "If nothing stands between: COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID may name a key that the platform does not know."
)


class UnverifiedAnswers:
    """Counts 2xx that do not verify until the first one that does; one per process."""

    def __init__(self) -> None:
        self._verified = False
        self._in_a_row = 0

    def answered(self, judgement: Judgement) -> Hold | None:
        """Hear what an answer meant; return the hold that it calls for, if any.

        Only 2xx count: other answers carry no signature. After a hold the count starts again.
        """
        if isinstance(judgement, Accepted):
            self._verified = True
        if self._verified or not isinstance(judgement, Retry) or judgement.code != UNTRUSTED_CODE:
            return None
        self._in_a_row += 1
        if self._in_a_row < UNVERIFIED_IN_A_ROW:
            return None
        self._in_a_row = 0
        told = f"{UNVERIFIED_IN_A_ROW} answers in a row did not verify, and none before did: {judgement.message}"
        return Hold(
            "partner", UNTRUSTED_CODE, told, _CURE_HEADERS if judgement.message == HEADERS_MISSING else _CURE_KEY
        )
