"""The headers that the platform puts on what it sends: Request-ID, and the signature or what looks like one."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from couponpress_worker.sandbox.exchange import FINE
from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.wechatpay.signing import SCHEME, answer_message

#: How the platform marks the wrong signatures that it sends now and then to see whether clients check.
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"


class Signatures:
    """Signs answers and callbacks with the platform's key. `clock` gives seconds since 1970."""

    def __init__(self, key_id: str, key: PlatformKey, clock: Callable[[], float], scheme: str = SCHEME) -> None:
        self._scheme = scheme
        self._key_id = key_id
        self._key = key
        self._clock = clock
        self._unique = secrets.token_hex(8).upper()
        self._count = 0

    def request_id(self, number: int = FINE) -> str:
        """Return a fresh Request-ID that ends in `number`."""
        self._count += 1
        return f"{self._unique}{self._count:010X}-{number}"

    def headers(
        self, body: bytes, *, probe: bool = False, signing: tuple[str, PlatformKey] | None = None
    ) -> dict[str, str]:
        """Return the five Wechatpay headers for `body`; a `probe` carries a signature that must not hold.

        `signing` is a certificate's serial and key, to sign with in place of the public key's.
        """
        key_id, key = signing or (self._key_id, self._key)
        timestamp, nonce = str(int(self._clock())), secrets.token_hex(16)
        message = answer_message(timestamp, nonce, body)
        signature = PROBE_PREFIX + key.sign(message + b"probe") if probe else key.sign(message)
        return {
            "Wechatpay-Timestamp": timestamp,
            "Wechatpay-Nonce": nonce,
            "Wechatpay-Serial": key_id,
            "Wechatpay-Signature": signature,
            "Wechatpay-Signature-Type": self._scheme,
        }
