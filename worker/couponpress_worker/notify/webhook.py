"""What a plain webhook is told, and what its answers mean (pure).

One POST for each occurrence, signed as run hooks are (docs/hooks.md). An answer of 2xx means that it was taken, 410
that nobody wants it. Everything else is sent again under the same id, so a receiver that keeps ids takes each once.
"""

from __future__ import annotations

import json
from typing import Any

from couponpress.language import gettext
from couponpress_worker.notify.answer import Answer
from couponpress_worker.notify.message import Message
from couponpress_worker.notify.occurrences import Occurrence


def body_of(occurrence: Occurrence, message: Message, mchid: str) -> bytes:
    """Return the body of the request: the occurrence's values, and the same in words."""
    told: dict[str, Any] = {
        "event": occurrence.event,
        "id": f"{mchid}:{occurrence.id}",
        "at": occurrence.at,
        "title": message.title,
        "text": "\n".join(line for one in message.paragraphs for line in (one.heading, *one.lines)),
        "link": next((one.link for one in message.paragraphs if one.link), None),
        "about": occurrence.about,
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":")).encode()


def answer_of(status: int) -> Answer:
    """Return what a status means."""
    words = gettext("status %(status)s") % {"status": status}
    if 200 <= status < 300 or status == 410:
        return Answer("taken", words)
    if 300 <= status < 400:
        return Answer("refused", words, gettext("redirects are not followed; name the URL that they lead to"))
    if status in {401, 403}:
        return Answer("refused", words, gettext("compare the secret with the receiver's, and both clocks"))
    if status == 404:
        return Answer("refused", words, gettext("compare the URL with the receiver's"))
    return Answer("later", words)
