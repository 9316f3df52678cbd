"""One regular expression that takes a whole row of a sheet, made of the spellings of cells that were seen in it (pure).

A program writes the cells of a column in one or two spellings: `<c r="B7" t="s"><v>12</v></c>`. The expression allows
each column to hold one of those that were seen, or to be absent. A row with another spelling is not matched; when some
such rows were learnt, the expression is made anew, a few times at most.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

#: The attributes of a row.
ATTRIBUTES: Final = r'(?: [A-Za-z0-9:]+="[^"<>&\x00-\x1f\ufffe\uffff]*")*'
#: Characters that are no markup, and that no parser changes; between them references to characters.
_CHARACTERS: Final = r"[^<>&\x00-\x1f\ufffe\uffff]*+"
PLAIN: Final = rf"{_CHARACTERS}(?:&(?:#[0-9]{{1,7}}|#x[0-9A-Fa-f]{{1,6}}|amp|lt|gt|quot|apos);{_CHARACTERS})*+"

#: The expression is made anew after so many rows that it did not match, so often at most, of so many spellings.
LEARNT_ROWS: Final = 8
_MOST_MADE: Final = 16
_MOST_SPELLINGS: Final = 100
#: The number is that of the row and of each of its cells.
_HEAD: Final = rf'[ \t\r\n]*+<row r="([1-9][0-9]{{0,7}})"({ATTRIBUTES}) ?>'
_INSIDE: Final = {
    "value": f"><v>({PLAIN})</v></c>",
    "text": f'><is><t(?: xml:space="preserve")?>({PLAIN})</t></is></c>',
    "empty": "(?: ?/>|></c>)()",
}

#: The letters of a column, the other attributes of a cell, and what is in it.
_Spelling = tuple[str, str, str]


class RowTemplate:
    """What the rows of one sheet look like.

    Attributes:
        columns: the column, from 0, of each content that a match has behind the row's number and other attributes.
        others: the other attributes of each of these cells.
    """

    def __init__(self) -> None:
        self.columns: list[int] = []
        self.others: list[str] = []
        #: Column -> its spellings, and whether the expression has them already.
        self._seen: dict[int, dict[_Spelling, bool]] = {}
        self._learnt = self._made = 0
        self._expression: re.Pattern[str] | None = None

    def match(self, row: str) -> re.Match[str] | None:
        """Match a whole row up to its end tag."""
        return None if self._expression is None else self._expression.fullmatch(row)

    def learn(
        self,
        letters: Sequence[str],
        columns: Sequence[int],
        others: Sequence[str],
        values: Sequence[str | None],
        texts: Sequence[str | None],
    ) -> None:
        """Learn how the cells of a plain row are spelled."""
        if self._made >= _MOST_MADE:
            return
        is_new = False
        for name, column, other, value, text in zip(letters, columns, others, values, texts, strict=True):
            inside = "value" if value is not None else "text" if text is not None else "empty"
            if not self._seen.setdefault(column, {}).setdefault((name, other, inside), False):
                is_new = True
        self._learnt += is_new
        if self._learnt >= LEARNT_ROWS:
            self._make()

    def _make(self) -> None:
        self._learnt = 0
        self._made += 1
        if sum(map(len, self._seen.values())) > _MOST_SPELLINGS:
            self._made = _MOST_MADE
            return
        for of_column in self._seen.values():
            of_column.update(dict.fromkeys(of_column, True))
        spellings = [(column, list(self._seen[column])) for column in sorted(self._seen)]
        self.columns = [column for column, of_column in spellings for _ in of_column]
        self.others = [other for _, of_column in spellings for _, other, _ in of_column]
        cells = ("|".join(map(_cell, of_column)) for _, of_column in spellings)
        self._expression = re.compile(_HEAD + "".join(f"(?:{cell})?+" for cell in cells))


def _cell(spelling: _Spelling) -> str:
    letters, others, inside = spelling
    return rf'<c r="{letters}\1"{others}{_INSIDE[inside]}'
