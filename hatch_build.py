"""Compiles the message catalogs when the package is built or installed."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledMessages(BuildHookInterface):
    """Write a .mo file beside each .po file, and put it into the wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile every catalog."""
        del version
        for source in sorted(Path(self.root, "producers/couponpress/locale").rglob("*.po")):
            with source.open("rb") as text:
                catalog = read_po(text)
            # Otherwise it is the moment of the build, and no two wheels are alike.
            catalog.creation_date = datetime(2020, 1, 1, tzinfo=UTC)
            # Whole before it has its name: a command that runs meanwhile reads the one before.
            unfinished = source.with_suffix(".mo.part")
            with unfinished.open("wb") as compiled:
                write_mo(compiled, catalog)
            unfinished.replace(source.with_suffix(".mo"))
            build_data["artifacts"].append(str(source.with_suffix(".mo").relative_to(self.root)))
