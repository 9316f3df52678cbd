"""How a signed request is written down, and what it refuses to carry."""

import httpx
import pytest

from couponpress_worker.wechatpay.message import SignedRequest, header_lines

HEADERS = header_lines([(b"Accept", b"application/json")])


def test_a_request_with_a_body_tells_its_length_and_kind():
    request = SignedRequest("POST", "/v3/x", HEADERS, "SCHEME 1", "形".encode())
    assert request.wire(b"api.example:8443") == (
        b"POST /v3/x HTTP/1.1\r\nHost: api.example:8443\r\nAccept: application/json\r\nAuthorization: SCHEME 1\r\n"
        b"Content-Type: application/json\r\nContent-Length: 3\r\n\r\n\xe5\xbd\xa2"
    )


def test_a_request_without_a_body_tells_of_none_and_goes_to_whichever_host_is_used():
    request = SignedRequest("GET", "/v3/x?a=1", HEADERS, "SCHEME 1")
    for host in (b"a.example", b"b.example"):
        assert request.wire(host) == (
            b"GET /v3/x?a=1 HTTP/1.1\r\nHost: "
            + host
            + b"\r\nAccept: application/json\r\nAuthorization: SCHEME 1\r\n\r\n"
        )


@pytest.mark.parametrize("broken", ["a\r\nX: 1", "a\n", "\ra"])
def test_a_line_break_in_a_header_is_never_sent(broken):
    with pytest.raises(httpx.LocalProtocolError, match="line break"):
        header_lines([(b"Accept", broken.encode())])
    for values in ((broken, "s", "k"), ("/t", broken, "k"), ("/t", "s", broken)):
        target, authorization, content_type = values
        with pytest.raises(httpx.LocalProtocolError, match="line break"):
            SignedRequest("POST", target, HEADERS, authorization, b"{}", content_type)
