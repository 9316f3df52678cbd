"""Who did something to the fleet, and why: it is kept with every hold and in the audit log (pure but for `this_user`).

Nothing here proves who somebody is. The gateway knows a token by its digest; on a machine the system says which user
runs the command.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from couponpress.errors import InputError
from couponpress.language import gettext, quoted

#: The way that an act came in by.
Door = Literal["cli", "client", "gateway", "console", "schedule", "fleet"]
#: The longest reason that a person may give.
WHY_LENGTH = 500
#: A name or an address is cut after so many characters.
NAME_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts.

    Attributes:
        door: by which way.
        name: the gateway token's name, the user of the machine, or the process of the fleet.
        address: the machine's name, or the address that the request came from; empty when it is not known.
    """

    door: Door
    name: str
    address: str = ""

    @property
    def shown(self) -> str:
        """The actor for people, for example `li (cli, ops-1)`."""
        return f"{self.name} ({self.door}{f', {self.address}' if self.address else ''})"

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Read an actor as it is stored."""
        return cls(stored["door"], stored["name"], stored["address"])

    def stored(self) -> dict[str, str]:
        """Return the actor as it is stored."""
        return {"door": self.door, "name": _printable(self.name), "address": _printable(self.address)}


@dataclass(frozen=True, slots=True)
class Attribution:
    """Who acts, and the reason that was given; an empty one if none was."""

    actor: Actor
    why: str = ""


def this_user(door: Door) -> Actor:
    """Return the user of this machine who runs this process."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a container may run as a user that has no name
        name = f"uid {os.getuid()}"
    return Actor(door, _printable(name), _printable(socket.gethostname()))


def checked_why(why: str) -> str:
    """Return a person's reason without blanks around it.

    Raises:
        InputError: it is too long, or holds a line break or another character that cannot be shown.
    """
    why = why.strip()
    if len(why) > WHY_LENGTH or not why.isprintable():
        raise InputError(
            gettext("a reason has up to %(why_length)s printable characters in one line, got %(why)s.")
            % {"why_length": WHY_LENGTH, "why": quoted(why[:80])}
        )
    return why


def _printable(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:NAME_LENGTH]
