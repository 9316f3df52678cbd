"""Reads the targets of a fleet: the `[[notify]]` tables of the settings file and of the schedule file.

All mistakes of the tables of a file are reported at once, each with the target's name. Two targets of one name are a
mistake, also in two files, because what waits for a target is kept under its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from couponpress.errors import InputError
from couponpress.language import gettext, joined, quoted
from couponpress.notify.target import Target, Variable, target_of
from couponpress.notify.target_table import TargetTable
from couponpress.suggestion import did_you_mean
from couponpress.toml_files import read_toml


def read_tables(told: object) -> tuple[list[TargetTable], list[str]]:
    """Return the tables that stand under `notify` in a file, and what is wrong in them."""
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        return [], [gettext("notify: each target is a table [[notify]], with double brackets")]
    tables, problems, names = [], [], set()
    for number, one in enumerate(told, start=1):
        read = TargetTable.read(one)
        named = one.get("name") or one.get("kind")
        label = f"[[notify]] {named}" if isinstance(named, str) else f"[[notify]] {number}"
        if isinstance(read, list):
            problems += [f"{label}: {problem}" for problem in read]
            continue
        name = read.name or read.kind
        if name in names:
            problems.append(f"{label}: {_twice(name)}")
        names.add(name)
        tables.append(read)
    return tables, problems


def read_targets(path: Path, variable: Variable, *, whole: bool = True) -> list[Target]:
    """Read the targets of a file, with their URLs and secrets.

    Args:
        path: the file.
        variable: reads the environment.
        whole: whether the file holds targets alone; a schedule file holds more.

    Raises:
        InputError: it cannot be read, or something in it is wrong; every such thing is named.
    """
    told = read_toml(path, "COUPONPRESS_NOTIFY_FILE")
    tables, problems = read_tables(told.get("notify", []))
    if whole:
        problems += [
            gettext("%(key)s is not a part of this file%(meant)s; it holds tables [[notify]]")
            % {"key": quoted(key), "meant": did_you_mean(key, ["notify"])}
            for key in told
            if key != "notify"
        ]
        if not tables and not problems:
            problems.append(gettext("it holds no target; one is a table [[notify]]"))
    targets = []
    for table in tables if not problems else ():
        try:
            targets.append(target_of(table, path.parent, variable))
        except InputError as error:
            problems.append(f"[[notify]] {table.name or table.kind}: {error}")
    if problems:
        raise InputError(
            gettext("whom to tell is wrong in %(path)s:\n  %(problems)s")
            % {"path": path, "problems": "\n  ".join(problems)}
        )
    return targets


def fleet_targets(notify_file: Path | None, schedule_file: Path | None, variable: Variable) -> tuple[Target, ...]:
    """Return the targets of the settings file and of the schedule file, in this order.

    A schedule file that is not on this machine has none here: often only the scheduler has it.

    Raises:
        InputError: one of them cannot be used; or both name one target.
    """
    targets = read_targets(notify_file, variable) if notify_file is not None else []
    if schedule_file is not None and schedule_file.exists():
        targets += read_targets(schedule_file, variable, whole=False)
    names = [one.name for one in targets]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(f"{notify_file}, {schedule_file}: [[notify]] {twice}: {_twice(twice)}.")
    return tuple(targets)


def chosen(targets: Sequence[Target], name: str | None) -> Sequence[Target]:
    """Return the target of that name; all without one.

    Raises:
        InputError: there is none.
    """
    if name is None:
        return targets
    found = [one for one in targets if one.name == name]
    if not found:
        names = [one.name for one in targets]
        raise InputError(
            gettext("there is no target %(name)s%(meant)s; there are: %(known)s.")
            % {"name": quoted(name), "meant": did_you_mean(name, names), "known": joined(names)}
        )
    return found


def _twice(name: str) -> str:
    return gettext("there are two targets %(name)s; give each a name of its own") % {"name": quoted(name)}
