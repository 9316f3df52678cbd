"""A cell that holds an id (row, task, brand) becomes the id, or is refused when a program has changed it.

Two products must not become one because a spreadsheet shortened both of their ids to 6.90123E+12. What shows plainly
what was meant is unwrapped: `="00123"`, `'00123`, `1001.0`, and letters that nobody sees.
"""

from __future__ import annotations

import re
from typing import Final

from couponpress.catalog.cells import CellError, visible

#: What programs write where there is no value.
_NO_VALUES: Final = "nan|null|none|nil|undefined|n/a|n-a|<na>|nat|true|false|-|--|\\\\n|空|无"
_NO_VALUE: Final = re.compile(_NO_VALUES, re.IGNORECASE)
#: Ids that need no closer look; an empty cell is one.
is_plain_id: Final = re.compile(rf"(?!(?i:{_NO_VALUES})\Z)[A-Za-z0-9_\-\u4e00-\u9fff]*").fullmatch

_AS_FORMULA: Final = re.compile(r'="([^"]*)"')
_SHORTENED: Final = re.compile(r"[+-]?[0-9]+[.,][0-9]+E[+-]?[0-9]+|[+-]?[0-9]+E\+[0-9]+", re.IGNORECASE)
_DECIMAL: Final = re.compile(r"([0-9]+)\.0+")
#: A floating-point number keeps so many digits.
_KEPT_DIGITS: Final = 15
#: `#N/A`, `#REF!`, `#DIV/0!`, `#NAME?`; LibreOffice writes `Err:502`.
_FORMULA_ERROR: Final = re.compile(
    r"#(?:N/A|N/A N/A|NA|REF!?|VALUE!?|NAME\?|DIV/0!?|NULL!?|NUM!?|SPILL!|CALC!|FIELD!|BLOCKED!|CONNECT!|UNKNOWN!|"
    r"BUSY!|GETTING_DATA|PYTHON!|EXTERNAL!)|Err:[0-9]{3}|Error [0-9]{4}",
    re.IGNORECASE,
)
_TOO_NARROW: Final = re.compile(r"#{2,}")

_AS_TEXT: Final = "format the column as text and write the id again"


def identifier(text: str) -> str:
    """Return the id that a cell holds; an empty one is empty.

    >>> identifier('="00123"'), identifier("'00123"), identifier("1001.0"), identifier("SP-1")
    ('00123', '00123', '1001', 'SP-1')

    Raises:
        CellError: a program has put something else in its place.
    """
    plain = visible(text).strip()
    if found := _AS_FORMULA.fullmatch(plain):
        plain = found[1].strip()
    if plain.startswith("'") and len(plain) > 1 and not plain.endswith("'"):
        plain = plain[1:].strip()
    if found := _DECIMAL.fullmatch(plain):
        if len(found[1]) > _KEPT_DIGITS:
            raise CellError(f"is a long number with decimals, whose last digits may be lost; {_AS_TEXT}")
        plain = found[1]
    check_id(plain)
    return plain


def check_id(text: str) -> None:
    """Refuse what stands where an id was.

    Raises:
        CellError: the sentence says what it is.
    """
    if is_plain_id(text):
        return
    if _SHORTENED.fullmatch(text):
        raise CellError(f"is a number that a spreadsheet has shortened, so that its digits are lost; {_AS_TEXT}")
    if _TOO_NARROW.fullmatch(text):
        raise CellError("is what a spreadsheet shows in a column that is too narrow; write the id itself")
    if _FORMULA_ERROR.fullmatch(text):
        raise CellError("is a formula's error; mend the formula, or write the id itself")
    if _NO_VALUE.fullmatch(text):
        raise CellError("is a program's word for no value; write the id, or leave the cell empty")
