"""Makes the platform's own test call, and waits for its callback at our receiver.

The answer proves our signature and our verification; the callback proves the APIv3 key and the callback URL.
Rules: POST /v3/security/echo (partner/4015139289);
the callback SECURITY_ECHO.SUCCESS carries the same message, sealed. It has no effect on any business.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterator

from couponpress.keys import Keys
from couponpress.language import gettext, gettext_noop
from couponpress.ledger.notices import echo_came
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.doctor.platform import unusable
from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer

#: The platform promises no time. A callback that did not come by then is repeated a minute later at the earliest.
PATIENCE_SECONDS = 20.0
_LOOK_SECONDS = 0.1
_CURE_NOT_OFFERED = gettext_noop(
    "the platform does not offer its test call to this merchant, or not yet: submit a handful of rows instead"
)
_CURE_WAY_BACK = gettext_noop(
    "`couponpress callback` must run on the same Redis and be reached at that address: look in its log. Nothing there: "
    "DNS, certificate, firewall or proxy. `callback refused`: the platform's key, or a proxy that changes the body. "
    "`does not open`: COUPONPRESS_APIV3_KEY_FILE. No APIv3 key set at the platform: it sends no callback at all"
)


def check_way_back(
    settings: Settings, keys: Secrets, callback_url: str | None, *, with_redis: bool
) -> Iterator[Finding]:
    """Make the test call, then wait for its callback to be kept by a receiver."""
    if settings.signs_as == "brand":
        yield Finding(
            "test call", good=False, seen=gettext("not tried: it is the partner's"), cure=gettext(_CURE_NOT_OFFERED)
        )
        return
    if callback_url is None or not with_redis:
        seen = (
            gettext("not tried: no callback URL is known")
            if callback_url is None
            else gettext("not tried: Redis does not answer")
        )
        cure = gettext("set it (`couponpress callback-url --set`) or name one with --callback-url; then try again")
        yield Finding(
            "test call", good=False, seen=seen, cure=cure if callback_url is None else gettext("mend Redis first")
        )
        return
    message = f"couponpress-doctor-{secrets.token_hex(16)}"
    finding = _told_back(asyncio.run(_call(settings, keys, message, callback_url)), message)
    yield finding
    if finding.good:
        yield _came_back(settings, message, callback_url)


async def _call(settings: Settings, keys: Secrets, message: str, callback_url: str) -> Answer | NoAnswer:
    platform = platform_for(settings, keys)
    try:
        return await platform.echo(message, callback_url)
    finally:
        await platform.aclose()


def _told_back(answer: Answer | NoAnswer, message: str) -> Finding:
    if isinstance(answer, Answer) and answer.status == 404:
        return Finding("test call", good=False, seen=f"404 {answer.code}", cure=gettext(_CURE_NOT_OFFERED))
    if (why := unusable(answer)) is not None or not isinstance(answer, Answer):
        cure = gettext("mend what the lines before this one show; the address must be https, without a query string")
        return Finding("test call", good=False, seen=str(why), cure=cure)
    good = answer.content.get("echo_message") == message
    seen = gettext("both signatures hold") if good else gettext("the platform told another message back")
    return Finding(
        "test call", good, seen, gettext("look for something on the way that answers in the platform's place")
    )


def _came_back(settings: Settings, message: str, callback_url: str) -> Finding:
    began = time.monotonic()
    with settings.redis_address.client(socket_timeout=5) as client:
        while (waited := time.monotonic() - began) < PATIENCE_SECONDS:
            if echo_came(client, Keys(settings.mchid), message):
                return Finding(
                    "way back",
                    good=True,
                    seen=gettext("%(callback_url)s was reached, in %(waited)s s")
                    % {"callback_url": callback_url, "waited": f"{waited:.1f}"},
                )
            time.sleep(_LOOK_SECONDS)
    seen = gettext("no callback on %(callback_url)s within %(patience_seconds)s s") % {
        "callback_url": callback_url,
        "patience_seconds": f"{PATIENCE_SECONDS:g}",
    }
    return Finding("way back", good=False, seen=seen, cure=gettext(_CURE_WAY_BACK))
