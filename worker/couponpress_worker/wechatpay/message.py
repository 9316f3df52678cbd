"""A signed request as the bytes that leave, and a response as the parts that came back (pure).

A submit is made and read hundreds of times a second. So a request is one piece of bytes around the name of its host,
and a response is three values; httpx's own objects would cost more CPU than everything else in Python. Requests that
an httpx client made are written down here as well.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeAlias

import httpx

RawHeaders: TypeAlias = list[tuple[bytes, bytes]]

_BREAKS: Final = "a header of the request holds a line break."


class SignedRequest:
    """A request with its signature, which is good for 5 minutes; to repeat the request, sign again.

    Attributes:
        method: GET or POST.
        target: path and query, as they are signed and sent.
        authorization: the header that holds the signature.
    """

    __slots__ = ("_after_host", "_before_host", "authorization", "method", "target")

    def __init__(
        self,
        method: str,
        target: str,
        headers: bytes,
        authorization: str,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> None:
        """Write the request down.

        Args:
            method: GET or POST.
            target: path and query.
            headers: the same for every request, each header with its line end.
            authorization: the header that holds the signature.
            body: None sends neither a body nor the headers that tell of one.
            content_type: of the body.

        Raises:
            httpx.LocalProtocolError: a value holds a line break.
        """
        self.method = method
        self.target = target
        self.authorization = authorization
        values = target + authorization + content_type
        if "\n" in values or "\r" in values:
            raise httpx.LocalProtocolError(_BREAKS)
        self._before_host = f"{method} {target} HTTP/1.1\r\nHost: ".encode("ascii")
        end = b"\r\n\r\n"
        if body is not None:
            end = b"\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (content_type.encode(), len(body), body)
        self._after_host = b"\r\n%bAuthorization: %b%b" % (headers, authorization.encode(), end)

    def __repr__(self) -> str:
        return f"SignedRequest({self.method} {self.target})"

    def wire(self, host: bytes) -> bytes:
        """Return the bytes that are sent to a host, head and body in one piece."""
        return b"%b%b%b" % (self._before_host, host, self._after_host)


class OfHttpx:
    """A request of an httpx client whose body is read. Its headers are sent as they are, but for the host."""

    def __init__(self, request: httpx.Request) -> None:
        self._request = request

    def wire(self, host: bytes) -> bytes:
        """Return head and body in one piece; a body without a length gets one.

        Raises:
            httpx.LocalProtocolError: a header holds a line break.
        """
        request, body = self._request, self._request.content
        headers = [(name, host if name.lower() == b"host" else value) for name, value in request.headers.raw]
        if any(name.lower() == b"transfer-encoding" for name, _ in headers):  # it was a stream; now it is known whole
            headers = [one for one in headers if one[0].lower() not in (b"transfer-encoding", b"content-length")]
            headers.append((b"Content-Length", b"%d" % len(body)))
        first = b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)
        return first + header_lines(headers) + b"\r\n" + body


class Response(NamedTuple):
    """A whole response, its content coding undone.

    Attributes:
        status: the HTTP status.
        headers: in their order, the names in lower case.
        body: as it was signed.
        http_version: `1.1` or `1.0`.
    """

    status: int
    headers: RawHeaders
    body: bytes
    http_version: str = "1.1"


def header_lines(headers: RawHeaders) -> bytes:
    """Return headers as lines, each with its end.

    Raises:
        httpx.LocalProtocolError: one of them holds a line break.
    """
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    if not lines.count(b"\n") == lines.count(b"\r") == len(headers):
        raise httpx.LocalProtocolError(_BREAKS)
    return lines
