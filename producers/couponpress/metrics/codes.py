"""The closed set of codes that a label may show (pure).

The platform may invent a code tomorrow. A label for each would let it fill a metrics store, so a code that is not known
here is shown as OTHER; results, reasons and the log tell it in full.
"""

from __future__ import annotations

from typing import Final

OTHER: Final = "OTHER"

#: Codes that couponpress gives.
_OURS: Final = {
    "CANCELLED",
    "CLOCK_SKEW",
    "DEAD_LETTER",
    "FAIL",
    "GAVE_UP",
    "NOT_FOUND",
    "NOT_SENT",
    "NO_ANSWER",
    "NO_IMAGE_URL",
    "OTHER_BRAND",
    "UNKNOWN_STATE",
    "UNTRUSTED_ANSWER",
}
#: Codes that the platform's pages print, and statuses of answers that give no code.
_PLATFORM: Final = {
    "ALREADY_EXISTS",
    "APPID_MCHID_NOT_MATCH",
    "FREQUENCY_LIMITED",
    "FREQUENCY_LIMIT_EXCEED",
    "HTTP_202",
    "HTTP_400",
    "HTTP_401",
    "HTTP_403",
    "HTTP_404",
    "HTTP_429",
    "HTTP_500",
    "HTTP_502",
    "HTTP_503",
    "HTTP_504",
    "INVALID_REQUEST",
    "MCH_NOT_EXISTS",
    "NO_AUTH",
    "PARAM_ERROR",
    "RATELIMIT_EXCEEDED",
    "RATE_LIMIT_EXCEEDED",
    "RESOURCE_ALREADY_EXISTS",
    "RESOURCE_NOT_EXISTS",
    "RULE_LIMIT",
    "SERVICE_UNAVAILABLE",
    "SIGN_ERROR",
    "SYSTEM_ERROR",
}
CODES: Final = frozenset(_OURS | _PLATFORM | {OTHER})


def shown_code(code: str) -> str:
    """Return the code as a label shows it: itself, OTHER, or nothing when there is none.

    >>> shown_code("PARAM_ERROR"), shown_code("BRAND_NEW"), shown_code("")
    ('PARAM_ERROR', 'OTHER', '')
    """
    return code if not code or code in CODES else OTHER
