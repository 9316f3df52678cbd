"""The result of one check, with its cure if it failed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from couponpress.language import gettext, gettext_noop

#: What is checked. A name is the same in every language where programs read it.
NAMES: Final = frozenset(
    {
        gettext_noop("settings"),
        gettext_noop("keys"),
        gettext_noop("merchant certificate"),
        gettext_noop("proxy"),
        gettext_noop("notify"),
        gettext_noop("redis"),
        gettext_noop("redis kind"),
        gettext_noop("redis connection"),
        gettext_noop("redis rights"),
        gettext_noop("redis clock"),
        gettext_noop("broker"),
        gettext_noop("redis persistence"),
        gettext_noop("redis eviction"),
        gettext_noop("redis memory"),
        gettext_noop("redis features"),
        gettext_noop("redis compactness"),
        gettext_noop("submit limit"),
        gettext_noop("query limit"),
        gettext_noop("dead letters"),
        gettext_noop("services"),
        gettext_noop("open runs"),
        gettext_noop("platform"),
        gettext_noop("partner"),
        gettext_noop("serial"),
        gettext_noop("signature"),
        gettext_noop("platform key"),
        gettext_noop("platform certificates"),
        gettext_noop("other host"),
        gettext_noop("clock"),
        gettext_noop("callback url"),
        gettext_noop("test call"),
        gettext_noop("way back"),
    }
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, whether it passed, what was found, the cure if it failed, and of several partners whose."""

    name: str
    good: bool
    seen: str
    cure: str = ""
    partner: str = ""

    @property
    def shown(self) -> str:
        """The finding for people, its cure on a line of its own."""
        told = {"sign": gettext("ok  ") if self.good else gettext("FAIL"), "name": gettext(self.name)}
        told["name"] = f"{self.partner} {told['name']}" if self.partner else told["name"]
        line = gettext("%(sign)s %(name)s: %(seen)s") % {**told, "seen": self.seen}
        if self.good or not self.cure:
            return line
        return line + "\n" + gettext("     cure: %(cure)s") % {"cure": self.cure}
