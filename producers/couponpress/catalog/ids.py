"""A cell that holds an id (row, task, brand) becomes the id, or is refused when a program has changed it.

Two products must not become one because a spreadsheet shortened both of their ids to 6.90123E+12. What shows plainly
what was meant is unwrapped: `="00123"`, `'00123`, `1001.0`, and letters that nobody sees.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Final

from couponpress.catalog.cells import CellError, visible
from couponpress.language import gettext, gettext_noop

#: What programs write where there is no value.
_NO_VALUES: Final = (
    r"nan|null|none|nil|undefined|n/a|n\.a\.|n-a|na|nat|missing|unknown|tbd|tba|[-\u2013\u2014]+|_+|/+|\.+|\?+|\uff1f+|\\n|"
    r"<(?:na|nan|null|none|nil)>|\((?:null|none|nil|blank|空)\)|\[(?:null|none)\]|1\.#(?:qnan|ind|inf)|"
    r"\{\{[^{}]*\}\}|\$\{[^{}]*\}|%[sd]|&nbsp;|\[object [a-z]+\]|loading(?:\.{3}|…)|(?:正在)?加载(?:中)?(?:\.{3}|…)|"
    r"true|false|wahr|falsch|vrai|faux|verdadero|falso|真|假|是|否|空|空值|无|暂无|未知|待定|待补"
)
_NO_VALUE: Final = re.compile(_NO_VALUES, re.IGNORECASE)
#: Excel keeps 15 digits of a number, and puts zeros in the place of the others. One true id of 16 digits in ten ends in
#: 0, and one of 17 in a hundred in 00, so that these are noted only; three zeros are hardly chance.
_ROUNDED: Final = "[0-9]{15}0{3,}"
_MAY_BE_ROUNDED: Final = "[0-9]{15}0{1,2}"
_MAY_BE_DATE: Final = "(?:19|20)[0-9]{2}-[01][0-9]-[0-3][0-9]"
_MONTH: Final = "(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
#: What Excel makes of 1-2, SEP-2 and the like.
_AS_DATE: Final = (
    rf"(?:[0-9]{{1,2}}-{_MONTH}(?:-[0-9]{{2,4}})?|{_MONTH}-[0-9]{{2}}|(?:[0-9]{{4}}年)?[0-9]{{1,2}}月[0-9]{{1,2}}日|"
    r"[0-9]{4}年[0-9]{1,2}月|[0-9]{4}/[0-9]{1,2}/[0-9]{1,2}(?: [0-9:]+)?|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+Z?|"
    r"[0-9]{1,2}[/.][0-9]{1,2}[/.](?:19|20)[0-9]{2}|[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?)"
)
#: How a line end or another letter without a picture is written in a workbook, and by programs that copy it from there.
_ESCAPED: Final = "_x(?:00[01][0-9A-Fa-f]|007[Ff]|FEFF|200[B-F])_"
#: Ids that need no closer look; an empty cell is one. The usual forms stand first, for speed.
is_plain_id: Final = re.compile(
    rf"[0-9]{{0,15}}|[A-Z]{{1,9}}[-_]?[0-9]{{1,15}}|(?!(?i:{_NO_VALUES})\Z|{_AS_DATE}\Z|{_MAY_BE_DATE}\Z|[0-9]{{15}}0+\Z|.*{_ESCAPED}|锟斤拷)"
    r"[A-Za-z0-9_\-\u4e00-\u9fff]*"
).fullmatch

#: Letters that nobody sees or that are no letters, but a blank: they would make a second id that looks like the first.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs", "Cs"})
#: What programs write for letters that they could not read.
_LOST: Final = re.compile("\ufffd|锟斤拷|\u00ef\u00bb\u00bf")
_ESCAPED_AROUND: Final = re.compile(rf"\A(?:{_ESCAPED})+|(?:{_ESCAPED})+\Z")
_QUOTES: Final = {
    '"': '"',
    "'": "'",
    "\u201c": "\u201d",
    "\u2018": "\u2019",
    "`": "`",
    "\uff07": "\uff07",
    "\uff02": "\uff02",
}
_APOSTROPHES: Final = "'\u2018\u2019`\uff07"
_AS_FORMULA: Final = re.compile(r'="([^"]*)"')
_SHORTENED: Final = re.compile(
    r"[+-]?[0-9]+[.,][0-9]+\s*E\s*[+-]?[0-9]+|[+-]?[0-9]+E\+[0-9]+|[+-]?[0-9]+(?:[.,][0-9]+)?\s*[x\u00d7*]\s*10\^[0-9]+",
    re.IGNORECASE,
)
_WITH_COMMAS: Final = re.compile(r"[0-9]{1,3}(?:[,\uff0c\u00a0\u202f'\u2019 ][0-9]{3})+")
_DECIMAL: Final = re.compile(r"([0-9]+)\.0+")
#: A floating-point number keeps so many digits.
_KEPT_DIGITS: Final = 15
#: `#N/A`, `#REF!`, `#DIV/0!`, `#NAME?`, in other languages `#名称?`, `#WERT!`, `#NV`; LibreOffice writes `Err:502`.
_FORMULA_ERROR: Final = re.compile(
    r"#[^\s#]+[!?\uff01\uff1f]|"
    r"#(?:N/A(?: N/A)?|N\.A\.|NA|N/D|N/V|NV|ND|N/DISP|I/T|REF|VALUE|NAME|DIV/0|NULL|NUM|GETTING_DATA)|"
    r"(?:Err|Error|错误|錯誤|Fehler|Erreur)(?:\s*[:\uff1a]\s*|\s+)[0-9]{3,4}",
    re.IGNORECASE,
)
_TOO_NARROW: Final = re.compile(r"#{2,}")

_AS_TEXT: Final = gettext_noop("format the column as text and write the id again")

#: What tells that a text is no id, and the rule that it breaks.
_REFUSED: Final[Sequence[tuple[Callable[[str], object], str]]] = (
    (
        _SHORTENED.fullmatch,
        gettext_noop("is a number that a spreadsheet has shortened, so that its digits are lost; %(as_text)s"),
    ),
    (_LOST.search, gettext_noop("holds what a program writes for letters that it could not read; write the id itself")),
    (
        re.compile(_ESCAPED).search,
        gettext_noop(
            "holds the trace of a letter that a program could not write, such as _x000D_; write the id itself"
        ),
    ),
    (_WITH_COMMAS.fullmatch, gettext_noop("is a number that a spreadsheet shows in groups; write the id itself")),
    (
        re.compile(_AS_DATE).fullmatch,
        gettext_noop("is a date or a time, which a spreadsheet may have made of an id; %(as_text)s"),
    ),
    (
        _TOO_NARROW.fullmatch,
        gettext_noop("is what a spreadsheet shows in a column that is too narrow; write the id itself"),
    ),
    (_FORMULA_ERROR.fullmatch, gettext_noop("is a formula's error; mend the formula, or write the id itself")),
    (_NO_VALUE.fullmatch, gettext_noop("is a program's word for no value; write the id, or leave the cell empty")),
)


def identifier(text: str) -> str:
    """Return the id that a cell holds; an empty one is empty.

    >>> identifier('="00123"'), identifier("'00123"), identifier("1001.0"), identifier("SP-1")
    ('00123', '00123', '1001', 'SP-1')

    Raises:
        CellError: a program has put something else in its place.
    """
    plain = _ESCAPED_AROUND.sub("", visible(unicodedata.normalize("NFC", text)).strip()).strip()
    if found := _AS_FORMULA.fullmatch(plain):
        plain = found[1].strip()
        if re.fullmatch(_AS_DATE, plain):
            return plain
    elif re.fullmatch(_ROUNDED, plain):
        raise CellError(
            gettext('ends in zeros from its 16th digit on, as a spreadsheet leaves it; %(as_text)s, or as ="%(plain)s"')
            % {"as_text": gettext(_AS_TEXT), "plain": plain}
        )
    if len(plain) > 2 and plain[-1] == _QUOTES.get(plain[0]):
        plain = plain[1:-1].strip()
    elif len(plain) > 1 and plain[0] in _APOSTROPHES:
        plain = plain[1:].strip()
    if found := _DECIMAL.fullmatch(plain):
        if len(found[1]) > _KEPT_DIGITS:
            raise CellError(
                gettext("is a long number with decimals, whose last digits may be lost; %(as_text)s")
                % {"as_text": gettext(_AS_TEXT)}
            )
        plain = found[1]
    elif plain.startswith("="):
        raise CellError(gettext("is a formula, which only a spreadsheet can calculate; write the id itself"))
    check_id(plain)
    return plain


def doubt_of(text: str) -> str | None:
    """Return what is doubtful about an id that is taken as it stands; None if nothing is."""
    if re.fullmatch(_MAY_BE_ROUNDED, text):
        return gettext(
            "ends in 0 from its 16th digit on, as a spreadsheet leaves a long id; compare it with its source"
        )
    if re.fullmatch(_MAY_BE_DATE, text):
        return gettext("is a date, which a spreadsheet may have made of an id; compare it with its source")
    return None


def check_id(text: str) -> None:
    """Refuse what stands where an id was.

    Raises:
        CellError: the sentence says what it is.
    """
    if is_plain_id(text):
        return
    for is_such, rule in _REFUSED:
        if is_such(text):
            raise CellError(gettext(rule) % {"as_text": gettext(_AS_TEXT)})
    if unseen := next((one for one in text if one != " " and unicodedata.category(one) in _UNSEEN), None):
        raise CellError(
            gettext("holds a letter that nobody sees (%(letter)s); write the id without it")
            % {"letter": f"U+{ord(unseen):04X}"}
        )
