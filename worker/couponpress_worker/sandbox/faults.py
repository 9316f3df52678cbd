"""The faults that can be configured, and the seeded dice that choose which requests and tasks they hit."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from couponpress.errors import InputError
from couponpress.language import gettext, quoted

Percent = Annotated[float, Field(ge=0, le=100)]
RequestFault = Literal[
    "errors", "html", "resets_before", "resets_after", "silence", "slow", "unsigned_answers", "probe_answers"
]
#: At most one of these hits a request, so their shares add up.
REQUEST_FAULTS: tuple[RequestFault, ...] = (
    "errors",
    "html",
    "resets_before",
    "resets_after",
    "silence",
    "slow",
    "unsigned_answers",
    "probe_answers",
)


class Faults(BaseModel):
    """The share of each fault, in percent. With all at 0 nothing goes wrong.

    Attributes:
        errors: answered 500, 503 or an empty 504; half of them after the request was taken.
        html: answered 502 with a page of HTML, not taken.
        resets_before: the connection is reset before the request is read.
        resets_after: the connection is reset after the request was taken, in place of its answer.
        silence: taken, never answered.
        slow: answered `slow_ms` late.
        slow_ms: how late, milliseconds.
        unsigned_answers: a 2xx without its signature headers.
        probe_answers: a 2xx whose signature is wrong and begins with `WECHATPAY/SIGNTEST/`.
        fail: tasks that end as FAIL.
        lost_callbacks: tasks whose callback is never sent.
        doubled_callbacks: tasks whose callback is sent twice at once.
        late_callbacks: tasks whose callback comes `late_seconds` after its time.
        late_seconds: how late, seconds.
        probe_callbacks: tasks whose callback is first sent with a wrong signature, then properly.
        early_callbacks: tasks of which a callback says PROCESSING before their request is answered.
        stale_callbacks: tasks of which a callback says PROCESSING after the one with their result.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    errors: Percent = 0
    html: Percent = 0
    resets_before: Percent = 0
    resets_after: Percent = 0
    silence: Percent = 0
    slow: Percent = 0
    slow_ms: Annotated[int, Field(ge=0, le=3_600_000)] = 3000
    unsigned_answers: Percent = 0
    probe_answers: Percent = 0
    fail: Percent = 0
    lost_callbacks: Percent = 0
    doubled_callbacks: Percent = 0
    late_callbacks: Percent = 0
    late_seconds: Annotated[float, Field(ge=0, le=86_400)] = 30
    probe_callbacks: Percent = 0
    early_callbacks: Percent = 0
    stale_callbacks: Percent = 0

    @model_validator(mode="after")
    def _shares_of_one_request(self) -> Self:
        if sum(getattr(self, kind) for kind in REQUEST_FAULTS) > 100:
            raise ValueError(
                gettext("%(kinds)s must not add up to more than 100") % {"kinds": ", ".join(REQUEST_FAULTS)}
            )
        return self

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """Read `kind=number` words, as a command line has them.

        Raises:
            InputError: an unknown kind or a number out of range.
        """
        values = {}
        for word in words:
            name, separator, number = word.partition("=")
            if not separator or name not in cls.model_fields:
                raise InputError(
                    gettext("%(word)s is no fault: write KIND=NUMBER with one of %(kinds)s.")
                    % {"word": quoted(word), "kinds": ", ".join(cls.model_fields)}
                )
            values[name] = number
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise InputError(sentence_of(error)) from None

    @cached_property
    def hit_requests(self) -> bool:
        """Whether any fault can hit a request."""
        return any(getattr(self, kind) for kind in REQUEST_FAULTS)

    def of_request(self, roll: float) -> RequestFault | None:
        """Return the fault of a request with this `roll`, a number from 0 to below 100."""
        for kind in REQUEST_FAULTS:
            share: float = getattr(self, kind)
            if roll < share:
                return kind
            roll -= share
        return None


class Dice:
    """Rolls from 0 to below 100 that depend on the seed and on what they are for, not on the order of asking."""

    def __init__(self, seed: int) -> None:
        self._key = str(seed).encode()[:64]

    def roll(self, about: str, name: object) -> float:
        """Return the roll for one question about one thing; the same question gets the same roll."""
        digest = hashlib.blake2b(f"{about}\0{name}".encode(), digest_size=8, key=self._key).digest()
        return int.from_bytes(digest) * (100 / 2**64)

    def hits(self, percent: float, about: str, name: object) -> bool:
        """Whether something that happens in `percent` of all cases happens in this one."""
        return percent > 0 and self.roll(about, name) < percent


def sentence_of(error: ValidationError) -> str:
    """Return a sentence that names each wrong value and its rule."""
    told = []
    for detail in error.errors(include_url=False):
        rule = detail["msg"].replace("Input should", "must").removeprefix("Value error, ")
        told.append(f"{'.'.join(map(str, detail['loc']))} {rule}".strip())
    return "; ".join(told) + "."
