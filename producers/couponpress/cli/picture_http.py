"""Fetches one picture of a run over HTTP, tried again where the other end may answer better later.

The standard library's client is enough here; it is loaded only when somebody downloads. The URLs come from the
platform's own signed answers, so they may lead anywhere; what they send is checked. A proxy is used by the rule of
`transport.proxy`, also for each redirect, and a proxy that fails is named.
"""

from __future__ import annotations

import http.client
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from couponpress.errors import PictureError
from couponpress.language import gettext, quoted
from couponpress.transport.proxy import Proxy, ProxyRule, connect_objection

TRIES: Final = 3
FETCH_SECONDS: Final = 60.0
#: Far more than any generated picture has.
LIMIT_BYTES: Final = 20 * 1024 * 1024
_PART_BYTES: Final = 65_536


class _ByRule(urllib.request.BaseHandler):
    """Sends each request, also one that a redirect leads to, through the proxy that the rule says."""

    handler_order = 400

    def __init__(self, rule: ProxyRule) -> None:
        self._rule = rule

    def http_request(self, request: urllib.request.Request) -> urllib.request.Request:
        """Hear of a request before it is sent."""
        proxy = self._rule.proxy_for(request.full_url)
        if proxy is not None:
            request.set_proxy(proxy.address, "http")
            if proxy.authorization:
                request.add_unredirected_header("Proxy-Authorization", proxy.authorization)
        return request

    https_request = http_request


def _opener(rule: ProxyRule) -> urllib.request.OpenerDirector:
    """Return what opens http and https, over a proxy where the rule says so, and no other scheme."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
    ):
        opener.add_handler(handler())
    opener.add_handler(_ByRule(rule))
    return opener


@dataclass(frozen=True, slots=True)
class Way:
    """How pictures are fetched: what opens URLs, and the rule that it follows."""

    rule: ProxyRule
    opener: urllib.request.OpenerDirector = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "opener", _opener(self.rule))


def content_of(way: Way, url: str, stopped: threading.Event) -> bytes:
    """Return what a URL leads to.

    Raises:
        PictureError: it could not be fetched in TRIES tries, or is no http(s) URL.
    """
    try:
        proxy = way.rule.proxy_for(url)
    except ValueError:
        raise PictureError(gettext("%(url)s is no http(s) URL") % {"url": quoted(url)}) from None
    for number in range(1, TRIES + 1):
        try:
            return b"".join(_parts(way, url, stopped))
        except urllib.error.HTTPError as error:
            error.close()
            what = gettext("status %(code)s") % {"code": error.code}
            if error.code == 407 and proxy is not None:
                what = connect_objection(proxy, b"HTTP/1.1 407\r\n") or what
            if error.code < 500 and error.code not in {408, 429}:
                break
        except (OSError, ValueError, http.client.HTTPException) as error:
            what = _named(error, proxy)
        if number < TRIES and stopped.wait(number):
            break
    raise PictureError(gettext("%(url)s could not be fetched (%(what)s)") % {"url": url, "what": what})


def _parts(way: Way, url: str, stopped: threading.Event) -> Iterator[bytes]:
    deadline, size = time.monotonic() + FETCH_SECONDS, 0
    request = urllib.request.Request(url, headers={"User-Agent": "couponpress"})  # noqa: S310 - http(s) only
    with way.opener.open(request, timeout=FETCH_SECONDS / 2) as answer:
        told = answer.headers.get("Content-Length")
        while part := answer.read(_PART_BYTES):
            size += len(part)
            if size > LIMIT_BYTES:
                raise PictureError(
                    gettext("%(url)s has more than %(most)s MB") % {"url": url, "most": f"{LIMIT_BYTES / 2**20:.0f}"}
                )
            if stopped.is_set() or time.monotonic() > deadline:
                raise TimeoutError(gettext("no whole picture within %(seconds)s s") % {"seconds": f"{FETCH_SECONDS:g}"})
            yield part
        if told is not None and told.isdigit() and size < int(told):
            raise OSError(
                gettext("the connection ended after %(size)s of %(told)s bytes") % {"size": size, "told": told}
            )


def _named(error: Exception, proxy: Proxy | None) -> str:
    """Return what failed, and at which proxy."""
    what = str(getattr(error, "reason", None) or error) or type(error).__name__
    if proxy is None:
        return what
    refused = re.search(r"Tunnel connection failed: (.*)", what)
    told = connect_objection(proxy, f"HTTP/1.1 {refused[1]}\r\n".encode()) if refused else None
    return told or f"{what}, through the proxy {proxy.shown}"
