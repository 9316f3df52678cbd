"""Checks that the platform accepts our signature, that we can verify its own, and which callback URL is set.

Nothing is changed: it asks for a task that does not exist, for the callback URL, and for the platform's certificates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from couponpress.language import gettext, gettext_noop
from couponpress.library_sentences import in_words as library_words
from couponpress.stored_sentences import in_words
from couponpress_worker.completion.callback import CALLBACK_PATH
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.runtime.factories import platform_for
from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.certificates import PlatformKeys
from couponpress_worker.wechatpay.client import WeChatPay
from couponpress_worker.wechatpay.judgement import CURE_PLATFORM_KEY_ID, Answer, Hold, NoAnswer, NotFound, judge_query

#: A clock that is off by more than this is reported. At 300 s the platform refuses every signature.
SKEW_SECONDS = 30
#: A task that no partner has. The platform says so only if our signature is valid.
_UNKNOWN_TASK = "couponpress-doctor"
#: The setting to correct after a refused signature, by the number that ends the Request-ID (the platform's manuals).
_BLAMED: Mapping[int, tuple[str, str]] = {
    269546538: (
        "partner",
        gettext_noop("COUPONPRESS_MCHID is not known to the platform: copy it from the merchant platform"),
    ),
    269546507: (
        "serial",
        gettext_noop(
            "COUPONPRESS_MCH_SERIAL_NO is no API certificate of this partner: it is the merchant's own, not the "
            "platform's"
        ),
    ),
    269546505: (
        "serial",
        gettext_noop("the merchant API certificate has expired: issue a new one, set its serial and private key"),
    ),
    269546525: (
        "signature",
        gettext_noop(
            "COUPONPRESS_MCH_PRIVATE_KEY_FILE must be the apiclient_key.pem that was issued with "
            "COUPONPRESS_MCH_SERIAL_NO"
        ),
    ),
}
_CURE_PLATFORM_KEY = gettext_noop(
    "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID and COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE must be the id and the file of one "
    "key, from the merchant platform's API security page"
)
_CURE_NO_URL = gettext_noop(
    "no callback will come: `couponpress callback-url --set https://YOUR.HOST/wechatpay/callback`"
)
_CURE_OTHER_PATH = gettext_noop(
    "`couponpress callback-url --set https://YOUR.HOST/wechatpay/callback`; if a proxy before the receiver changes "
    "the path to that one, all is well: `couponpress doctor --live` proves it"
)


@dataclass(slots=True)
class Told:
    """What the platform told: the findings, and the callback URL that is set there, if any."""

    findings: list[Finding] = field(default_factory=list)
    callback_url: str | None = None


async def check_platform(settings: Settings, keys: Secrets) -> Told:
    """Ask the platform. The later calls are made only if it accepts our signature."""
    told = Told()
    platform = _alone(settings, keys, settings.base_urls[0])
    try:
        answer = await platform.query(_UNKNOWN_TASK, "0", "COMBINE_IMAGE")
        told.findings.append(_signature(answer, settings.base_urls[0]))
        if platform.skew_seconds is not None:
            seen = gettext("%(skew_seconds)s s between the platform's clock and this one") % {
                "skew_seconds": f"{platform.skew_seconds:+.0f}"
            }
            good = abs(platform.skew_seconds) < SKEW_SECONDS
            told.findings.append(Finding("clock", good, seen, gettext("set this machine's clock (NTP)")))
        if told.findings[0].good:
            _callback_url(await platform.notify_config(), told, settings)
            if settings.signs_as == "partner":  # a brand verifies with the public key alone
                certificates = PlatformKeys(keys.public_keys, keys.apiv3_key, platform.certificates)
                told.findings.append(await _certificates(certificates, len(keys.public_keys)))
    finally:
        await platform.aclose()
    for url in settings.base_urls[1:]:
        told.findings.append(await _other_host(settings, keys, url))
    return told


def _alone(settings: Settings, keys: Secrets, url: str) -> WeChatPay:
    """Return a client of one host, without fallback hosts."""
    return platform_for(settings.model_copy(update={"base_url": url}), keys)


async def _other_host(settings: Settings, keys: Secrets, url: str) -> Finding:
    """Ask a host that stands in for the first one."""
    platform = _alone(settings, keys, url)
    try:
        return replace(_signature(await platform.query(_UNKNOWN_TASK, "0", "COMBINE_IMAGE"), url), name="other host")
    finally:
        await platform.aclose()


def unusable(answer: Answer | NoAnswer) -> str | None:
    """Return why an answer cannot be used, or None for a 2xx whose signature holds."""
    if isinstance(answer, NoAnswer):
        return in_words(answer.what)
    if 200 <= answer.status < 300:
        return in_words(answer.objection) if answer.objection else None
    return f"{answer.status} {answer.code} {answer.message}".rstrip()


def _signature(answer: Answer | NoAnswer, base_url: str) -> Finding:
    judgement = judge_query(answer)
    if isinstance(judgement, NotFound):
        return Finding(
            "signature", good=True, seen=gettext("%(base_url)s took serial and signature") % {"base_url": base_url}
        )
    if isinstance(judgement, Hold):
        number = answer.number if isinstance(answer, Answer) else None
        seen, cure = f"{judgement.code}: {in_words(judgement.message)}", in_words(judgement.cure)
        if judgement.cure == CURE_PLATFORM_KEY_ID:
            return Finding("platform key", False, seen, cure)
        if judgement.code == "CLOCK_SKEW":
            return Finding("clock", False, seen, cure)
        if number is not None and number in _BLAMED:
            name, blamed = _BLAMED[number]
            return Finding(name, False, seen, gettext(blamed))
        return Finding("signature", False, seen, cure)
    cure = gettext("check COUPONPRESS_BASE_URL, the network, and the answer shown")
    return Finding(
        "platform", good=False, seen=f"{base_url}: {library_words(unusable(answer) or judgement)}", cure=cure
    )


def _callback_url(answer: Answer | NoAnswer, told: Told, settings: Settings) -> None:
    """The first answer that is signed: it proves the platform's key, and tells the callback URL."""
    if isinstance(answer, Answer) and answer.status == 404:
        seen = gettext("not proved yet: without a callback URL no answer is signed; --live proves it too")
        told.findings.append(Finding("platform key", good=True, seen=seen))
        told.findings.append(
            Finding("callback url", good=False, seen=gettext("none is set"), cure=gettext(_CURE_NO_URL))
        )
        return
    why = unusable(answer)
    told.findings.append(
        Finding(
            "platform key", why is None, why or gettext("the platform's signature holds"), gettext(_CURE_PLATFORM_KEY)
        )
    )
    if why is None and isinstance(answer, Answer):
        url = answer.content.get("notify_url")
        told.callback_url = url if isinstance(url, str) and url else None
        told.findings.append(_url_finding(told.callback_url, settings))


def _url_finding(url: str | None, settings: Settings) -> Finding:
    """A path other than the receiver's is right only where a proxy rewrites it."""
    if url is None:
        return Finding("callback url", good=False, seen=gettext("none is set"), cure=gettext(_CURE_NO_URL))
    own = f"{CALLBACK_PATH}/{settings.mchid}"
    # A receiver of several partners knows by the path whose callback it is.
    good = urlsplit(url).path in ({own} if settings.partners else {own, CALLBACK_PATH})
    seen = gettext("%(url)s; `couponpress callback` takes %(callback_path)s only") % {
        "url": url,
        "callback_path": own if settings.partners else CALLBACK_PATH,
    }
    return Finding("callback url", good, url if good else seen, gettext(_CURE_OTHER_PATH))


async def _certificates(held: PlatformKeys, settled: int) -> Finding:
    asked = await held.refresh()
    count = len(held.keys) - settled
    if asked and not count:
        return Finding("platform certificates", good=True, seen=gettext("none listed: public keys only"))
    seen = gettext("%(count)s listed, opened with the APIv3 key") % {"count": count} if asked else held.told
    cure = gettext("COUPONPRESS_APIV3_KEY_FILE must hold the APIv3 key that is set on the merchant platform")
    return Finding("platform certificates", asked, seen, cure)
