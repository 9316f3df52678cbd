"""What can go wrong for a producer, as one tree; every error's sentence tells a person what to do.

CouponpressError            the root: catch this to catch them all
├── InputError              what was given cannot be used; nothing was enqueued
│   ├── SpecError           a spec breaks a rule; `problems` names each field, rule and value
│   ├── CatalogError        a catalog file cannot be read as a whole
│   │   └── MerchantPictureFoundError  it names a picture that must be uploaded first
│   ├── SettingsError       a setting is missing or wrong
│   ├── ConflictError       a task_id is already known with another body
│   └── PictureError        a picture of the merchant's own cannot be used
├── UnknownRunError         no run of that name
├── NightLostError          another process took up the night in hand
├── DamagedChunkError       a stored chunk cannot be read
├── ListenError             a service cannot listen on its port
└── RedisUnavailableError   Redis did not answer; nothing of the call in hand was confirmed
    ├── RedisSilentError    Redis takes connections but gave no answer in time
    ├── RedisRefusedError   Redis answered that it will not do this: rights, password, clients, disk
    ├── RedisFullError      Redis has no memory left; nothing of the call in hand was stored
    └── RedisRestartedError Redis was restarted during an upload and may have forgotten a part of it
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from couponpress.language import current, gettext, joined, quoted
from couponpress.library_sentences import OF_SYSTEM
from couponpress.library_sentences import in_words as library_words

#: A value of others is shown with so many letters.
_SHOWN: Final = 80


def system_error(error: OSError) -> str:
    """Return what the system said, in the current language where it is one of the usual sentences."""
    told = error.strerror or str(error)
    return gettext(told) if told in OF_SYSTEM else told


class CouponpressError(Exception):
    """The root of every error that couponpress raises on purpose."""


class InputError(CouponpressError):
    """What was given cannot be used; nothing was enqueued."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule: the field's dotted path, the rule in words, and the value that broke it."""

    field: str
    rule: str
    value: Any = None

    @property
    def broken(self) -> str:
        """The field and the rule, without the value."""
        return gettext("%(field)s: %(rule)s") % {"field": self._field_in_words, "rule": self.rule}

    def __str__(self) -> str:
        if self.value is None:
            return self.broken
        # Python refuses to write out an integer of more than 4300 digits.
        huge = isinstance(self.value, int) and self.value.bit_length() > 1000
        shown = gettext("a number of more than 300 digits") if huge else repr(self.value)
        if current() != "en":
            shown = f"“{shown[1:-1] if isinstance(self.value, str) else shown}”"
        shown = shown if len(shown) <= _SHOWN else shown[: _SHOWN - 3] + "..."
        # A sentence that tells what is allowed goes on otherwise than one that tells what is wrong.
        allowed = self.rule.startswith(gettext("must be"))
        told = gettext("%(allowed)s (got %(value)s)") if allowed else gettext("%(wrong)s (got %(value)s)")
        return told % {"allowed" if allowed else "wrong": self.broken, "value": shown}

    @property
    def _field_in_words(self) -> str:
        return gettext("row") if self.field == "row" else self.field


class SpecError(InputError):
    """A spec breaks at least one rule; every broken rule is named at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__(joined(map(str, problems), "; "))
        self.problems = problems


class CatalogError(InputError):
    """A catalog cannot be read as a whole: missing, not UTF-8, without a usable header."""


class MerchantPictureFoundError(CatalogError):
    """A catalog names a picture that must be uploaded before its row can be enqueued."""

    def __init__(self, cell: str) -> None:
        super().__init__(
            gettext("the picture %(cell)s is not at the platform yet; `couponpress submit` uploads it first.")
            % {"cell": quoted(cell)}
        )


class SettingsError(InputError):
    """A setting is missing or wrong; the sentence names each one."""


class ConflictError(InputError):
    """A task_id is already known with another body: the platform would refuse it, so nothing is enqueued."""

    def __init__(self, task_id: str, known_run: str, rows: tuple[str, str] | None = None) -> None:
        """Tell where it is known: in a run, or with `rows` in two rows of the very same upload."""
        if rows is None:
            told = gettext(
                "task_id %(task_id)s is already known in run %(known_run)s with another body. Nothing "
                "was enqueued. Give the changed spec another task_id, or submit under a new run name "
                "(--run NAME)."
            ) % {"task_id": task_id, "known_run": quoted(known_run)}
        else:
            told = gettext(
                "task_id %(task_id)s stands twice in this upload with different bodies, in the rows "
                "%(rows)s and %(rows2)s. Nothing was enqueued. Give one of them another task_id, or take "
                "one of them out."
            ) % {"task_id": task_id, "rows": quoted(rows[0]), "rows2": quoted(rows[1])}
        super().__init__(told)
        self.task_id = task_id
        self.known_run = known_run


class PictureError(InputError):
    """A picture of the merchant's own cannot be used; the message is the rule that it breaks."""


class UnknownRunError(CouponpressError):
    """No run of that name."""

    def __init__(self, run: str) -> None:
        super().__init__(
            gettext("there is no run named %(run)s; `couponpress status` lists the runs that exist.")
            % {"run": quoted(run)}
        )
        self.run = run


class NightLostError(CouponpressError):
    """Another process took up the night in hand."""

    def __init__(self, run: str) -> None:
        super().__init__(
            gettext(
                "night %(run)s was taken up by another process; `couponpress schedule list` shows what comes of it."
            )
            % {"run": run}
        )
        self.run = run


class DamagedChunkError(CouponpressError):
    """A stored chunk cannot be read; the sentence says what is wrong with it."""


class ListenError(CouponpressError):
    """A service cannot listen on its port."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(
            gettext(
                "cannot listen on %(host)s port %(port)s (%(reason)s). Give it another port (--port) or "
                "address (--host), or end the program that listens there."
            )
            % {"host": host, "port": port, "reason": reason}
        )


class RedisUnavailableError(CouponpressError):
    """Redis did not answer; nothing of the call in hand was confirmed."""

    def __init__(self, url: str, cause: object) -> None:
        super().__init__(
            gettext(
                "Redis at %(url)s does not answer (%(cause)s). Start it, or correct "
                "COUPONPRESS_REDIS_URL; then give the same command again: what was already stored is not "
                "stored twice."
            )
            % {"url": url, "cause": library_words(cause)}
        )


class RedisSilentError(RedisUnavailableError):
    """Redis takes connections, but gave no answer in time; what was asked may be done all the same."""

    def __init__(self, url: str, cause: object) -> None:
        CouponpressError.__init__(
            self,
            gettext(
                "Redis at %(url)s takes connections but does not answer (%(cause)s): it is stopped, overloaded, or "
                "busy with a slow command. See to the server until `redis-cli ping` answers; then give the same "
                "command again: what was already stored is not stored twice."
            )
            % {"url": url, "cause": library_words(cause)},
        )


class RedisRefusedError(RedisUnavailableError):
    """Redis answered that it will not do what was asked; the sentence holds its words and the cure."""

    def __init__(self, url: str, answer: object, cure: str) -> None:
        self.cure = cure
        CouponpressError.__init__(
            self,
            gettext(
                "Redis at %(url)s refuses (%(answer)s). The cure: %(cure)s. Then give the same command "
                "again: what was already stored is not stored twice."
            )
            % {"url": url, "answer": library_words(answer), "cure": cure},
        )


class RedisFullError(RedisUnavailableError):
    """Redis has no memory left; nothing of the call in hand was stored."""

    def __init__(self, url: str) -> None:
        CouponpressError.__init__(
            self,
            gettext(
                "Redis at %(url)s is full (maxmemory): nothing more was enqueued. What was enqueued "
                "before goes on. Raise maxmemory, or wait until finished runs are forgotten "
                "(COUPONPRESS_RESULT_TTL); then give the same command again: what was already stored is "
                "not stored twice."
            )
            % {"url": url},
        )


class RedisRestartedError(RedisUnavailableError):
    """Redis was restarted, or another server took over, during an upload: a part of it may be forgotten."""

    def __init__(self, url: str) -> None:
        CouponpressError.__init__(
            self,
            gettext(
                "Redis at %(url)s was restarted during this upload and may have forgotten a part of it, "
                "so nothing of it is sent yet. Give the same command again: what is still known is not "
                "stored twice."
            )
            % {"url": url},
        )
