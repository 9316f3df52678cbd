"""One target: whom to tell of what, from its `[[notify]]` table, with its URL and its secret.

Opens the files and reads the variables that the table names. Neither URL nor secret is part of a message or a repr.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from couponpress.errors import InputError, system_error
from couponpress.language import Language, gettext
from couponpress.notify.kinds import EVENTS, KINDS, Kind
from couponpress.notify.target_table import TargetTable
from couponpress.settings import checked_hook_url

_LONGEST_SECRET_FILE: Final = 4096
#: Bytes, by how calls of a kind are signed.
_LEAST_SECRET: Final = {"never": 1, "if asked": 1, "always": 16}

#: Returns a variable of the environment; None where it is not set.
Variable = Callable[[str], str | None]


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody to tell.

    Attributes:
        name: for logs, commands and Redis.
        kind: what it is.
        url: where it is called; a secret.
        secret: what its calls are signed with; None where they are not signed.
        events: what it is told of.
        brands: only what concerns one of these brands; empty for all.
        schedules: only what concerns one of these schedules; empty for all.
        language: in which it is told; None for the language of the settings.
        console_url: where the gateway is that has the console, for links; empty for none.
    """

    name: str
    kind: Kind
    url: str = field(repr=False)
    secret: bytes | None = field(default=None, repr=False)
    events: tuple[str, ...] = EVENTS
    brands: tuple[str, ...] = ()
    schedules: tuple[str, ...] = ()
    language: Language | None = None
    console_url: str = ""

    @property
    def shown(self) -> str:
        """Its URL without what is secret in it."""
        return self.kind.shown(self.url)


def target_of(table: TargetTable, folder: Path, variable: Variable) -> Target:
    """Return the target of a table, with its URL and its secret.

    Args:
        table: it.
        folder: to which the files that it names are relative.
        variable: reads the environment.

    Raises:
        InputError: a file or a variable that it names is not there, or holds no URL of its kind.
    """
    kind = KINDS[table.kind]
    key = next(key for key in ("url_file", "url_env", "url") if getattr(table, key) is not None)
    url = table.url or _content(table, "url", folder, variable) or ""
    try:
        checked_hook_url(url)
    except ValueError as error:
        raise InputError(f"{key}: {error}") from None
    if table.base_url is not None and url.startswith(f"{table.base_url}/"):
        parts = urlsplit(url)
        url = f"https://{kind.hosts[0] if kind.hosts else parts.netloc}{url.removeprefix(table.base_url)}"
    if objection := kind.objection(url):
        raise InputError(f"{key}: {objection}")
    secret = _content(table, "secret", folder, variable)
    if secret is not None and len(secret) < _LEAST_SECRET[kind.signs]:
        raise InputError(
            gettext("%(key)s: a secret to sign with has %(least)s bytes or more")
            % {"key": "secret_file" if table.secret_file else "secret_env", "least": _LEAST_SECRET[kind.signs]}
        )
    if table.base_url is not None:
        parts = urlsplit(url)
        url = table.base_url + url.removeprefix(f"{parts.scheme}://{parts.netloc}")
    return Target(
        name=table.name or table.kind,
        kind=kind,
        url=url,
        secret=None if secret is None else secret.encode(),
        events=table.events,
        brands=table.brands,
        schedules=table.schedules,
        language=table.language,
        console_url=table.console_url,
    )


def _content(table: TargetTable, what: str, folder: Path, variable: Variable) -> str | None:
    name, path = getattr(table, f"{what}_env"), getattr(table, f"{what}_file")
    if name is not None:
        if not (told := (variable(name) or "").strip()):
            raise InputError(
                gettext("%(key)s: the variable %(name)s is not set in the environment of this process")
                % {"key": f"{what}_env", "name": name}
            )
        return told
    if path is None:
        return None
    whole = folder / path
    try:
        told = whole.read_bytes()[:_LONGEST_SECRET_FILE].decode().strip()
    except OSError as error:
        raise InputError(
            gettext("%(key)s: %(path)s cannot be read (%(reason)s); check the path and who may read it")
            % {"key": f"{what}_file", "path": whole, "reason": system_error(error)}
        ) from None
    except UnicodeDecodeError:
        told = ""
    if not told:
        raise InputError(
            gettext("%(key)s: %(path)s must hold one line of text") % {"key": f"{what}_file", "path": whole}
        )
    return told
