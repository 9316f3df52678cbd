"""Keeps the keys that the platform may sign with: those of the settings, and the certificates that it lists.

Rules: page of GET /v3/certificates. The list is sealed with the APIv3 key and is to be refreshed every 12 h; a new
certificate is listed a day before it is used. The first list has to be opened before its own signature can be
checked, so the APIv3 key vouches for it. A merchant that has public keys only gets 404. While a merchant moves from
certificates to public keys, callbacks are signed by either for about a week.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from couponpress.stopping import rest
from couponpress_worker.errors import DecryptError
from couponpress_worker.wechatpay.judgement import Answer, NoAnswer
from couponpress_worker.wechatpay.signing import Verifier, unseal

log = logging.getLogger(__name__)

REFRESH_SECONDS = 6 * 3600.0
#: After a failure; also the least between two fetches when callbacks name a certificate that is not held.
RETRY_SECONDS = 60.0
_TICK_SECONDS = 1.0

VerifierOf = Callable[[bytes], Verifier]
#: Asks for the list; its signature is checked by the verifier that is made from its own bytes.
Fetch = Callable[[VerifierOf], Awaitable[Answer | NoAnswer]]


class PlatformKeys:
    """The platform's keys by their ids, kept up to date.

    Attributes:
        keys: the live mapping, for a `Verifier`; those that it was made with always stay.
        told: what the last refresh came to, in words.
    """

    def __init__(
        self,
        settled: Mapping[str, RSAPublicKey],
        apiv3_key: bytes,
        fetch: Fetch,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._monotonic = monotonic
        self.keys = dict(settled)
        self._settled = dict(settled)
        self._apiv3_key = apiv3_key
        self._fetch = fetch
        self._clock = clock
        self._wanted = False
        self.told = ""

    def renew(self, settled: Mapping[str, RSAPublicKey], apiv3_key: bytes) -> None:
        """Take keys of the settings that were read again; those read before stay, unless a new one has their id."""
        self._settled.update(settled)
        self.keys.update(settled)
        self._apiv3_key = apiv3_key
        self._wanted = True  # what another APIv3 key could not open may open now

    def missing(self) -> None:
        """Say that a signature named a certificate that is not held: the list is asked for, once a minute at most."""
        self._wanted = True

    async def run(self, stopped: asyncio.Event) -> None:
        """Refresh now and then until stopped."""
        while not stopped.is_set():
            self._wanted = False
            fetched = await self.refresh()
            await rest(stopped, RETRY_SECONDS)
            due = self._monotonic() + REFRESH_SECONDS - RETRY_SECONDS
            while fetched and not (stopped.is_set() or self._wanted or self._monotonic() >= due):
                await rest(stopped, _TICK_SECONDS)

    async def refresh(self) -> bool:
        """Ask for the certificates once. Returns whether the answer is settled; if not, those held stay."""
        answer = await self._fetch(self._verifier_of)
        if isinstance(answer, Answer) and answer.status == 404:
            self._tell("the platform lists no certificates for this merchant: public keys only")
            self._hold({})
            return True
        if not isinstance(answer, Answer) or not 200 <= answer.status < 300 or answer.objection is not None:
            why = answer.what if isinstance(answer, NoAnswer) else answer.objection or f"{answer.status} {answer.code}"
            self._tell(f"the platform's certificates could not be fetched: {why}", level=logging.WARNING)
            return False
        certificates = self._certificates(answer.content)
        if answer.content.get("data") and not certificates:
            self._tell(
                "none of the platform's certificates can be used: the APIv3 key is another", level=logging.WARNING
            )
            return False
        self._hold(certificates)
        self._tell(f"platform keys held: {', '.join(self.keys)}")
        return True

    def _hold(self, fetched: Mapping[str, RSAPublicKey]) -> None:
        keys = {**fetched, **self._settled}
        for gone in self.keys.keys() - keys.keys():
            del self.keys[gone]
        self.keys.update(keys)

    def _verifier_of(self, body: bytes) -> Verifier:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError):
            content = None
        return Verifier({**self.keys, **self._certificates(content)})

    def _certificates(self, content: object) -> dict[str, RSAPublicKey]:
        """Return the keys of those certificates of a list that open, hold an RSA key and have not expired."""
        listed = content.get("data") if isinstance(content, Mapping) else None
        found: dict[str, RSAPublicKey] = {}
        for entry in listed if isinstance(listed, list) else ():
            certificate = _opened(self._apiv3_key, entry)
            if certificate is None:
                continue
            key, serial = certificate.public_key(), str(entry.get("serial_no"))
            named = serial.lstrip("0").upper() == f"{certificate.serial_number:X}"
            if named and isinstance(key, RSAPublicKey) and certificate.not_valid_after_utc > self._now():
                found[serial] = key
        return found

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _tell(self, what: str, *, level: int = logging.INFO) -> None:
        """Log what is new, once."""
        if what != self.told:
            log.log(level, "%s", what)
        self.told = what


def _opened(apiv3_key: bytes, entry: object) -> x509.Certificate | None:
    """Open one entry of the list; None when it is none of ours."""
    sealed: Any = entry.get("encrypt_certificate") if isinstance(entry, Mapping) else None
    told = [sealed.get(name) if isinstance(sealed, Mapping) else None for name in ("nonce", "ciphertext")]
    associated_data = (sealed.get("associated_data") or "") if isinstance(sealed, Mapping) else ""
    nonce, ciphertext = told
    if not (isinstance(nonce, str) and isinstance(ciphertext, str) and isinstance(associated_data, str)):
        return None
    nonce_bytes, associated_bytes = nonce.encode(errors="replace"), associated_data.encode(errors="replace")
    try:
        certificate = x509.load_pem_x509_certificate(unseal(apiv3_key, nonce_bytes, ciphertext, associated_bytes))
        certificate.public_key()  # read only now; a kind that is not known here raises
    except (DecryptError, ValueError, UnsupportedAlgorithm):
        return None
    return certificate
