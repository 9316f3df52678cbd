"""The login of a person: a signed cookie, and the token that each form of it carries.

The cookie names the token and a part of its digest, so a login ends when the token is taken out of the file or
replaced. It holds no secret and cannot be changed without the signing key. A form's token is bound to its cookie: a
form of another login, or of another site, is refused.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, TimestampSigner

COOKIE = "couponpress_console"
#: A login ends after so long.
LOGIN_SECONDS = 12 * 3600
#: How much of a token's digest the cookie names.
_DIGEST_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Session:
    """A login: the cookie's text, and whose it is."""

    cookie: str
    name: str
    digest: bytes

    def is_of(self, digest: bytes) -> bool:
        """Say whether the token still has the digest that it was logged in with."""
        return hmac.compare_digest(self.digest, digest[:_DIGEST_SHOWN])


class Sessions:
    """Makes and reads cookies with one signing key."""

    def __init__(self, key: bytes, *, seconds: float = LOGIN_SECONDS) -> None:
        self._signer = TimestampSigner(key, salt="couponpress console", digest_method=sha256)
        self._key = key
        self._seconds = seconds

    def cookie(self, name: str, digest: bytes) -> str:
        """Return the cookie of a login that begins now."""
        return self._signer.sign(json.dumps([name, digest[:_DIGEST_SHOWN].hex()]).encode().hex()).decode()

    def read(self, cookie: str | None) -> Session | None:
        """Return the login that a cookie stands for; None when it is forged, too old or none."""
        if not cookie:
            return None
        try:
            text = self._signer.unsign(cookie, max_age=int(self._seconds))
            name, digest = json.loads(bytes.fromhex(text.decode()))
        except (BadSignature, ValueError):
            return None
        return Session(cookie, name, bytes.fromhex(digest))

    def form_token(self, session: Session | None) -> str:
        """Return the token of the forms of a login; of the login form without one."""
        bound_to = session.cookie if session is not None else "login"
        return hmac.new(self._key, b"form\0" + bound_to.encode(), sha256).hexdigest()

    def is_form_token(self, session: Session | None, presented: str) -> bool:
        """Say whether a form came from a page of this login."""
        return hmac.compare_digest(self.form_token(session), presented)
