"""What a Chinese page quotes from a command is what the command prints, in Chinese and in English."""

import re
from pathlib import Path

import pytest

from couponpress.cli.run_lines import dead_letter_lines, hold_text
from couponpress.language import gettext, speaking
from couponpress.ledger.attribution import Actor
from couponpress.ledger.dead_letters import DeadLetterChunk
from couponpress.ledger.progress import Hold
from couponpress.outcome import State
from couponpress_worker.runtime.heartbeat import Beat
from tests.pages import ROOT, TWINS

PAGES = [page for page in TWINS.values() if (ROOT / page).exists()]
#: “中文”（`English`）
QUOTE = re.compile(r"“([^”]+)”（`([^`]+)`）")
#: `English`（中文）, for the state of a spec.
NAMED = re.compile(rf"`({'|'.join(State)})`（([\u4e00-\u9fff]+)）")
LI = Actor("cli", "li", "machine")
BRANDS = "the platform refused 10 brands one after the other and took nothing; the last one: NO_AUTH: refused"
CANARY = "the platform rejected its first 50 specs and took none, the last one with PARAM_ERROR: wrong"


def printed():
    """Lines that commands print."""
    yield hold_text(Hold("partner", "paused by hand", "", 0, by=LI))
    for code in ("SIGN_ERROR", "UNTRUSTED_ANSWER"):
        yield hold_text(Hold("partner", f"{code}: refused", "", 0))
    yield hold_text(Hold("partner", BRANDS, "", 0))
    yield hold_text(Hold("120344", "NO_AUTH: refused", "", 0, "brand"))
    yield hold_text(Hold("autumn", CANARY, "", 0, "run"))
    yield hold_text(Hold("autumn", "being cancelled", "", 0, "run"))
    yield "\n".join(dead_letter_lines([DeadLetterChunk("b1.1", "autumn", "damaged", 1, 0)], 0, [], None))
    yield Beat("worker", 1, "sending", 0, 0, 0).ailment(25)
    yield gettext("the platform seems to be down since %(since)s (%(reason)s): only probes are sent")


def lines_in(language):
    with speaking(language):
        return [line.strip() for text in printed() for line in text.splitlines()]


def pattern(quote):
    """What a line begins with; `…` and a single N stand for anything."""
    return "".join(".+" if part in {"…", "N"} else re.escape(part) for part in re.split(r"(…|\bN\b)", quote))


def is_printed(chinese, english):
    with speaking("zh_CN"):
        if gettext(english) == chinese:
            return True
    lines = zip(lines_in("en"), lines_in("zh_CN"), strict=True)
    return any(re.match(pattern(english), one) and re.match(pattern(chinese), other) for one, other in lines)


@pytest.mark.parametrize("page", PAGES)
def test_a_quote_is_what_is_printed(page):
    quotes = QUOTE.findall(Path(ROOT / page).read_text("utf-8"))
    assert [quote for quote in quotes if not is_printed(*quote)] == []
    assert quotes or "operations" not in page


@pytest.mark.parametrize("page", PAGES)
def test_a_state_is_called_as_it_is_printed(page):
    with speaking("zh_CN"):
        wrong = {
            (english, chinese)
            for english, chinese in NAMED.findall(Path(ROOT / page).read_text("utf-8"))
            if gettext(english) not in {english, chinese}
        }
    assert wrong == set()


def test_another_word_is_noticed():
    assert is_printed("已过期", "expired")
    assert not is_printed("过期", "expired")
    assert not is_printed("已暂停：全体：SIGN_ERROR", "held: partner: SIGN_ERROR")
