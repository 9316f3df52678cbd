"""Signs requests, verifies answers and callbacks, and opens sealed data (pure: no clock, no I/O).

Rules: pay.weixin.qq.com/doc/v3/merchant/4012365336 (requests), .../4013053420 (answers and callbacks), RSA PKCS#1
v1.5 with SHA-256 (RFC 8017), AES-256-GCM with a 12-byte nonce (NIST SP 800-38D).
"""

from __future__ import annotations

import base64
import binascii
import codecs
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from couponpress.language import gettext
from couponpress.library_sentences import in_words as library_words
from couponpress_worker.errors import DecryptError, KeyFileError

SCHEME: Final = "WECHATPAY2-SHA256-RSA2048"
#: The scheme of a brand merchant, which signs with a key of its own (pay.wechatpay.cn/doc/brand/4017327691).
BRAND_SCHEME: Final = "WECHATPAY-BRAND-SHA256-RSA2048"
#: The objection to an answer or a callback without Wechatpay-* headers.
HEADERS_MISSING: Final = "signature headers are missing"
#: How far a signature's timestamp may lie from our clock, seconds; from this difference on it is stale.
FRESHNESS_SECONDS: Final = 300
APIV3_KEY_BYTES: Final = 32

_PADDING = padding.PKCS1v15()
_SHA256 = hashes.SHA256()


def request_message(method: str, target: str, timestamp: int | str, nonce: str, body: bytes) -> bytes:
    r"""Return the five lines that a request's signature covers.

    `target` is path plus query exactly as on the wire; `body` is empty for GET.

    >>> request_message("GET", "/v3/certificates", 1554208460, "593BEC", b"")
    b'GET\n/v3/certificates\n1554208460\n593BEC\n\n'
    """
    return f"{method}\n{target}\n{timestamp}\n{nonce}\n".encode() + body + b"\n"


def answer_message(timestamp: str, nonce: str, body: bytes) -> bytes:
    r"""Return the three lines that the signature of an answer or a callback covers.

    >>> answer_message("1722850421", "d824f2", b"{}")
    b'1722850421\nd824f2\n{}\n'
    """
    # An HTTP client hands over bytes that are no UTF-8 as surrogates; they must end as an objection, not as a crash.
    return f"{timestamp}\n{nonce}\n".encode(errors="surrogatepass") + body + b"\n"


def sign(key: RSAPrivateKey, message: bytes) -> str:
    """Return the base64 signature of `message`. Deterministic: the same message gives the same text."""
    return binascii.b2a_base64(key.sign(message, _PADDING, _SHA256), newline=False).decode("ascii")


def signature_holds(key: RSAPublicKey, message: bytes, signature: str) -> bool:
    """Whether `signature` is `key`'s over `message`; text that is not base64 simply does not hold."""
    try:
        key.verify(binascii.a2b_base64(signature, strict_mode=True), message, _PADDING, _SHA256)
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def new_nonce() -> str:
    """Return 32 characters from a strong source."""
    return os.urandom(16).hex()


class Signer:
    """Who signs: its id, the serial of its API certificate, and that certificate's private key.

    A brand that signs for itself has another `scheme`, in which its id is `named` otherwise.
    """

    __slots__ = ("_certified", "mchid", "named", "scheme")

    def __init__(
        self, mchid: str, serial_no: str, key: RSAPrivateKey, scheme: str = SCHEME, named: str = "mchid"
    ) -> None:
        self.mchid = mchid
        self.scheme = scheme
        self.named = named
        self._certified = (serial_no, key)  # one value: threads sign while it is renewed

    def __repr__(self) -> str:
        return f"Signer(mchid={self.mchid!r}, serial_no={self._certified[0]!r})"

    def renew(self, serial_no: str, key: RSAPrivateKey) -> None:
        """Sign with another certificate's key from now on; safe while other threads sign."""
        self._certified = (serial_no, key)

    def authorization(self, method: str, target: str, body: bytes, *, timestamp: int, nonce: str) -> str:
        """Return the Authorization header of one request. `timestamp` is in seconds since 1970."""
        serial_no, key = self._certified
        signature = sign(key, request_message(method, target, timestamp, nonce, body))
        return (
            f'{self.scheme} {self.named}="{self.mchid}",nonce_str="{nonce}",timestamp="{timestamp}",'
            f'serial_no="{serial_no}",signature="{signature}"'
        )


@dataclass(frozen=True, slots=True)
class Verifier:
    """Checks answers and callbacks against the keys that the platform may sign with, by the id that it names."""

    keys: Mapping[str, RSAPublicKey] = field(repr=False)

    def objection(self, headers: Mapping[str, str], body: bytes, *, now: float) -> str | None:
        """Return why the signature does not hold, or None when it does. Never raises on any input.

        Args:
            headers: the Wechatpay-* headers; the mapping must ignore case.
            body: the raw bytes, empty for 204.
            now: our clock, seconds since 1970.
        """
        timestamp = headers.get("Wechatpay-Timestamp", "")
        nonce = headers.get("Wechatpay-Nonce", "")
        serial = headers.get("Wechatpay-Serial", "")
        signature = headers.get("Wechatpay-Signature", "")
        if not (timestamp and nonce and serial and signature):
            return HEADERS_MISSING
        if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 15):
            return "the timestamp is not a number"
        if abs(now - int(timestamp)) >= FRESHNESS_SECONDS:
            return "the timestamp is 5 minutes or more from our clock"
        key = self.keys.get(serial) or self.keys.get(serial.upper().lstrip("0"))
        if key is None:
            return "signed with a key that is not known here"
        if not signature_holds(key, answer_message(timestamp, nonce, body), signature):
            return "the signature does not hold"
        return None


def seal(key: bytes, nonce: bytes, plaintext: bytes, associated_data: bytes) -> str:
    """Return base64 of ciphertext and tag, as the platform puts it into a callback's resource."""
    return base64.b64encode(AESGCM(key).encrypt(nonce, plaintext, associated_data)).decode()


def unseal(key: bytes, nonce: bytes, ciphertext: str, associated_data: bytes) -> bytes:
    """Return the plaintext of a sealed resource.

    Raises:
        DecryptError: wrong key, nonce or associated data, or bytes that were never sealed.
    """
    try:
        return AESGCM(key).decrypt(nonce, base64.b64decode(ciphertext, validate=True), associated_data)
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise DecryptError(
            gettext("the resource does not open with the APIv3 key (%(name)s)") % {"name": type(error).__name__}
        ) from None


def private_key_from(pem: bytes, origin: str) -> RSAPrivateKey:
    """Read the merchant's private key. Takes about 40 ms: once per process. `origin` names the file in errors.

    Raises:
        KeyFileError: not PEM, encrypted with a pass phrase, or not an RSA key.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            gettext(
                "%(origin)s is no usable PEM private key (%(reason)s). It should be the apiclient_key.pem of the "
                "merchant's API certificate, without a pass phrase."
            )
            % {"origin": origin, "reason": library_words(error)}
        ) from None
    if not isinstance(key, RSAPrivateKey):
        raise KeyFileError(
            gettext("%(origin)s holds a key that is not RSA; the platform takes RSA 2048 only.") % {"origin": origin}
        )
    return key


def public_key_from(pem: bytes, origin: str) -> RSAPublicKey:
    """Read the platform's public key, from a PUBLIC KEY or a CERTIFICATE block.

    Raises:
        KeyFileError: neither of the two, or not RSA.
    """
    try:
        certificate = b"-----BEGIN CERTIFICATE-----" in pem
        key = load_pem_x509_certificate(pem).public_key() if certificate else load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            gettext(
                "%(origin)s is no usable PEM public key (%(reason)s). It should be the pub_key.pem from the merchant "
                "platform's API security page."
            )
            % {"origin": origin, "reason": library_words(error)}
        ) from None
    if not isinstance(key, RSAPublicKey):
        raise KeyFileError(gettext("%(origin)s holds a key that is not RSA.") % {"origin": origin})
    return key


def apiv3_key_from(content: bytes, origin: str) -> bytes:
    """Return the APIv3 key: exactly 32 bytes; a byte order mark and line ends around them are forgiven.

    Raises:
        KeyFileError: another length; the content itself is never shown.
    """
    key = content.removeprefix(codecs.BOM_UTF8).strip()
    if len(key) != APIV3_KEY_BYTES:
        raise KeyFileError(
            gettext(
                "%(origin)s holds %(key)s bytes; an APIv3 key has exactly %(apiv3_key_bytes)s. Copy it again from the "
                "merchant platform's API security page."
            )
            % {"origin": origin, "key": len(key), "apiv3_key_bytes": APIV3_KEY_BYTES}
        )
    return key
