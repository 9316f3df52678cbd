"""Finds English words in a text that a person reads in Chinese."""

import re

#: What stays as it is in every language: names of commands, files, settings, columns, codes and the platform's words.
NAMES = re.compile(
    r"`[^`]*`|操作人：[^，]*|couponpress [ -~]+|--[a-z-]+|COUPONPRESS_[A-Z_]+|https?://\S+|redis://\S+|docs/\S+"
    r"|\S*\.(?:xlsx|csv|jsonl|md|et)|\b_?[a-z]+(?:_[a-z]+)+\b|#[0-9a-f]{3,6}|rgb\([^)]*\)|“[^”]*”|% off"
    r"|(?<![A-Za-z])(?:ID|may|gone|CSV|XML|WPS|UTF-8|JSONL?|TOML|JPG|PNG|BMP|MB|GB18030|Excel|Redis|openpyxl|API|IP|worker|OFF|CUT_OUT|COMBINE_IMAGE)(?![A-Za-z])"
)
_WORD = re.compile(r"[A-Za-z]{2,}")


def english_words(text):
    """Return the words of a text that are no names."""
    return _WORD.findall(NAMES.sub(" ", text))
