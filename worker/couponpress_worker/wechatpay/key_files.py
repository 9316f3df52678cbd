"""Reads key files and checks offline that they belong together: our pair of keys, and the platform's keys by their ids.

A wrong file is refused before any call is made. An error names the file and never shows what is in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.x509 import Certificate, load_pem_x509_certificate

from couponpress.errors import system_error
from couponpress.language import gettext
from couponpress_worker.errors import KeyFileError
from couponpress_worker.wechatpay.signing import public_key_from

#: The id of a public key of the platform, or the serial number of one of its certificates.
KEY_ID_PATTERN: Final = r"^(PUB_KEY_ID_[0-9A-Za-z]+|[0-9A-Fa-f]+)$"
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
#: So long before its end a certificate is warned of.
EXPIRY_WARNING: Final = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class MerchantCertificate:
    """What the merchant's API certificate says: its serial number in hex, and the moment at which it expires."""

    serial_no: str
    expires: datetime

    def warning(self, now: datetime) -> str | None:
        """Return a sentence when the certificate has expired or soon will, else None."""
        if now >= self.expires:
            told = gettext(
                "the merchant API certificate expired on %(day)s: issue a new one on the merchant platform's API "
                "security page"
            )
        elif now >= self.expires - EXPIRY_WARNING:
            told = gettext(
                "the merchant API certificate expires on %(day)s: issue a new one on the merchant platform's API "
                "security page"
            )
        else:
            return None
        return told % {"day": f"{self.expires:%Y-%m-%d}"}


def content_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        KeyFileError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise KeyFileError(
            gettext("%(path)s cannot be read (%(reason)s); check the path and who may read it.")
            % {"path": path, "reason": system_error(error)}
        ) from None


def canonical_id(key_id: str) -> str:
    """Return an id as it is compared: a serial number without colons, spaces and leading zeros, in capitals.

    >>> canonical_id("0a:bc"), canonical_id("PUB_KEY_ID_01a")
    ('ABC', 'PUB_KEY_ID_01a')
    """
    key_id = key_id.strip()
    return key_id if key_id.startswith("PUB_KEY_ID_") else re.sub(r"[: ]", "", key_id).upper().lstrip("0")


def platform_key(path: Path, key_id: str) -> RSAPublicKey:
    """Read a key of the platform, and check that a certificate has the serial number that it is named by.

    Raises:
        KeyFileError: no RSA key, or a certificate with another serial number.
    """
    pem = content_of(path)
    key = public_key_from(pem, str(path))
    if _CERTIFICATE in pem:
        serial = f"{load_pem_x509_certificate(pem).serial_number:X}"
        if canonical_id(key_id) != serial:
            raise KeyFileError(
                gettext(
                    "%(path)s is a certificate with the serial number %(serial)s, and its id is set as %(key_id)s: a "
                    "certificate goes by its serial number, and PUB_KEY_ID_ names a public key (pub_key.pem)."
                )
                % {"path": path, "serial": serial, "key_id": key_id}
            )
    return key


def key_paths(directory: Path | None) -> list[Path]:
    """Return the PEM files of a directory, in order; none of one that cannot be read."""
    try:
        paths = sorted(directory.iterdir()) if directory else []
    except OSError:
        return []
    return [path for path in paths if path.suffix.lower() == ".pem" and not path.name.startswith(".")]


def more_platform_keys(directory: Path | None) -> dict[str, RSAPublicKey]:
    """Read every PEM file of the directory; its name, without the suffix, is the key's id.

    Raises:
        KeyFileError: no directory, a file named by no id, or one that holds no key.
    """
    if directory is None:
        return {}
    try:
        next(directory.iterdir(), None)
    except OSError:
        raise KeyFileError(
            gettext(
                "%(directory)s is no directory that can be read; it should hold one PEM file for each key, named by "
                "its id."
            )
            % {"directory": directory}
        ) from None
    found = {}
    for path in key_paths(directory):
        if not re.fullmatch(KEY_ID_PATTERN, path.stem):
            raise KeyFileError(
                gettext(
                    "%(path)s is not named by the id of a key: rename it to PUB_KEY_ID_….pem, or for a certificate to "
                    "its serial number and .pem."
                )
                % {"path": path}
            )
        found[canonical_id(path.stem)] = platform_key(path, path.stem)
    return found


def check_not_ours(private_key: RSAPrivateKey, platform_keys: Iterable[RSAPublicKey]) -> None:
    """Check that no key of the platform is the public half of our own.

    Raises:
        KeyFileError: one is.
    """
    own = private_key.public_key().public_numbers()
    if any(key.public_numbers() == own for key in platform_keys):
        raise KeyFileError(
            gettext(
                "a key that is set as the platform's is the merchant's own (COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE or "
                "COUPONPRESS_WECHATPAY_MORE_KEYS_DIR): it should be the pub_key.pem from the merchant platform's API "
                "security page."
            )
        )


def merchant_certificate(path: Path, private_key: RSAPrivateKey, serial_no: str | None) -> MerchantCertificate:
    """Read the merchant's API certificate, and check that key and serial number are its own.

    Raises:
        KeyFileError: no certificate, that of another key, or one with another serial number.
    """
    pem = content_of(path)
    try:
        certificate: Certificate = load_pem_x509_certificate(pem)
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyFileError(
            gettext(
                "%(path)s is no usable PEM certificate (%(reason)s). It should be the apiclient_cert.pem of the "
                "merchant."
            )
            % {"path": path, "reason": error}
        ) from None
    if not isinstance(key, RSAPublicKey) or key.public_numbers() != private_key.public_key().public_numbers():
        raise KeyFileError(
            gettext(
                "%(path)s is the certificate of another key than COUPONPRESS_MCH_PRIVATE_KEY_FILE: take "
                "apiclient_cert.pem and apiclient_key.pem of one download."
            )
            % {"path": path}
        )
    number = certificate.serial_number
    serial = number.to_bytes((number.bit_length() + 7) // 8).hex().upper()  # whole bytes, as openssl shows it
    if serial_no is not None and canonical_id(serial_no) != canonical_id(serial):
        raise KeyFileError(
            gettext(
                "%(path)s has the serial number %(serial)s, and COUPONPRESS_MCH_SERIAL_NO is %(serial_no)s: leave the "
                "setting out, or correct it."
            )
            % {"path": path, "serial": serial, "serial_no": serial_no}
        )
    return MerchantCertificate(serial, certificate.not_valid_after_utc)
