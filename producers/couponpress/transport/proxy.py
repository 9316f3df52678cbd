"""Says which HTTP proxy a call goes through: one rule for the platform, pictures, hooks, forwarding and downloads.

`COUPONPRESS_PROXY` names the proxy for every call. Without it the machine's own variables count, as they do for curl:
`HTTPS_PROXY` for https, `HTTP_PROXY` for http, each also in lower case, which wins. Hosts that `NO_PROXY` lists are
called directly in both cases. A loopback address is called directly, unless `COUPONPRESS_PROXY` is set: a proxy that
was set up for the whole machine could not reach it.

Everything here is a pure function over values. The two functions at the end write the head of a CONNECT request and
read the proxy's answer, so that every caller names a proxy's refusal in the same words.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import quote, unquote, urlsplit

from couponpress.language import gettext, gettext_noop, quoted
from couponpress.library_sentences import in_words as library_words

#: The setting that comes before the machine's variables.
EXPLICIT: Final = "COUPONPRESS_PROXY"
#: A proxy's answer to CONNECT that is longer than this is no answer to CONNECT.
ANSWER_LIMIT_BYTES: Final = 16_384
#: How long a proxy may take to answer a CONNECT.
ANSWER_SECONDS: Final = 10.0
_WRONG: Final = gettext_noop("must read like http://proxy.example:3128, or http://user:password@proxy.example:3128")
_DEFAULT_PORT: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        host: its name or address, an IPv6 address without brackets.
        port: its port.
        named_by: the variable that names it.
        username: for Basic authentication; None for a proxy that asks for none.
        password: belongs to it.
    """

    host: str
    port: int
    named_by: str
    username: str | None = field(default=None, repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, named_by: str) -> Self:
        """Read a proxy's URL. Without a scheme it is http, without a port 80.

        Raises:
            ValueError: it names no HTTP proxy. The message does not repeat the URL, for that may hold a password.
        """
        url = text.strip() if "://" in text else f"http://{text.strip()}"
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, 80 if parts.port is None else parts.port
        except ValueError:
            raise ValueError(f"{named_by} {gettext(_WRONG)}") from None
        if parts.scheme != "http":
            raise ValueError(
                gettext("%(named_by)s %(wrong)s; a proxy that is spoken to by %(scheme)s is not supported")
                % {"named_by": named_by, "wrong": gettext(_WRONG), "scheme": quoted(parts.scheme[:16])}
            )
        if not host or not port or re.search(r"[\s%]", host) or parts.path.strip("/") or parts.query or parts.fragment:
            raise ValueError(f"{named_by} {gettext(_WRONG)}")
        if parts.username is None:
            return cls(host, port, named_by)
        return cls(host, port, named_by, unquote(parts.username), unquote(parts.password or ""))

    @property
    def address(self) -> str:
        """Host and port, as a URL holds them."""
        return _authority(self.host, self.port)

    @property
    def shown(self) -> str:
        """Its URL for people: user name and password are masked."""
        return f"http://{'' if self.username is None else '***@'}{self.address}"

    @property
    def url(self) -> str:
        """Its URL with user name and password; never to be shown."""
        login = "" if self.username is None else f"{quote(self.username, safe='')}:{quote(self.password, safe='')}@"
        return f"http://{login}{self.address}"

    @property
    def authorization(self) -> str | None:
        """The value of the `Proxy-Authorization` header; never to be shown."""
        if self.username is None:
            return None
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class ProxyRule:
    """Which proxy each URL is called through.

    Attributes:
        explicit: what `COUPONPRESS_PROXY` names; goes before the next two.
        https: the machine's proxy for https.
        http: the machine's proxy for http.
        direct: the entries of `NO_PROXY`.
    """

    explicit: Proxy | None = None
    https: Proxy | None = None
    http: Proxy | None = None
    direct: tuple[str, ...] = ()

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self:
        """Read the rule from environment variables.

        Raises:
            ValueError: a variable names no proxy; the message begins with its name.
        """

        def proxy(*names: str) -> Proxy | None:
            name = next((one for one in names if environment.get(one, "").strip()), None)
            return Proxy.parse(environment[name], name) if name else None

        explicit = proxy(EXPLICIT)
        direct = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        entries = tuple(re.split(r"[\s,]+", direct.strip().lower())) if direct.strip() else ()
        if explicit is not None:  # a wrong variable of the machine does no harm then
            return cls(explicit=explicit, direct=entries)
        return cls(None, proxy("https_proxy", "HTTPS_PROXY"), proxy("http_proxy", "HTTP_PROXY"), entries)

    def proxy_for(self, url: str) -> Proxy | None:
        """Return the proxy that a URL is called through; None means directly.

        Raises:
            ValueError: it is no http(s) URL.
        """
        parts = urlsplit(url)
        if parts.scheme not in _DEFAULT_PORT or not parts.hostname:
            raise ValueError(gettext("must be an http(s) URL"))
        host, port = parts.hostname.rstrip("."), parts.port or _DEFAULT_PORT[parts.scheme]
        proxy = self.explicit or (self.https if parts.scheme == "https" else self.http)
        if proxy is None or any(_lists(entry, host, port) for entry in self.direct):
            return None
        return None if self.explicit is None and is_loopback(host) else proxy

    def why_direct(self, url: str) -> str:
        """Return why no proxy is used for a URL, for people."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        if not (self.explicit or (self.https if parts.scheme == "https" else self.http)):
            return gettext("no proxy is set")
        if any(_lists(entry, host, parts.port or _DEFAULT_PORT.get(parts.scheme, 0)) for entry in self.direct):
            return gettext("NO_PROXY lists %(host)s") % {"host": host}
        return gettext("%(host)s is this machine; only %(explicit)s sends it through a proxy") % {
            "host": host,
            "explicit": EXPLICIT,
        }


def is_loopback(host: str) -> bool:
    """Tell whether a host's name says that it is this machine.

    >>> is_loopback("127.0.0.9"), is_loopback("::1"), is_loopback("localhost"), is_loopback("shop.example")
    (True, True, True, False)
    """
    address = _ip(host)
    if address is None:
        return host.lower() == "localhost" or host.lower().endswith(".localhost")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def connect_request(proxy: Proxy, host: str, port: int) -> bytes:
    """Return the bytes that ask a proxy for a connection to a host (RFC 9110, 9.3.6)."""
    authority = _authority(host, port)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}", "User-Agent: couponpress"]
    if proxy.authorization:
        lines.append(f"Proxy-Authorization: {proxy.authorization}")
    return "\r\n".join([*lines, "", ""]).encode("ascii")


def connect_objection(proxy: Proxy, head: bytes) -> str | None:
    """Return why a proxy's answer opens no connection, or None when it does.

    Args:
        proxy: the proxy that answered, named in the sentence.
        head: its answer up to the empty line, or as much as came before it closed the connection.
    """
    found = re.match(rb"HTTP/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n", head)
    if found is None:
        what = (
            gettext("it sent %(head)s") % {"head": quoted(head[:40])}
            if head
            else gettext("it closed the connection without an answer")
        )
        return gettext("the proxy %(shown)s is no HTTP proxy: %(what)s") % {"shown": proxy.shown, "what": what}
    status, reason = int(found[1]), (found[2] or b"").decode("latin-1").strip()
    if 200 <= status < 300:
        page = re.search(rb"(?im)^content-type:[ \t]*text/html", head)
        return (
            gettext("the proxy %(shown)s answered with a web page instead of a connection") % {"shown": proxy.shown}
            if page
            else None
        )
    told = f"{status} {reason}".strip()[:80]
    if status == 407:
        return gettext("the proxy %(shown)s wants another user name or password (%(told)s): correct %(named_by)s") % {
            "shown": proxy.shown,
            "told": told,
            "named_by": proxy.named_by,
        }
    return gettext("the proxy %(shown)s refused the connection (%(told)s)") % {"shown": proxy.shown, "told": told}


def stalled(proxy: Proxy, seconds: float = ANSWER_SECONDS) -> str:
    """Return the sentence for a proxy that does not answer in time."""
    return gettext("the proxy %(shown)s did not answer within %(seconds)s s") % {
        "shown": proxy.shown,
        "seconds": f"{seconds:g}",
    }


def unreachable(proxy: Proxy, why: str) -> str:
    """Return the sentence for a proxy that cannot be connected to."""
    return gettext("the proxy %(shown)s cannot be reached (%(why)s): check %(named_by)s") % {
        "shown": proxy.shown,
        "why": library_words(why),
        "named_by": proxy.named_by,
    }


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _lists(entry: str, host: str, port: int) -> bool:
    """Whether an entry of NO_PROXY means a host: `*`, a name and all below it, an address or a network."""
    if entry == "*":
        return True
    bracketed = re.fullmatch(r"\[([^]]+)\](?::(\d+))?", entry) or re.fullmatch(r"([^:]*):(\d+)", entry)
    name, wanted = (bracketed[1], bracketed[2]) if bracketed else (entry, None)
    if wanted is not None and int(wanted) != port:
        return False
    address = _ip(host)
    if address is not None:
        try:
            return address in ipaddress.ip_network(name, strict=False)
        except ValueError:
            return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host.lower() == name or host.lower().endswith(f".{name}"))
