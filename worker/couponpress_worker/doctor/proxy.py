"""Says which way the platform is called. If a proxy is set, checks that it opens a connection to the platform."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import httpcore

from couponpress.errors import CouponpressError
from couponpress.language import gettext, gettext_noop
from couponpress.transport.proxy import Proxy
from couponpress_worker.doctor.finding import Finding
from couponpress_worker.outbound.checked_backend import CheckedBackend, resolve_name
from couponpress_worker.settings import Settings

_CURE = gettext_noop(
    "correct the variable that names the proxy, let the proxy allow CONNECT to this host, or add it to NO_PROXY"
)


def check_proxy(settings: Settings) -> Finding:
    """Return which way the platform is called, and whether the proxy opens a connection to it; nothing is sent."""
    try:
        rule = settings.proxy_rule
    except CouponpressError as error:
        return Finding(
            "proxy", good=False, seen=str(error), cure=gettext("a proxy is named as http://user:password@host:port")
        )
    url = settings.base_url
    proxy = rule.proxy_for(url)
    if proxy is None:
        return Finding(
            "proxy",
            good=True,
            seen=gettext("%(url)s is called directly: %(why_direct)s")
            % {"url": url, "why_direct": rule.why_direct(url)},
        )
    objection = asyncio.run(_objection(proxy, url))
    seen = gettext("%(url)s is called through %(shown)s (%(named_by)s)") % {
        "url": url,
        "shown": proxy.shown,
        "named_by": proxy.named_by,
    }
    return Finding("proxy", objection is None, f"{seen}: {objection}" if objection else seen, gettext(_CURE))


async def _objection(proxy: Proxy, url: str) -> str | None:
    parts = urlsplit(url)
    backend = CheckedBackend(proxy, None, resolve_name, httpcore.AnyIOBackend())
    try:
        stream = await backend.connect_tcp(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
    except httpcore.ProxyError as error:
        return str(error)
    await stream.aclose()
    return None
