"""The keys of `couponpress top`: what a key asks, and which act follows once it is confirmed (pure).

Nothing is done by one key: each act is asked for and confirmed with `y`. A limit is typed first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from couponpress.cli.keyboard import BACKSPACE, ENTER, ESCAPE
from couponpress.errors import InputError
from couponpress.language import gettext, gettext_noop
from couponpress.ledger.rate import per_second

ActName = Literal["pause", "resume", "limit", "quit"]
#: What is shown while nothing is asked.
KEYS_LINE: Final = gettext_noop("p pause everything   r resume   l change the limit   q quit")
_QUESTIONS: Final[dict[ActName, str]] = {
    "pause": gettext_noop("Stop submitting everything? Requests in flight end, nothing is lost. (y/n)"),
    "resume": gettext_noop("Let everything go on that is held as a whole? (y/n)"),
}
_LONGEST: Final = 20


@dataclass(frozen=True, slots=True)
class Act:
    """What is to be done. `rate` is the new limit, or None for the configured one."""

    name: ActName
    rate: str | None = None


class Prompt:
    """Where the dialogue stands."""

    def __init__(self) -> None:
        self._asked: Act | None = None
        self._typed: str | None = None
        self._objection = ""

    @property
    def line(self) -> str:
        """What the person is asked now, or which keys there are."""
        if self._typed is not None:
            objection = f"   {self._objection}" if self._objection else ""
            return gettext("New limit, such as 300/second, or default; Esc gives up: %(typed)s_%(objection)s") % {
                "typed": self._typed,
                "objection": objection,
            }
        if self._asked is None:
            return gettext(KEYS_LINE)
        if self._asked.name == "limit":
            rate = self._asked.rate or gettext("the configured one")
            return gettext("Set the limit of the running fleet to %(rate)s, at once? (y/n)") % {"rate": rate}
        return gettext(_QUESTIONS[self._asked.name])

    def press(self, key: str) -> Act | None:
        """Take a key; returns the act that is confirmed with it."""
        if not key:
            return None
        if self._typed is not None:
            self._type(key, self._typed)
            return None
        if self._asked is not None:
            asked, self._asked = self._asked, None
            return asked if key in "yY" else None
        if key in "qQ":
            return Act("quit")
        if key in "lL":
            self._typed, self._objection = "", ""
        elif key in "pP":
            self._asked = Act("pause")
        elif key in "rR":
            self._asked = Act("resume")
        return None

    def _type(self, key: str, typed: str) -> None:
        if key == ESCAPE or (key == ENTER and not typed):
            self._typed = None
        elif key == ENTER:
            try:
                if typed != "default":
                    per_second(typed)
            except InputError as error:
                self._objection = str(error)
                return
            self._typed = None
            self._asked = Act("limit", None if typed == "default" else typed)
        elif key == BACKSPACE:
            self._typed = typed[:-1]
        elif key.isprintable() and len(typed) < _LONGEST:
            self._typed = typed + key
