"""Check the names and the form of the COUPONPRESS_ variables in an environment, before any of them is read.

A misspelled name would otherwise leave the default in force: `COUPONPRESS_RATEE=5/second` would start at 500. Names
that Kubernetes and Docker set for a service called `couponpress` are let through. A value that ends with a carriage
return or stands in quotes comes from an env file that was not written for the program that read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from couponpress.language import gettext, quoted

ENV_PREFIX = "COUPONPRESS_"

#: Every setting of both packages, without the prefix: an environment is often shared by all services.
SETTING_NAMES = frozenset(
    {
        "APIV3_KEY_FILE",
        "AUDIT_TTL",
        "BASE_URL",
        "BROKER_URL",
        "CALLBACK_FORWARD_URL",
        "CALLBACK_SPAN",
        "CA_FILE",
        "CELERY_CONTROL",
        "CELERY_RESULTS",
        "CONSOLE_PICTURE_HOSTS",
        "CONSOLE_SECRET_FILE",
        "CONSOLE_UPLOAD_LIMIT",
        "EXPIRE_AFTER",
        "GATEWAY_BACKLOG",
        "GATEWAY_STREAM_LIMIT",
        "GATEWAY_TOKENS_FILE",
        "HOOK_SECRET_FILE",
        "HOOK_URL",
        "LANG",
        "LATENESS_MS",
        "LOG",
        "MCHID",
        "MCH_CERTIFICATE_FILE",
        "MCH_PRIVATE_KEY_FILE",
        "MCH_SERIAL_NO",
        "NOTIFY_FILE",
        "PARTNERS",
        "PROXY",
        "QUERY_RATE",
        "RATE",
        "REDIS_URL",
        "RESULT_TTL",
        "SCHEDULE_FILE",
        "SIGNS_AS",
        "TIMING_SCALE",
        "TRACES",
        "TZ",
        "UPLOAD_RATE",
        "URGENT_SHARE",
        "WECHATPAY_MORE_KEYS_DIR",
        "WECHATPAY_PUBLIC_KEY_FILE",
        "WECHATPAY_PUBLIC_KEY_ID",
    }
)
#: What Kubernetes sets for services `couponpress` and `couponpress-…`, and Docker for linked containers of such names.
_OF_ORCHESTRATORS = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)|(\w+_)?ENV_\w+|NAME"
)


def troubles_of(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with each COUPONPRESS_ variable, its value unseen; empty ones count as not set."""
    for name, value in sorted(environment.items()):
        shouted = name.upper()
        if not shouted.startswith(ENV_PREFIX) or not value:
            continue
        own = shouted.removeprefix(ENV_PREFIX)
        if own not in SETTING_NAMES:
            if not _OF_ORCHESTRATORS.fullmatch(own):
                yield gettext("%(name)s is no setting%(suggestion)s") % {"name": name, "suggestion": _suggestion(own)}
        elif value.endswith("\r"):
            yield gettext(
                "%(name)s ends with a carriage return: its env file has Windows line ends, save it with Unix ones"
            ) % {"name": name}
        elif len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            yield gettext(
                "%(name)s stands in quotes, which belong to the value here: take them off in the env file"
            ) % {"name": name}


def _suggestion(name: str) -> str:
    near = get_close_matches(name, SETTING_NAMES, n=1, cutoff=0.75)
    return gettext(" (did you mean %(name)s?)") % {"name": ENV_PREFIX + near[0]} if near else ""


def shown_value(value: object) -> str:
    """Return a wrong value for a message: " (got ...)", or "" where it could hold a secret.

    A URL may hold a password or a token, and 32 characters may be an APIv3 key in the wrong place.

    >>> shown_value("fast"), shown_value("https://me:secret@host")
    (" (got 'fast')", '')
    """
    if not isinstance(value, str | int | float):
        return ""
    text = str(value)
    if "@" in text or "?" in text or "-----BEGIN" in text or len(text.strip()) == 32:
        return ""
    shown = quoted(text)
    return gettext(" (got %(value)s)") % {"value": shown if len(shown) <= 80 else shown[:77] + "..."}
