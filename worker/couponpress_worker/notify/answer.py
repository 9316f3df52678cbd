"""What a target answered, and what to do next (pure).

A robot answers with status 200 also when it refuses; the code in its body tells. Codes that are not known count as a
refusal: only a code that is known to pass is tried again soon.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from couponpress.language import gettext, gettext_noop

#: `taken`: it was told. `later`: tried again soon. `refused`: a person must act; tried again now and then.
#: `unknown`: nobody knows whether it was told.
Verdict = Literal["taken", "later", "refused", "unknown"]

#: How long a refused message waits for a person, before it is tried again.
REFUSED_SECONDS: Final = 600.0
LONGEST_DELAY_SECONDS: Final = 300.0
FIRST_DELAY_SECONDS: Final = 2.0
_TOO_FAST_SECONDS: Final = 60.0
#: How much of a robot's own words is shown.
SHOWN: Final = 300
_PROXY_CURE: Final = gettext_noop("see whether a proxy answers in the robot's place")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        verdict: what to do next.
        words: the answer for people.
        cure: what a person can do; empty for nothing.
        wait_seconds: how long nothing is sent to this target; None leaves it to the number of tries.
    """

    verdict: Verdict
    words: str
    cure: str = ""
    wait_seconds: float | None = None

    def delay_seconds(self, tries: int) -> float:
        """Return how long to wait before the same is sent again; `tries` were made before this one.

        >>> Answer("later", "").delay_seconds(0), Answer("later", "").delay_seconds(99)
        (2.0, 300.0)
        """
        if self.wait_seconds is not None:
            return self.wait_seconds
        if self.verdict == "refused":
            return REFUSED_SECONDS
        return min(FIRST_DELAY_SECONDS * 2.0 ** min(tries, 12), LONGEST_DELAY_SECONDS)


#: Cures that several robots share.
ADDRESS_CURE: Final = gettext_noop("copy the robot's Webhook address from the group's settings again")
KEYWORD_CURE: Final = gettext_noop("add the keyword couponpress to the robot's settings; every message holds it")
CALLER_CURE: Final = gettext_noop("add the address from which this machine calls to the robot's security settings")
SECRET_CURE: Final = gettext_noop(
    "copy the secret of the robot's signature setting into the file or variable of its secret, and set this machine's "
    "clock (NTP)"
)
FORM_CURE: Final = gettext_noop("the robot does not take the message's form; look for a newer couponpress")
_OTHER_CURE: Final = gettext_noop("look the code up on the robot's page: docs/notify.md names it")


@dataclass(frozen=True, slots=True)
class Codes:
    """What the codes of a kind of robot mean; 0 is success, and one that is not named is a refusal.

    Attributes:
        too_fast: how long to wait after a code that says that too much was sent, seconds.
        passing: codes of troubles that pass by themselves.
        cures: the cure of each refusal, to be passed to gettext.
    """

    too_fast: Mapping[int, float]
    passing: frozenset[int]
    cures: Mapping[int, str]

    def answer(self, code: object, words: str, cure: str = "") -> Answer:
        """Return what a code means; `cure`, where it is not empty, goes before that of the table."""
        if code == 0:
            return Answer("taken", words)
        if not isinstance(code, int):
            return Answer("later", gettext("status 200, and no answer of a robot"), gettext(_PROXY_CURE))
        if code in self.too_fast:
            return too_fast(words, self.too_fast[code])
        if code in self.passing:
            return Answer("later", words)
        return Answer("refused", words, gettext(cure or self.cures.get(code, _OTHER_CURE)))


def robot_body(status: int, body: bytes) -> Mapping[str, Any] | Answer:
    """Return what a robot answered as values, or what its status or a body that is no JSON object comes to."""
    words = gettext("status %(status)s") % {"status": status}
    if status == 429:
        return too_fast(words, _TOO_FAST_SECONDS)
    if status != 200:
        return Answer("later", words, gettext(_PROXY_CURE))
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    return told if isinstance(told, dict) else {}


def too_fast(words: str, wait_seconds: float) -> Answer:
    """Return the answer of a robot that was sent too much."""
    cure = gettext("it is sent again in %(seconds)s s; let no other program use this robot") % {
        "seconds": f"{wait_seconds:g}"
    }
    return Answer("later", words, cure, wait_seconds)
