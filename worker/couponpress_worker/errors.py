"""What can go wrong in the fleet, as one tree below the producers' root.

CouponpressError (couponpress.errors)
└── WorkerError               the root of this package's errors
    ├── KeyFileError          a key file is missing, unreadable or of the wrong kind
    ├── DecryptError          a sealed resource does not open with the APIv3 key
    ├── PlatformError         the platform did not do what a person asked of it by a command
    ├── UntrustedAnswerError  a successful answer's signature does not hold
    ├── PictureUploadError    the platform takes no pictures now, or not from us
    └── ServiceError          a service cannot start here: no server program, port taken, extra not installed
"""

from __future__ import annotations

from couponpress.errors import CouponpressError
from couponpress.language import gettext
from couponpress.stored_sentences import in_words


class WorkerError(CouponpressError):
    """The root of the fleet's errors."""


class KeyFileError(WorkerError):
    """A key file is missing, unreadable or of the wrong kind."""


class DecryptError(WorkerError):
    """A sealed resource does not open with the APIv3 key."""


class PlatformError(WorkerError):
    """The platform did not do what a person asked of it by a command."""


class UntrustedAnswerError(WorkerError):
    """A successful answer's signature does not hold; the platform may have done what was asked for."""

    def __init__(self, status: int, objection: str) -> None:
        super().__init__(
            gettext(
                "the answer with status %(status)s cannot be trusted: %(objection)s. Check "
                "COUPONPRESS_WECHATPAY_PUBLIC_KEY_ID and COUPONPRESS_WECHATPAY_PUBLIC_KEY_FILE, and this machine's "
                "clock."
            )
            % {"status": status, "objection": in_words(objection)}
        )
        self.status = status


class PictureUploadError(WorkerError):
    """The platform takes no pictures now, or not from us; the sentence holds the cure."""

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(
            gettext("pictures cannot be uploaded (%(reason)s). %(cure)s Those that were uploaded are remembered.")
            % {"reason": reason, "cure": cure}
        )


class ServiceError(WorkerError):
    """A service cannot start here."""
