"""The client of commands that only look or act: a person waits for them, so Redis must answer soon.

`submit`, `results` and `watch` do much more at a time, and have the usual patience.
"""

from __future__ import annotations

from typing import Final

from couponpress.client import Client
from couponpress.ledger.attribution import this_user

#: How long one answer of Redis may take.
ANSWER_SECONDS: Final = 5.0


def client_of_person() -> Client:
    """Return a client that acts in the name of who gave the command.

    Raises:
        SettingsError: a setting is missing or wrong.
    """
    return Client(actor=this_user("cli"), timeout=ANSWER_SECONDS)
