"""What problem documents say in detail: known sentences, for callers that ask for Chinese by Accept-Language."""

from __future__ import annotations

from typing import Final

from couponpress.language import gettext_noop
from couponpress.sentence_patterns import SentencePatterns

#: Each as `Refusal` holds it, the first that fits.
KNOWN: Final = (
    # The body.
    gettext_noop("%(told)s; so many lines are broken: %(number)s or more; nothing was enqueued"),
    gettext_noop("%(told)s; so many lines are broken: %(number)s; nothing was enqueued"),
    gettext_noop("task_id %(task_id)s is known with another body, or stands twice with different ones; %(more)s"),
    gettext_noop("line %(line)s has more than %(limit)s bytes; %(more)s"),
    gettext_noop("%(told)s; nothing was enqueued"),
    gettext_noop("nothing was enqueued"),
    gettext_noop("the body is not JSON: %(reason)s"),
    gettext_noop("the body is not JSON"),
    gettext_noop("line %(line)s is not JSON: %(reason)s"),
    gettext_noop("the body breaks a rule"),
    gettext_noop("the body breaks %(number)s rules"),
    gettext_noop("line %(line)s breaks a rule"),
    gettext_noop("line %(line)s breaks %(number)s rules"),
    gettext_noop("the body: token %(token)s is not for brand %(brand)s"),
    gettext_noop("line %(line)s: token %(token)s is not for brand %(brand)s"),
    gettext_noop("the body may have %(limit)s bytes"),
    gettext_noop("the connection ended before the body did"),
    gettext_noop("nothing came for %(seconds)s s"),
    gettext_noop("%(bytes)s bytes of it came in %(seconds)s s"),
    gettext_noop("the stream holds no line"),
    gettext_noop("this path takes %(media_type)s, got %(given)s"),
    gettext_noop("the %(place)s parameter %(name)s must be 1 to 200 printable ASCII characters without blanks"),
    gettext_noop("the request breaks a rule: %(told)s"),
    gettext_noop("look at /docs for the paths and what they take"),
    gettext_noop("the paths of a partner begin with /partners/ID"),
    # Tokens and what they may.
    gettext_noop("the request came without a bearer token that this gateway knows"),
    gettext_noop("metrics tell of every brand; your token is for some of them only"),
    gettext_noop("your token sees no spec of that task_id"),
    gettext_noop("your token sees no run of that name"),
    gettext_noop("your token has no such selection; one is kept for an hour"),
    gettext_noop("token %(token)s has the role %(role)s, which may not %(right)s"),
    gettext_noop("token %(token)s is not for all brands and all runs, and this would reach all of them"),
    gettext_noop("token %(token)s is not for brand %(brand)s in every run"),
    gettext_noop("token %(token)s is not for brand %(brand)s"),
    gettext_noop("token %(token)s must name a run or a brand of its own here"),
    gettext_noop("run %(run)s holds specs of brands that token %(token)s is not for, and this would reach them"),
    # Bounds.
    gettext_noop("token %(token)s may enqueue %(specs)s a day, and fewer are left than were asked for"),
    gettext_noop("%(specs)s to be submitted; the bound is %(limit)s"),
    gettext_noop("%(number)s selections are kept already"),
    gettext_noop("%(number)s %(what)s are in hand already"),
    gettext_noop("%(number)s specs wait"),
    gettext_noop("1 spec waits"),
    gettext_noop("1 spec"),
    gettext_noop("%(number)s specs"),
    # What contradicts what is stored.
    gettext_noop("this Idempotency-Key came with another request within the last day"),
    gettext_noop("task_id %(task_id)s is known already, in a run that is not yours"),
    gettext_noop("task_id %(task_id)s is known already, in run %(run)s with another body"),
    gettext_noop("the selection is %(state)s; only one that is counted can be acted on"),
    gettext_noop("`until` must name its time zone, as 2026-11-30T06:00:00+08:00 does"),
    # The gateway and its store.
    gettext_noop("no answer of the store within %(seconds)s s; send the same again"),
    gettext_noop("the store did not answer; send the same again: what was stored is not stored twice"),
    gettext_noop("nothing of this request was stored"),
    gettext_noop("the gateway failed; its log says more"),
    # What the client objects to.
    gettext_noop("%(act)s changes no spec that is %(state)s, only those that are %(possible)s."),
    gettext_noop("a state is one of %(states)s, not %(wrong)s."),
    gettext_noop("a lane is urgent or bulk, not %(lane)s."),
    gettext_noop("an empty filter matches everything, so it is refused; say which specs are meant."),
    gettext_noop("a reason has up to %(why_length)s printable characters in one line, got %(why)s."),
    gettext_noop("a length of time looks like 30m, 2h or 1d12h, up to 366d; got %(text)s."),
    gettext_noop("a moment looks like 06:00, 2026-11-30T06:00 or 2d (two days ago), got %(text)s."),
    gettext_noop("a moment looks like 06:00 or 2026-11-30T06:00, got %(text)s."),
    gettext_noop("%(text)s is not within a year from now; give a moment that lies ahead."),
    gettext_noop("what ends by itself does so within a year from now, not %(until)s."),
    gettext_noop("say until when or for how long, not both."),
    gettext_noop("give a run or a brand, not both: a brand is held in every run."),
    gettext_noop("a brand's id is digits, letters, _ or -, got %(brand)s."),
    gettext_noop("a run's name is 1 to %(most)s printable characters, got %(run)s."),
    gettext_noop(
        'a rate reads like "500/second" or "600/minute", from 1 to 999999, not %(rate)s; `default` takes it back.'
    ),
    gettext_noop("specs are sent again that ended as %(outcomes)s, not %(outcome)s."),
    gettext_noop("a hook %(error)s, got %(url)s."),
)

_PATTERNS: Final = SentencePatterns(KNOWN)


def in_words(detail: str) -> str:
    """Return the detail of a refusal in the current language; as it is where it is not known."""
    return _PATTERNS.in_words(detail)
