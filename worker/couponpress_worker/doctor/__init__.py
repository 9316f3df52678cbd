"""Checks a set-up before it is used: settings, keys, Redis, limits, platform. Every failed check names its cure.

Checks run in a fixed order; those that depend on a failed check are skipped. Nothing is changed: the platform gets
three read-only calls, and with `live` its own test call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from couponpress.errors import CouponpressError
from couponpress.language import gettext, gettext_noop
from couponpress.redis_rights import Role
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.doctor.live import check_way_back
from couponpress_worker.doctor.platform import check_platform
from couponpress_worker.doctor.proxy import check_proxy
from couponpress_worker.doctor.server import check_redis
from couponpress_worker.doctor.targets import check_targets
from couponpress_worker.settings import Secrets, Settings

__all__ = ["Finding", "examine"]

_SIGNER: Final = {"partner": gettext_noop("partner %(mchid)s"), "brand": gettext_noop("brand %(mchid)s")}


def examine(*, live: bool = False, callback_url: str | None = None, role: Role = "worker") -> Iterator[Finding]:
    """Run the checks in order, of each partner. Those that depend on a failed check of the same partner are skipped.

    Args:
        live: also make the platform's test call and wait for its callback; a receiver must run.
        callback_url: where that callback is to go; None sends it where all callbacks go.
        role: the service whose rights the user of Redis is to have.
    """
    try:
        partners = Settings.load_all()
    except CouponpressError as error:
        yield Finding(
            "settings", good=False, seen=str(error), cure=gettext("deploy/env.example is a file to start from")
        )
        return
    for settings in partners:
        for finding in _examine(settings, live=live, callback_url=callback_url, role=role):
            yield replace(finding, partner=settings.mchid) if len(partners) > 1 else finding


def _examine(settings: Settings, *, live: bool, callback_url: str | None, role: Role) -> Iterator[Finding]:
    seen = gettext("%(who)s, limit %(rate)s") % {
        "who": gettext(_SIGNER[settings.signs_as]) % {"mchid": settings.mchid},
        "rate": settings.rate,
    }
    yield Finding("settings", good=True, seen=seen)
    reached = False
    for finding in check_redis(settings, role):
        reached = reached or (finding.name == "redis" and finding.good)
        yield finding
    try:
        keys = Secrets.read(settings)
    except CouponpressError as error:
        yield Finding(
            "keys", good=False, seen=str(error), cure=gettext("correct the file, or the setting that names it")
        )
        return
    seen = gettext("private key of %(key_size)s bits, APIv3 key, %(public_keys)s of the platform's") % {
        "key_size": keys.private_key.key_size,
        "public_keys": len(keys.public_keys),
    }
    cure = gettext("the platform takes RSA 2048 only: use the key of the merchant API certificate")
    yield Finding("keys", keys.private_key.key_size == 2048, seen, cure)
    if keys.certificate is not None:
        warning = keys.certificate.warning(datetime.now(UTC))
        seen = gettext("%(serial_no)s, valid until %(expires)s") % {
            "serial_no": keys.certificate.serial_no,
            "expires": f"{keys.certificate.expires:%Y-%m-%d}",
        }
        yield Finding("merchant certificate", warning is None, seen, warning or "")
    yield check_proxy(settings)
    if (found := check_targets(settings)) is not None:
        yield found
    told = asyncio.run(check_platform(settings, keys))
    yield from told.findings
    if live:
        yield from check_way_back(settings, keys, callback_url or told.callback_url, with_redis=reached)
