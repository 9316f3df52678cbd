"""A `[[notify]]` table as it stands in a file, checked without opening anything that it names.

So a schedule file can be checked on any machine. URLs and secrets are named by files or by variables of the
environment, because both are secrets; neither is part of a message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from couponpress.language import LANGUAGES, Language, gettext, joined, quoted
from couponpress.notify.kinds import ALIASES, EVENTS, KINDS
from couponpress.suggestion import did_you_mean
from couponpress.transport.web_address import LOOPBACK_HOSTS

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ORIGIN = re.compile(r"https?://[^\s/?#@]+/?")


def _name(given: object) -> object:
    if not isinstance(given, str) or not _NAME.fullmatch(given):
        raise ValueError(gettext("must be 1 to 40 letters, digits, _ or -, beginning with a letter or a digit"))
    return given


def _kind(given: object) -> object:
    known = [*KINDS, *ALIASES]
    if not isinstance(given, str) or (name := ALIASES.get(given, given)) not in KINDS:
        raise ValueError(
            gettext("%(given)s is no kind of target%(meant)s; there are %(known)s")
            % {"given": quoted(given), "meant": did_you_mean(given, known), "known": joined(KINDS)}
        )
    return name


def _events(given: object) -> object:
    named = [given] if isinstance(given, str) else given
    if not isinstance(named, list) or not named:
        raise ValueError(gettext("must be a list of events; there are %(known)s") % {"known": joined(EVENTS)})
    for one in named:
        if one not in EVENTS:
            raise ValueError(
                gettext("%(given)s is no event%(meant)s; there are %(known)s")
                % {"given": quoted(one), "meant": did_you_mean(one, EVENTS), "known": joined(EVENTS)}
            )
    return tuple(dict.fromkeys(named))


def _texts(given: object) -> object:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(one, str) and one for one in texts):
        raise ValueError(gettext("must be a text, or a list of them"))
    return tuple(texts)


def _text(given: object) -> object:
    if not isinstance(given, str) or not given:
        raise ValueError(gettext("must be a text"))
    return given


def _variable(given: object) -> object:
    if not isinstance(given, str) or not _VARIABLE.fullmatch(given):
        raise ValueError(gettext("must be the name of a variable of the environment, such as WECOM_ROBOT_URL"))
    if given.upper().startswith("COUPONPRESS_"):
        raise ValueError(gettext("must not begin with COUPONPRESS_, which is for the settings themselves"))
    return given


def _language(given: object) -> object:
    if given not in LANGUAGES:
        raise ValueError(
            gettext("%(given)s is no language; there are %(known)s")
            % {"given": quoted(given), "known": joined(LANGUAGES)}
        )
    return given


def _loopback(given: object) -> object:
    if not isinstance(given, str) or not _ORIGIN.fullmatch(given) or _host(given) not in LOOPBACK_HOSTS:
        raise ValueError(
            gettext(
                "must be a scheme and a host of this machine, such as http://127.0.0.1:9000: a stand-in or a gateway"
            )
        )
    return given.rstrip("/")


def _console(given: object) -> object:
    if not isinstance(given, str) or not re.fullmatch(r"https?://[^\s?#@()]+", given) or not _host(given):
        raise ValueError(gettext("must be where the gateway is, such as https://couponpress.example"))
    return given.rstrip("/").removesuffix("/console")


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ""
    return parts.hostname or ""


class TargetTable(BaseModel):
    """A `[[notify]]` table; docs/notify.md describes each key."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    kind: Annotated[str, BeforeValidator(_kind)]
    name: Annotated[str, BeforeValidator(_name)] = ""
    url_file: Annotated[str, BeforeValidator(_text)] | None = None
    url_env: Annotated[str, BeforeValidator(_variable)] | None = None
    url: Annotated[str, BeforeValidator(_text)] | None = None
    secret_file: Annotated[str, BeforeValidator(_text)] | None = None
    secret_env: Annotated[str, BeforeValidator(_variable)] | None = None
    events: Annotated[tuple[str, ...], BeforeValidator(_events)] = EVENTS
    brands: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    schedules: Annotated[tuple[str, ...], BeforeValidator(_texts)] = ()
    language: Annotated[Language, BeforeValidator(_language)] | None = None
    base_url: Annotated[str, BeforeValidator(_loopback)] | None = None
    console_url: Annotated[str, BeforeValidator(_console)] = ""

    @classmethod
    def read(cls, table: Mapping[str, Any]) -> Self | list[str]:
        """Return the table, or everything that is wrong in it, a sentence each."""
        allowed = joined(KEYS)
        troubles = [
            gettext("%(key)s is not a key of a target%(meant)s; allowed are %(allowed)s")
            % {"key": quoted(key), "meant": did_you_mean(key, KEYS), "allowed": allowed}
            for key in table
            if key not in {*KEYS, "secret"}
        ]
        if "secret" in table:
            troubles.append(
                gettext("secret: must not stand in this file; put it into a file of its own and name it by secret_file")
            )
        try:
            read = cls(**{key: table[key] for key in table if key in KEYS})
        except ValidationError as error:
            return troubles + list(_sentences(error))
        return troubles + list(read.troubles()) or read

    def troubles(self) -> Iterator[str]:
        """Yield what the keys together do wrong."""
        kind = KINDS[self.kind]
        named = [key for key in ("url_file", "url_env", "url") if getattr(self, key) is not None]
        if len(named) != 1:
            yield gettext("needs its URL by exactly one of url_file and url_env")
        elif named == ["url"] and kind.hosts:
            yield gettext(
                "url: holds the robot's token, so it must not stand in this file; name it by url_file or url_env"
            )
        secrets = [key for key in ("secret_file", "secret_env") if getattr(self, key) is not None]
        if len(secrets) > 1:
            yield gettext("names its secret twice; leave out secret_file or secret_env")
        if secrets and kind.signs == "never":
            yield gettext("%(key)s: robots of the kind %(kind)s sign nothing; leave it out") % {
                "key": secrets[0],
                "kind": kind.name,
            }
        if not secrets and kind.signs == "always":
            yield gettext("needs a secret to sign with; name a file of 16 bytes or more by secret_file")


#: The keys of a table.
KEYS: Final = tuple(TargetTable.model_fields)


def _sentences(error: ValidationError) -> Iterator[str]:
    for detail in error.errors(include_url=False, include_input=False):
        rule = gettext("is required") if detail["type"] == "missing" else detail["msg"].removeprefix("Value error, ")
        yield f"{detail['loc'][0]}: {rule}"
