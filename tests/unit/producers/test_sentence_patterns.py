"""Sentences that were put together in English, said in Chinese."""

import pytest

from couponpress.language import speaking
from couponpress.pydantic_sentences import RULES, rule_told
from couponpress.sentence_patterns import SentencePatterns

PATTERNS = SentencePatterns(("paused by hand", "run %(run)s", "%(reason)s, until %(moment)s"))


@pytest.mark.parametrize(
    ("english", "told"),
    [
        ("paused by hand", "手动暂停"),
        ("run a (b)", "批次 a (b)"),
        ("paused by hand, until 06:00", "手动暂停，到 06:00 为止"),
        ("nobody knows this", "nobody knows this"),
        ("", ""),
    ],
)
def test_a_known_sentence_is_translated_with_its_values(english, told):
    with speaking("zh_CN"):
        assert PATTERNS.in_words(english) == told
    assert PATTERNS.in_words(english) == english


def test_a_rule_of_pydantic_is_told_in_the_language():
    assert rule_told("Input should be 'text' or 'json'") == "must be 'text' or 'json'"
    assert rule_told("Value error, names one host twice") == "names one host twice"
    with speaking("zh_CN"):
        assert rule_told("Input should be 'text' or 'json'") == "应为“text”或“json”"
        assert rule_told("Value error, 同一主机写了两次") == "同一主机写了两次"
        assert all(SentencePatterns(RULES).in_words(rule) != rule for rule in RULES)
