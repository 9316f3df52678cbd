"""Shows the callback URL that is set at the platform, and sets it when a person confirms it.

The whole partner has one callback URL. Changing it redirects the callbacks of every other system of the partner as
well, so the person is told that first (page of notify-configs, partner/4016435719).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from couponpress.errors import InputError
from couponpress.language import gettext, quoted
from couponpress.stored_sentences import in_words
from couponpress.transport.web_address import LOOPBACK_HOSTS
from couponpress_worker.errors import PlatformError
from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.client import WeChatPay
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer

_LONGEST = 256


def checked(url: str, base_url: str) -> str:
    """Return the URL if the platform accepts it. Plain http is accepted only when the platform is on loopback too.

    Raises:
        InputError: it is no https address, too long, or carries a query string.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        parts, host = urlsplit(""), None
    on_loopback = parts.scheme == "http" and host in LOOPBACK_HOSTS and urlsplit(base_url).hostname in LOOPBACK_HOSTS
    good = host and (parts.scheme == "https" or on_loopback) and url.isascii() and url.isprintable() and " " not in url
    if not good or "?" in url or "#" in url or "@" in parts.netloc or len(url) > _LONGEST:
        raise InputError(
            gettext(
                "%(url)s cannot be set: the platform takes an https address of up to %(longest)s characters without a "
                "query string, for example https://shop.example/wechatpay/callback."
            )
            % {"url": quoted(url), "longest": _LONGEST}
        )
    return url


def affected(mchid: str, now: str | None, url: str, *, of_brand: bool = False) -> str:
    """Return a text that says whom a change affects: a partner with all of its brands, or one brand."""
    whole = (
        gettext("brand %(mchid)s, for") % {"mchid": mchid}
        if of_brand
        else gettext("partner %(mchid)s, for all of its brands and") % {"mchid": mchid}
    )
    return gettext(
        "The platform keeps one callback URL for the whole %(whole)s all coupon events: pictures, but also coupons "
        "that are sent, used or returned.\n  now: %(now)s\n  new: %(url)s\nFrom the change on every one of them goes "
        "to the new address, also those that another system waits for. `couponpress callback` passes what is not its "
        "own on to COUPONPRESS_CALLBACK_FORWARD_URL, if that is set, and otherwise only counts it."
    ) % {"whole": whole, "now": now or gettext("none"), "url": url}


def shown(settings: Settings, keys: Secrets) -> str | None:
    """Return the URL that is set, or None.

    Raises:
        PlatformError: the platform does not say, or its signature does not hold.
    """
    answer = asyncio.run(_with(settings, keys, WeChatPay.notify_config))
    if isinstance(answer, Answer) and answer.status == 404:
        return None
    return _url_of(answer)


def set_url(settings: Settings, keys: Secrets, url: str) -> str:
    """Set the URL and return the one that the platform then reports.

    Raises:
        PlatformError: the platform refused, or it is not known whether it did: show the address then.
    """
    told = _url_of(asyncio.run(_with(settings, keys, lambda platform: platform.set_notify_config(url))))
    if told != url:
        raise PlatformError(
            gettext("the platform says that %(told)s is set, not %(url)s; ask again: couponpress callback-url.")
            % {"told": quoted(told), "url": quoted(url)}
        )
    return told


async def _with(
    settings: Settings, keys: Secrets, call: Callable[[WeChatPay], Awaitable[Answer | NoAnswer]]
) -> Answer | NoAnswer:
    platform = platform_for(settings, keys)
    try:
        return await call(platform)
    finally:
        await platform.aclose()


def _url_of(answer: Answer | NoAnswer) -> str:
    if isinstance(answer, NoAnswer):
        why = in_words(answer.what)
    elif not 200 <= answer.status < 300:
        why = f"{answer.status} {answer.code} {answer.message}".rstrip()
    elif answer.objection:
        why = in_words(answer.objection)
    else:
        url = answer.content.get("notify_url")
        return url if isinstance(url, str) else ""
    raise PlatformError(
        gettext("the platform gave no usable answer (%(why)s); `couponpress doctor` says what to mend.") % {"why": why}
    )
