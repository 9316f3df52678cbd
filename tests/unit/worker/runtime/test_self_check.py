"""What a process counts of its own acts, from the events."""

from couponpress_worker.events import Answered, ChunkLeft, Events, Sent
from couponpress_worker.periodic import Failures
from couponpress_worker.runtime.self_check import Tally
from couponpress_worker.wechatpay.judgement import Accepted, Answer, NoAnswer, Retry


def test_submissions_are_counted_and_nothing_else():
    events = Events(Failures())
    tally = Tally(events)
    for kind in ("submit", "query", "submit", "upload"):
        events.tell(Sent(kind, 1))
    for kind in ("submit", "query"):
        events.tell(Answered(kind, NoAnswer("not_sent", "refused"), Retry("NOT_SENT", "refused"), 0.1))
    events.tell(Answered("submit", NoAnswer("open", "reset"), Retry("NO_ANSWER", "reset"), 0.1))
    events.tell(Answered("submit", Answer(200), Accepted(), 0.1))
    assert (tally.sent, tally.unreached) == (2, 1)


def test_chunks_of_which_nothing_may_be_sent_and_hints_with_nothing_behind_them_are_counted():
    events = Events(Failures())
    tally = Tally(events)
    for note in ("closed", "held", "kept back", "handed on", "taken", "nothing", "dead letter"):
        events.tell(ChunkLeft("b1.1", note))
    assert (tally.held_back, tally.empty) == (2, 3)
