"""Signs requests to the platform and verifies its answers, as an `httpx.Auth`.

It goes into any httpx client: `httpx.AsyncClient(auth=SignatureAuth(signer, verifier))`. Every request is signed under
a fresh timestamp and nonce. A successful answer whose signature does not hold raises `UntrustedAnswerError`; answers
of other kinds are handed over as they are, for the platform does not sign all of them (wechatpay-go).
Rules: pay.weixin.qq.com/doc/v3/merchant/4012365336 (requests), .../4013053420 (answers).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from typing import Final

import httpx

from couponpress_worker.errors import UntrustedAnswerError
from couponpress_worker.wechatpay.signing import Signer, Verifier, new_nonce

#: The extension of a request that holds the bytes its signature covers, where those are not its whole body.
SIGNED_PART: Final = "signed_part"


class SignatureAuth(httpx.Auth):
    """Signs as one partner or brand, and trusts the platform's keys that a verifier holds."""

    requires_request_body = True
    requires_response_body = True

    def __init__(self, signer: Signer, verifier: Verifier, *, clock: Callable[[], float] = time.time) -> None:
        """Keep the values.

        Args:
            signer: the partner, or the brand.
            verifier: the platform's keys; the first is named to the platform as the one we can check.
            clock: seconds since 1970.
        """
        self._signer = signer
        self._verifier = verifier
        self._clock = clock
        self.serial = next(iter(verifier.keys))
        """The key that is named to the platform as the one we can check."""

    def sign(self, request: httpx.Request) -> None:
        """Add the signature's headers to a request whose body is read. Good for 5 minutes; to repeat it, sign again.

        The signature covers method, path, query and body, but not the host. An extension `signed_part` names the bytes
        to sign in place of the body: the platform wants it so for uploads.
        """
        covered = request.extensions.get(SIGNED_PART)
        if "Wechatpay-Serial" not in request.headers:
            request.headers["Wechatpay-Serial"] = self.serial
        request.headers["Authorization"] = self.authorization(
            request.method, request.url.raw_path.decode("ascii"), request.content if covered is None else covered
        )

    def authorization(self, method: str, target: str, covered: bytes) -> str:
        """Return the Authorization header that signs a method, a path with its query, and a body."""
        return self._signer.authorization(method, target, covered, timestamp=int(self._clock()), nonce=new_nonce())

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign, send, verify.

        Raises:
            UntrustedAnswerError: a 2xx came whose signature does not hold.
        """
        self.sign(request)
        response = yield request
        if response.is_success:
            objection = self._verifier.objection(response.headers, response.content, now=self._clock())
            if objection is not None:
                raise UntrustedAnswerError(response.status_code, objection)
