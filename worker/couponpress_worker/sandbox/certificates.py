"""The platform certificates of the sandbox: makes them when they are first needed, lists them, and signs with them.

`GET /v3/certificates` returns the list. Each certificate in it is encrypted with the APIv3 key, as at the platform.
The list as a whole is signed as every answer is.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from couponpress_worker.sandbox.platform_key import PlatformKey
from couponpress_worker.wechatpay.signing import seal

_VALID_DAYS = 5 * 365
_ASSOCIATED_DATA = "certificate"


@dataclass(frozen=True, slots=True)
class Certificate:
    """One platform certificate: its serial in hex capitals, its key, its PEM, and from when until when it holds."""

    serial_no: str
    key: PlatformKey
    pem: bytes
    effective: dt.datetime
    expire: dt.datetime


class Certificates:
    """The certificates of one platform, in the order in which they follow each other."""

    def __init__(self, apiv3_key: bytes, clock: Callable[[], float]) -> None:
        self._apiv3_key = apiv3_key
        self._clock = clock
        self._made: list[Certificate] = []

    def first(self, count: int) -> list[Certificate]:
        """Return the first `count` of them. Making one takes about 0.3 s, once."""
        while len(self._made) < count:
            self._made.append(_make(dt.datetime.fromtimestamp(int(self._clock()), dt.UTC)))
        return self._made[:count]

    def signing(self, count: int) -> tuple[str, PlatformKey] | None:
        """Return serial and key of the certificate that signs when `count` are listed, or None if that is 0."""
        return (self.first(count)[-1].serial_no, self.first(count)[-1].key) if count else None

    def listed(self, count: int) -> dict[str, Any]:
        """Return the content of the answer that lists the first `count`."""
        return {"data": [self._entry(one) for one in self.first(count)]}

    def _entry(self, certificate: Certificate) -> dict[str, Any]:
        nonce = secrets.token_hex(6)
        sealed = seal(self._apiv3_key, nonce.encode(), certificate.pem, _ASSOCIATED_DATA.encode())
        return {
            "serial_no": certificate.serial_no,
            "effective_time": certificate.effective.isoformat(),
            "expire_time": certificate.expire.isoformat(),
            "encrypt_certificate": {
                "algorithm": "AEAD_AES_256_GCM",
                "nonce": nonce,
                "associated_data": _ASSOCIATED_DATA,
                "ciphertext": sealed,
            },
        }


def _make(now: dt.datetime) -> Certificate:
    key, authority_key = PlatformKey.generate(), ec.generate_private_key(ec.SECP256R1())
    effective, expire = now - dt.timedelta(hours=1), now + dt.timedelta(days=_VALID_DAYS)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "couponpress sandbox, platform certificate")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(effective)
        .not_valid_after(expire)
        .sign(authority_key, hashes.SHA256())
    )
    serial_no = f"{certificate.serial_number:040X}"
    return Certificate(serial_no, key, certificate.public_bytes(Encoding.PEM), effective, expire)
