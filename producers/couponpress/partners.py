"""Reads `partners.toml`, the file of an operator who serves several partners: one table for each.

    [[partner]]
    id = "1900000109"                          # its merchant id, as COUPONPRESS_MCHID
    redis_url_file = "1900000109/redis_url"    # or redis_url, when the address holds no password
    mch_private_key_file = "1900000109/apiclient_key.pem"
    rate = "30/second"

Every key but `id` is a setting of that partner, in small letters; `settings` checks its value. A path is read from the
directory of the file. Settings that the file does not name are those of the environment, except for keys, tokens and
schedules: one partner's must never serve another, so they stand in the file alone. All mistakes are told at once.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from couponpress.errors import SettingsError, system_error
from couponpress.language import gettext, quoted
from couponpress.suggestion import did_you_mean
from couponpress.toml_files import read_toml

#: Settings that belong to one partner alone; with a file of partners they may not stand in the environment.
OWN: Final = frozenset(
    {
        "apiv3_key_file",
        "gateway_tokens_file",
        "mch_certificate_file",
        "mch_private_key_file",
        "mch_serial_no",
        "schedule_file",
        "wechatpay_more_keys_dir",
        "wechatpay_public_key_file",
        "wechatpay_public_key_id",
    }
)
#: Settings that a partner may have of its own, and otherwise shares with all.
SHAREABLE: Final = frozenset(
    {
        "base_url",
        "broker_url",
        "callback_forward_url",
        "gateway_backlog",
        "hook_secret_file",
        "hook_url",
        "notify_file",
        "query_rate",
        "rate",
        "redis_url",
        "result_ttl",
        "signs_as",
        "upload_rate",
    }
)
#: Files that hold the value of a setting, for addresses with a password.
IN_FILES: Final = {"redis_url_file": "redis_url", "broker_url_file": "broker_url"}
#: What two partners never share: with one file for both, the one could act for the other.
_NEVER_SHARED: Final = ("mch_private_key_file", "apiv3_key_file", "gateway_tokens_file")
_KNOWN: Final = OWN | SHAREABLE | IN_FILES.keys()
_PASSWORD: Final = re.compile(r"//[^/@]*:[^/]+@|[?&](sentinel_)?password=")


@dataclass(frozen=True, slots=True)
class Partner:
    """One table of the file: whose it is, and its settings by their field names."""

    mchid: str
    values: Mapping[str, Any]


def read_partners(path: Path) -> tuple[Partner, ...]:
    """Read the file.

    Raises:
        SettingsError: it cannot be read, or something in it is wrong; every such thing is named.
    """
    told = read_toml(path, "COUPONPRESS_PARTNERS", SettingsError)
    tables = told.get("partner", [])
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        tables, problems = [], [gettext("each partner is a table [[partner]], with double brackets")]
    elif not tables:
        problems = [gettext("it holds no partner; one is a table [[partner]]")]
    else:
        problems = []
    problems += [
        gettext("%(key)s is no part of this file, which holds tables [[partner]]%(meant)s")
        % {"key": quoted(key), "meant": did_you_mean(key, ["partner"])}
        for key in told
        if key != "partner"
    ]
    partners = []
    for number, table in enumerate(tables, start=1):
        mchid = table.get("id")
        label = f"[[partner]] {mchid if isinstance(mchid, str) else number}"
        wrong = list(_wrong(table))
        values, unread = _values(table, path.parent) if not wrong else ({}, [])
        problems += [f"{label}: {problem}" for problem in [*wrong, *unread]]
        partners.append(Partner(str(mchid), {**values, "mchid": mchid}))
    problems += _shared(partners)
    if problems:
        raise SettingsError(
            gettext("the partners are wrong in %(path)s:\n  %(problems)s")
            % {"path": path, "problems": "\n  ".join(problems)}
        )
    return tuple(partners)


def files_of(path: Path) -> list[Path]:
    """Return the file and those whose content is the value of a setting, as far as it can be read."""
    found = [path]
    with suppress(OSError, ValueError):
        tables = tomllib.loads(path.read_text(encoding="utf-8")).get("partner")
        for table in tables if isinstance(tables, list) else []:
            if isinstance(table, dict):
                found += [path.parent / str(table[key]) for key in IN_FILES if key in table]
    return found


def partner_named(partners: Sequence[Partner], mchid: str, path: Path) -> Partner:
    """Return the partner of that id.

    Raises:
        SettingsError: the file has none.
    """
    for one in partners:
        if one.mchid == mchid:
            return one
    ids = [one.mchid for one in partners]
    raise SettingsError(
        gettext("there is no partner %(name)s in %(path)s; there are: %(known)s.")
        % {"name": quoted(mchid), "path": path, "known": ", ".join(ids)}
    )


def _wrong(table: Mapping[str, object]) -> Iterator[str]:
    mchid = table.get("id")
    if not isinstance(mchid, str) or not re.fullmatch(r"[0-9A-Za-z_-]+", mchid):
        yield gettext('id is the merchant id, a text such as id = "1900000109"')
    for key, value in table.items():
        if key == "id":
            continue
        if key not in _KNOWN:
            yield gettext("%(key)s is no setting of a partner%(meant)s") % {
                "key": quoted(key),
                "meant": did_you_mean(key, _KNOWN),
            }
        elif isinstance(value, bool) or not isinstance(value, str | int):
            yield gettext("%(key)s must be a text or a number") % {"key": key}
        elif key in IN_FILES.values() and _PASSWORD.search(str(value)):
            yield gettext("%(key)s holds a password: put the address into a file and name that by %(key)s_file") % {
                "key": key
            }
        elif key in IN_FILES and IN_FILES[key] in table:
            yield gettext("%(key)s and %(other)s say the same; keep one of them") % {
                "key": IN_FILES[key],
                "other": key,
            }


def _values(table: Mapping[str, Any], home: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the settings of a table that is in order, and which of its files with a value cannot be read."""
    values: dict[str, Any] = {}
    unread = []
    for key, value in table.items():
        if key in IN_FILES:
            try:
                values[IN_FILES[key]] = (home / str(value)).read_text(encoding="utf-8").strip()
            except OSError as error:
                unread.append(
                    gettext("%(key)s %(path)s cannot be read (%(reason)s); put the address there")
                    % {"key": key, "path": home / str(value), "reason": system_error(error)}
                )
            except UnicodeDecodeError:
                unread.append(gettext("%(path)s is not UTF-8; save it as UTF-8.") % {"path": home / str(value)})
        elif key.endswith(("_file", "_dir")):
            values[key] = _beside(home, str(value))
        elif key != "id":
            values[key] = value
    return values, unread


def _beside(home: Path, value: str) -> str:
    """Return a path as seen from the file's directory; what is a key by mistake stays as it is, to be refused."""
    return value if "-----" in value or not ({"/", "."} & set(value) or (home / value).exists()) else str(home / value)


def _shared(partners: Sequence[Partner]) -> Iterator[str]:
    """Yield which ids and files two partners have in common."""
    ids: set[str] = set()
    owners: dict[tuple[str, object], str] = {}
    for one in partners:
        if one.mchid in ids:
            yield gettext("there are two partners %(name)s; keep one of the tables") % {"name": quoted(one.mchid)}
        ids.add(one.mchid)
        for name in _NEVER_SHARED:
            if name in one.values and (first := owners.setdefault((name, one.values[name]), one.mchid)) != one.mchid:
                yield gettext("%(name)s of partners %(first)s and %(second)s is one file; each has its own") % {
                    "name": name,
                    "first": first,
                    "second": one.mchid,
                }
