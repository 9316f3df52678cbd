"""Who may use the gateway: bearer tokens, kept as digests in a TOML file.

    [tokens.shop-php]
    sha256 = "5f0c…"                # of the whole token; the token itself is nowhere
    brands = ["120344", "120345"]   # or "all"
    quota = 100000                  # specs per day, from midnight in China; absent: no quota
    namespace = "shop"              # absent: the token's name; "*": every run, by its stored name
    role = "viewer"                 # or operator, admin; absent: app, see `rights`

A run belongs to a namespace: it is stored as `NAMESPACE/RUN`, and tokens of that namespace see it, and those that see
every run. So two tokens of one namespace see each other's runs, and two shops may use the same run name.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import re
import secrets
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from couponpress.errors import InputError, SettingsError, system_error
from couponpress.gateway.rights import ALL_RUNS, RIGHTS, Role, Token
from couponpress.language import gettext, joined, quoted
from couponpress.library_sentences import in_words as library_words
from couponpress.pydantic_sentences import rule_told
from couponpress.spec import BrandId

log = logging.getLogger(__name__)

#: Names stand in keys, in stored run names and before the dot of a token.
NAME_PATTERN = r"^[0-9A-Za-z_-]{1,39}$"
#: 256 bits: no token is ever guessed, so a plain digest is enough to keep it.
_SECRET_BYTES = 32
#: How often it is looked whether the file changed.
LOOK_EVERY_SECONDS = 1.0
#: What an unknown name is compared with, so that it takes as long as a known one.
_NOBODY = bytes(32)

Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    brands: list[BrandId] | Literal["all"]
    quota: Annotated[int, Field(ge=1)] | None = None
    namespace: Name | Literal["*"] | None = None
    role: Role = "app"


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    tokens: dict[Name, _Entry] = {}


class Tokens:
    """The tokens of one file, as it was read."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self._by_name = {token.name: token for token in tokens}

    @classmethod
    def parse(cls, text: str) -> Tokens:
        """Read the file's text.

        Raises:
            SettingsError: it is no TOML, or an entry breaks a rule; all are named.
        """
        try:
            entries = _File.model_validate(tomllib.loads(text)).tokens
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(
                gettext("the tokens file is no TOML: %(reason)s.") % {"reason": library_words(error)}
            ) from None
        except ValidationError as error:
            wrong = (
                f"{'.'.join(map(str, detail['loc']))}: {rule_told(detail['msg'])}"
                for detail in error.errors(include_url=False, include_input=False)
            )
            raise SettingsError(
                gettext("the tokens file breaks a rule: %(wrong)s.") % {"wrong": joined(wrong, "; ")}
            ) from None
        return cls(
            [
                Token(
                    name,
                    bytes.fromhex(entry.sha256),
                    None if entry.brands == "all" else frozenset(entry.brands),
                    entry.quota,
                    entry.namespace or name,
                    entry.role,
                )
                for name, entry in entries.items()
            ]
        )

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def named(self, name: str) -> Token | None:
        """Return the token of a name; None when there is none."""
        return self._by_name.get(name)

    def holder(self, presented: str) -> Token | None:
        """Return whose token was presented; None when it is nobody's. Digests are compared in constant time."""
        token = self._by_name.get(presented.partition(".")[0])
        digest = hashlib.sha256(presented.encode(errors="surrogatepass")).digest()
        same = hmac.compare_digest(digest, _NOBODY if token is None else token.digest)
        return token if same else None


class TokensFile:
    """The tokens file, read again when it changed; one that can no longer be read leaves the former tokens in force."""

    def __init__(self, path: Path, *, patient: bool = False) -> None:
        """Read the file.

        Args:
            path: the file.
            patient: one that cannot be read now holds no token until it can.

        Raises:
            SettingsError: it cannot be read, and nobody is patient.
        """
        self._path = path
        self._looked_at = time.monotonic()
        try:
            self._seen, self._tokens = self._read()
        except SettingsError as error:
            if not patient:
                raise
            log.error("nobody may use this gateway until its tokens file is in order: %s", error)  # noqa: TRY400 - a sentence
            self._seen, self._tokens = (), Tokens([])

    def tokens(self) -> Tokens:
        """Return the tokens in force."""
        if time.monotonic() - self._looked_at >= LOOK_EVERY_SECONDS:
            self._looked_at = time.monotonic()
            self._look()
        return self._tokens

    def _look(self) -> None:
        try:
            if _state(self._path) == self._seen:
                return
            self._seen, self._tokens = self._read()
            log.info("the tokens file was read again: %d tokens", len(self._tokens))
        except (OSError, SettingsError) as error:
            if self._seen:
                log.warning("the tokens file cannot be used, the former tokens stay in force: %s", error)
            self._seen = ()

    def _read(self) -> tuple[tuple[int, ...], Tokens]:
        try:
            return _state(self._path), Tokens.parse(self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                gettext(
                    "the tokens file %(path)s cannot be read (%(reason)s); `couponpress gateway token NAME` makes one."
                )
                % {
                    "path": self._path,
                    "reason": system_error(error) if isinstance(error, OSError) else library_words(error),
                }
            ) from None


def _state(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


def add_token(
    path: Path,
    name: str,
    *,
    brands: Sequence[str] | None,
    quota: int | None,
    namespace: str | None,
    role: str = "app",
) -> str:
    """Make a token, write its digest to the file, and return the token, which is kept nowhere.

    Raises:
        InputError: the name is taken, or a name or a brand's id is unusable.
        SettingsError: the file is there and cannot be read.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise InputError(
            gettext("a token's name is 1 to 39 digits, letters, _ or -, got %(text)s.") % {"text": quoted(name)}
        )
    if namespace and namespace != ALL_RUNS and not re.fullmatch(NAME_PATTERN, namespace):
        raise InputError(
            gettext("a namespace is 1 to 39 digits, letters, _ or -, got %(text)s.") % {"text": quoted(namespace)}
        )
    if role not in RIGHTS:
        raise InputError(
            gettext("a role is one of %(roles)s, got %(role)s.") % {"roles": joined(RIGHTS), "role": quoted(role)}
        )
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    if name in Tokens.parse(before):
        raise InputError(
            gettext("there is a token named %(name)s already; take its entry out of %(path)s, or choose another name.")
            % {"name": name, "path": path}
        )
    token = f"{name}.{secrets.token_urlsafe(_SECRET_BYTES)}"
    lines = [f"[tokens.{name}]", f'sha256 = "{hashlib.sha256(token.encode()).hexdigest()}"']
    lines.append(f"brands = {json.dumps('all' if brands is None else list(brands))}")
    lines += [] if quota is None else [f"quota = {quota}"]
    lines += [] if namespace is None else [f'namespace = "{namespace}"']
    lines += [] if role == "app" else [f'role = "{role}"']
    after = before + ("\n" if before else "") + "\n".join(lines) + "\n"
    Tokens.parse(after)  # a brand's id that breaks the rule is said before anything is written
    _replace(path, after)
    return token


def _replace(path: Path, text: str) -> None:
    """Write the whole file or nothing: a gateway may read it at any moment."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.touch(0o600, exist_ok=False)
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise InputError(
            gettext("%(path)s cannot be written (%(reason)s); choose another place for it.")
            % {"path": path, "reason": system_error(error)}
        ) from None
