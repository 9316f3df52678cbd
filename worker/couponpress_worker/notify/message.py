"""A message to people: a title and a paragraph for each occurrence, made to fit what a robot takes (pure).

Names, reasons and codes come from others, so whatever a robot would take for markup or for a mention is replaced by
letters that only look alike. A message that is too long loses the lines of its paragraphs, then the last paragraphs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeVar

from couponpress.language import gettext

T = TypeVar("T")
Level = Literal["good", "bad", "plain"]

#: Markup of 企业微信's, 钉钉's and 飞书's markdown, and of their mentions (`<@user>`, `<at id=all></at>`).
_ALIKE: Final = str.maketrans(
    {
        "<": "＜",
        ">": "＞",
        "[": "［",
        "]": "］",
        "*": "＊",
        "#": "＃",
        "|": "｜",
        "~": "～",
        "@": "＠",
        "\\": "＼",
        "!": "！",
    }
)
#: The most letters of one line that come from others.
_LONGEST: Final = 240


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What is told of one occurrence.

    Attributes:
        heading: what happened, in one line.
        lines: what a person should know besides, and the cure.
        level: whether it is good, bad or neither; robots colour it.
        link: where more of it stands; empty for nowhere.
    """

    heading: str
    lines: tuple[str, ...] = ()
    level: Level = "plain"
    link: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What is told at once.

    Attributes:
        sender: who tells; it stands above the paragraphs.
        told: all of it in a few words.
        paragraphs: one for each occurrence.
        more: how many occurrences are left out.
    """

    sender: str
    told: str
    paragraphs: tuple[Paragraph, ...]
    more: int = 0

    @property
    def title(self) -> str:
        """One line; robots show it in lists of chats."""
        return f"{self.sender}: {self.told}"

    @property
    def level(self) -> Level:
        """Whether any of it is bad, else whether all is good."""
        levels = {one.level for one in self.paragraphs}
        return "bad" if "bad" in levels else "good" if levels == {"good"} else "plain"

    @property
    def more_line(self) -> str:
        """How many occurrences are left out, for people; empty for none."""
        return (
            gettext("and %(count)s more; `couponpress status` shows everything") % {"count": self.more}
            if self.more
            else ""
        )


def harmless(text: object) -> str:
    r"""Return what others wrote, in one line of bounded length, so that no robot takes it for markup or a mention.

    >>> harmless("<@all> [x](y)"), harmless("two\nlines")
    ('＜＠all＞ ［x］(y)', 'two lines')
    """
    line = " ".join(str(text).split()).translate(_ALIKE)
    line = "".join(letter for letter in line if letter.isprintable())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def fitted(message: Message, rendered: Callable[[Message], T], size: Callable[[T], int], limit: int) -> T:
    """Return the fullest form of a message that has at most `limit` bytes.

    Args:
        message: with its links and lines.
        rendered: makes the form.
        size: measures it in bytes.
        limit: the most bytes.
    """
    forms = [
        message,
        replace(message, paragraphs=tuple(replace(one, lines=one.lines[:2]) for one in message.paragraphs)),
    ]
    bare = tuple(Paragraph(one.heading, level=one.level) for one in message.paragraphs)
    forms += [
        replace(message, paragraphs=bare[:kept], more=message.more + len(bare) - kept)
        for kept in range(len(bare), 0, -1)
    ]
    for form in forms:
        if size(made := rendered(form)) <= limit:
            return made
    return rendered(Message(message.sender, message.told, (), message.more + len(bare)))
