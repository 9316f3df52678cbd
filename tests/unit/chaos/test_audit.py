"""The audit must be able to fail: each promise is broken once, on evidence that is otherwise without fault."""

from dataclasses import replace

import pytest

from tests.chaos import audit as rules
from tests.chaos.audit import Call, Evidence, Kill, Result, Span, Spec, Task, audit, longest_gap, most_in_any_second

S = rules.SECOND_US


def spec(number, body="aa"):
    return Spec(f"t{number}", "may", f"row {number}", "120344", body)


def call(at, number, *, status=200, meaning="new", took=0.05, body="aa", **more):
    answered = 0 if status == 0 else round((at + took) * S)
    return Call(round(at * S), f"t{number}", body, status, answered, meaning, **more)


def result(number, outcome="succeeded", url=None, code="", **changes):
    url = f"https://p/t{number}.png" if url is None and outcome == "succeeded" else url or ""
    return Result("may", f"row {number}", f"t{number}", "120344", outcome, url, code)._replace(**changes)


def task(number, state="SUCCESS"):
    return Task(state, f"https://p/t{number}.png" if state == "SUCCESS" else "")


GOOD = Evidence(
    specs=[spec(1), spec(2), spec(3)],
    calls=[call(100.0, 1), call(100.1, 2), call(100.2, 3)],
    tasks={"t1": task(1), "t2": task(2), "t3": task(3, "FAIL")},
    results=[result(1), result(2), result(3, "failed", code="FAIL")],
    earlier=[result(1), result(2, "")],
    counts={"may": {"succeeded": 2, "failed": 1, "open": 0}},
    waiting=[Span(99.9, 100.3)],
)


def broken(**changes):
    """The promises that are broken when the good evidence is changed, each with what the audit says."""
    return {finding.promise: str(finding) for finding in audit(replace(GOOD, **changes)).findings}


def with_calls(*more, **changes):
    return audit(replace(GOOD, calls=sorted([*GOOD.calls, *more]), **changes))


def test_good_evidence_breaks_nothing():
    found = audit(GOOD)
    assert found.kept
    assert (found.specs, found.calls, found.doubled, found.again, found.unread) == (3, 3, 0, 0, 0)
    assert found.outcomes == {"succeeded": 2, "failed": 1}
    assert {promise: found.broken(promise) for promise in rules.PROMISES} == dict.fromkeys(rules.PROMISES, 0)


# Endings


def test_a_spec_that_is_in_no_result_is_lost():
    told = broken(specs=[*GOOD.specs, spec(4)])
    assert told.keys() == {rules.LOST}
    assert "t4: row row 4 of may is not in the results" in told[rules.LOST]


def test_a_spec_without_an_outcome_is_lost():
    told = broken(results=[result(1), result(2, ""), result(3, "failed", code="FAIL")], counts={})
    assert told.keys() == {rules.LOST}


def test_a_spec_with_two_lines_ended_twice():
    told = broken(results=[*GOOD.results, result(1)], counts={})
    assert told.keys() == {rules.ENDED_TWICE}


@pytest.mark.parametrize(
    "before", [result(1, "failed", code="FAIL"), result(1, url="https://p/other.png"), result(1, "rejected", code="X")]
)
def test_an_outcome_that_changed_is_a_second_end(before):
    told = broken(earlier=[before])
    assert told.keys() == {rules.ENDED_TWICE}


def test_a_picture_may_come_after_its_spec_was_given_up_and_nothing_else_may():
    given_up = result(1, "expired", code="NO_ANSWER")
    assert not broken(earlier=[given_up])
    failed = [result(1, "failed", code="FAIL"), *GOOD.results[1:]]
    assert rules.ENDED_TWICE in broken(earlier=[given_up], results=failed, counts={})


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (result(1, "failed", code="FAIL"), "failed, but the platform has SUCCESS"),
        (result(1, "rejected", code="GAVE_UP"), "rejected (GAVE_UP), but the platform has SUCCESS"),
        (result(1, "expired", code="NO_ANSWER"), "nobody asked for it"),
        (result(1, "cancelled"), "nobody asked for it"),
        (result(1, url="https://p/t2.png"), "has the URL of t2"),
        (result(1, url="https://p/none.png"), "wrong URL"),
        (result(1, url=""), "wrong URL ''"),
        (result(1, row_id="row 9"), "its line says row row 9"),
        (result(1, brand_id="9"), "brand 9"),
    ],
)
def test_an_outcome_that_contradicts_the_platform_is_wrong(line, said):
    told = broken(results=[line, *GOOD.results[1:]], earlier=[], counts={})
    assert told.keys() == {rules.ENDED_WRONGLY}
    assert said in told[rules.ENDED_WRONGLY]


DEAD_LETTER = result(1, "expired", code="DEAD_LETTER")._replace(message="three workers ended")


def killed_with(*hands):
    return [Kill(100.01 + number, "worker-1", in_hand=hand) for number, hand in enumerate(hands)]


@pytest.mark.parametrize(
    ("hands", "kept"),
    [
        ([{"t1", "t2"}, {"t1"}, {"t1"}], True),
        ([{"t1"}, {"t1"}, {"t2"}], False),
        ([{"t1"}, {"t1"}, None], True),  # Redis was away: nobody knows what this one had in hand
        ([{"t1"}, {"t1"}], False),
        ([], False),
    ],
)
def test_what_killed_three_workers_is_a_dead_letter_and_nothing_else(hands, kept):
    found = audit(
        replace(GOOD, results=[DEAD_LETTER, *GOOD.results[1:]], earlier=[], counts={}, kills=killed_with(*hands))
    )
    assert {finding.promise for finding in found.findings} == (set() if kept else {rules.ENDED_WRONGLY})
    assert found.outcomes == {"dead letter": 1, "succeeded": 1, "failed": 1}
    assert found.dead_letters == {"three workers ended": 1}
    if not kept:
        assert "dead letter (three workers ended), but killed" in str(found.findings[0])


@pytest.mark.parametrize("state", ["FAIL", "PROCESSING", None])
def test_success_without_a_picture_at_the_platform_is_wrong(state):
    tasks = {one: found for one, found in GOOD.tasks.items() if one != "t1"}
    told = broken(tasks=tasks | ({} if state is None else {"t1": task(1, state)}))
    assert told.keys() == {rules.ENDED_WRONGLY}


def test_a_spec_that_the_platform_never_took_may_be_rejected():
    tasks = {one: found for one, found in GOOD.tasks.items() if one != "t1"}
    results = [result(1, "rejected", code="GAVE_UP"), *GOOD.results[1:]]
    calls = [call(100.0, 1, status=503, meaning=""), *GOOD.calls[1:]]
    assert not broken(results=results, tasks=tasks, calls=calls, earlier=[], counts={})


def test_a_result_that_nobody_enqueued_is_wrong():
    assert broken(results=[*GOOD.results, result(4)], counts={}).keys() == {rules.ENDED_WRONGLY}


def test_a_status_that_disagrees_with_the_results_is_told():
    assert broken(counts={"may": {"succeeded": 3}}).keys() == {rules.COUNTED_WRONGLY}
    assert broken(counts={"may": {"succeeded": 2, "failed": 1, "open": 1}}).keys() == {rules.COUNTED_WRONGLY}


# Bodies


def test_other_bytes_than_were_enqueued_are_told():
    assert broken(calls=[call(100.0, 1, body="bb"), *GOOD.calls[1:]]).keys() == {rules.BODY_CHANGED}


def test_other_bytes_in_a_second_try_are_told():
    found = with_calls(call(99.0, 1, status=503, meaning=""), call(98.0, 1, status=503, meaning="", body="bb"))
    assert [finding.promise for finding in found.findings] == [rules.BODY_CHANGED]
    assert found.again == 2


def test_a_conflict_at_the_platform_is_told():
    told = broken(calls=[call(100.0, 1), call(100.1, 2), call(100.2, 3, meaning="conflict", status=400)])
    assert told.keys() == {rules.BODY_CHANGED}


def test_a_call_for_a_spec_that_was_not_enqueued_is_told():
    assert broken(calls=[*GOOD.calls, call(100.3, 4)]).keys() == {rules.NOT_ENQUEUED}


def test_a_call_that_was_not_read_is_counted_and_no_more():
    found = with_calls(Call(round(100.05 * S), "", "", 0, 0, "", "resets_before"))
    assert found.kept
    assert found.unread == 1


# Doubles


def test_a_second_call_after_a_good_answer_is_avoidable():
    first = call(100.0, 1, fault="slow", lost_us=round(100.2 * S), sender="worker-1")
    again = call(100.5, 1, meaning="doubled", status=0, sender="worker-2")
    found = audit(replace(GOOD, calls=[first, *GOOD.calls[1:], again]))
    assert [finding.promise for finding in found.findings] == [rules.AVOIDABLE]
    assert str(found.findings[0]) == (
        "doubled without need: t1: answered 200 at 100.050, sent again 0.450 s later (its calls: "
        "100.000 worker-1, 200 at 100.050, slow, closed at 100.200; 100.500 worker-2, no answer)"
    )
    assert (found.doubled, found.unavoidable.total()) == (1, 0)


@pytest.mark.parametrize(
    "first",
    [
        call(100.0, 1, status=503),
        call(100.0, 1, status=504),
        call(100.0, 1, status=0, fault="silence"),
        call(100.0, 1, status=0, fault="resets_after"),
        call(100.0, 1, fault="unsigned_answers"),
        call(100.0, 1, fault="probe_answers"),
        call(100.0, 1, took=9.9),
    ],
)
def test_a_second_call_after_no_good_answer_is_not(first):
    calls = [first, *GOOD.calls[1:], call(111, 1, meaning="doubled")]
    found = audit(replace(GOOD, calls=calls))
    assert found.kept
    assert found.unavoidable == {"no good answer": 1}


@pytest.mark.parametrize("fault", ["", "slow"])
def test_a_late_answer_that_came_in_time_excuses_nothing(fault):
    calls = [call(100.0, 1, took=3, fault=fault), *GOOD.calls[1:], call(111, 1, meaning="doubled")]
    assert not audit(replace(GOOD, calls=calls)).kept


def test_a_good_refusal_excuses_nothing():
    calls = [*GOOD.calls, call(101, 1, status=400, meaning="doubled"), call(102, 1, meaning="doubled")]
    found = audit(replace(GOOD, calls=calls))
    assert found.broken(rules.AVOIDABLE) == 2


def test_a_throttled_call_between_must_be_repeated_but_is_itself_judged():
    taken_unanswered = call(100.0, 1, status=0, fault="silence")
    throttled = call(110.5, 1, status=429, meaning="")
    last = call(112, 1, meaning="doubled")
    found = audit(replace(GOOD, calls=[taken_unanswered, *GOOD.calls[1:], throttled, last]))
    assert found.kept
    assert found.unavoidable == {"no good answer": 2}
    found = audit(replace(GOOD, calls=[*GOOD.calls, throttled, last]))
    assert found.broken(rules.AVOIDABLE) == 1


def test_tries_before_the_first_that_was_taken_are_no_doubles():
    found = with_calls(call(99.0, 1, status=502, meaning=""), call(99.5, 1, status=429, meaning=""))
    assert found.kept
    assert (found.again, found.doubled) == (2, 0)


@pytest.mark.parametrize("lost", [100.12, 100.06, 0.0])  # by the kill; before it, by another call's reset; not seen
def test_a_kill_excuses_what_the_killed_process_had_sent(lost):
    first = call(100.0, 1, sender="worker-1", lost_us=round(lost * S))
    changes = {"calls": [first, *GOOD.calls[1:], call(100.6, 1, sender="worker-2", meaning="doubled")]}
    found = audit(replace(GOOD, kills=[Kill(100.1, "worker-1")], **changes))
    assert found.kept
    assert found.unavoidable == {"its worker was killed": 1}
    assert found.doubled_by_kill == {100.1: 1}


@pytest.mark.parametrize(
    ("lost", "again", "kept"),
    [
        (100.04, 101, True),  # closed before the answer was written, and the next try kept its pause
        (100.04, 100.5, False),  # no pause: the fleet did not take it for a failed try
        (100.06, 101, False),  # closed after the answer
        (0.0, 101, False),  # open
    ],
)
def test_a_call_that_the_fleet_gave_up_before_its_answer(lost, again, kept):
    first = call(100.0, 1, lost_us=round(lost * S))
    found = audit(replace(GOOD, calls=[first, *GOOD.calls[1:], call(again, 1, meaning="doubled")]))
    assert found.kept is kept
    assert found.unavoidable["given up unanswered"] == kept


@pytest.mark.parametrize(("late", "kept"), [((99.9, 100.2), True), ((99.9, 100.1), False), ((97.0, 98.0), False)])
def test_a_close_that_a_late_platform_saw_after_its_answer(late, kept):
    first = call(100.0, 1, lost_us=round(100.15 * S))
    calls = [first, *GOOD.calls[1:], call(101, 1, meaning="doubled")]
    late_us = [(round(late[0] * S), round(late[1] * S))]
    assert audit(replace(GOOD, calls=calls, late_us=late_us)).kept is kept


@pytest.mark.parametrize(("again", "kept"), [(100.66, True), (100.64, False)])
def test_the_pause_after_a_close_that_was_seen_late_begins_when_it_may_have_come(again, kept):
    first = call(100.0, 1, lost_us=round(100.15 * S))
    calls = [first, *GOOD.calls[1:], call(again, 1, meaning="doubled")]
    assert audit(replace(GOOD, calls=calls, late_us=[(round(99.9 * S), round(100.2 * S))])).kept is kept


@pytest.mark.parametrize(
    ("kill", "late", "killed"),
    [
        (100.0, [], True),
        (99.4, [], False),  # who is dead sends nothing, and the platform was not late to stamp it
        (99.4, [(round(99.3 * S), 101 * S)], True),
        (99.4, [(round(99.6 * S), 101 * S)], False),
    ],
)
def test_a_late_platform_may_stamp_a_call_after_the_kill(kill, late, killed):
    calls = [call(100.0, 1, sender="worker-1"), *GOOD.calls[1:], call(140, 1, meaning="doubled")]
    found = audit(replace(GOOD, calls=calls, kills=[Kill(kill, "worker-1")], late_us=late))
    assert found.kept is killed
    assert found.unavoidable["its worker was killed"] == killed


@pytest.mark.parametrize(
    ("sender", "kill"),
    [
        ("worker-2", 100.1),  # another one was killed
        ("", 100.1),  # nobody knows who sent it
        ("worker-1", 102.0),  # long after the answer: it must have been written down
        ("worker-1", 99.9),  # before the call
    ],
)
def test_a_kill_excuses_nothing_else(sender, kill):
    calls = [call(100.0, 1, sender=sender), *GOOD.calls[1:], call(140, 1, meaning="doubled")]
    assert not audit(replace(GOOD, calls=calls, kills=[Kill(kill, "worker-1")])).kept


def test_answers_that_wait_for_redis_die_with_their_worker():
    calls = [call(100.0, 1, sender="worker-1"), *GOOD.calls[1:], call(140, 1, meaning="doubled")]
    kills = [Kill(108.0, "worker-1")]
    away = [Span(100.5, 106.0, "redis is paused")]
    assert audit(replace(GOOD, calls=calls, kills=kills, redis_away=away)).kept
    assert not audit(replace(GOOD, calls=calls, kills=kills)).kept
    assert not audit(replace(GOOD, calls=calls, kills=kills, redis_away=[Span(90.0, 95.0)])).kept


@pytest.mark.parametrize(("forgotten", "kept"), [((100.5, 101.5), True), ((90, 99), False), ((103, 104), False)])
def test_what_redis_forgot_is_excused_and_nothing_before_or_after(forgotten, kept):
    found = with_calls(call(140, 1, meaning="doubled"), forgotten=[Span(*forgotten)])
    assert found.kept is kept


@pytest.mark.parametrize(
    ("sent", "late", "kept"),
    [
        (98.8, [], False),  # before the second that was lost
        (99.2, [], True),
        (99.6, [], True),  # in a slot that was in hand when Redis went away
        (99.9, [], False),  # Redis was back: whose the spec is was to be asked first
        (99.9, [(round(99.7 * S), 100 * S)], True),  # unless it came before, and was stamped late
    ],
)
def test_what_was_on_its_way_when_redis_forgot_whose_it_was_is_sent_again(sent, late, kept):
    calls = [call(sent, 1, took=2), *GOOD.calls[1:], call(104, 1, meaning="doubled")]
    lost = {"forgotten": [Span(99.0, 99.5)], "redis_away": [Span(99.5, 99.8)], "waiting": [], "late_us": late}
    found = audit(replace(GOOD, calls=sorted(calls), **lost))
    assert found.kept is kept
    assert found.unavoidable["Redis forgot who had it"] == kept


# Time


@pytest.mark.parametrize(
    ("moments", "most"),
    [
        ([], 0),
        ([5], 1),
        ([0, S - 1], 2),
        ([0, S], 1),
        ([0, 1, S, S + 1], 2),
        ([0, 300_000, 600_000, 900_000, 1_200_000], 4),
        ([1_200_000, 0, 900_000, 300_000, 600_000], 4),
    ],
)
def test_the_most_in_any_window_is_exact(moments, most):
    assert most_in_any_second(moments)[0] == most


@pytest.mark.parametrize(
    ("late", "surely"),
    [
        ([], 5),
        ([(5 * S, 6 * S)], 5),
        # The first three may all have come before the window of the others began.
        ([(9_500_000, 10 * S + 300_000)], 3),
        ([(9_500_000, 10 * S + 100_000), (10 * S + 100_000, 10 * S + 300_000)], 3),
        ([(10 * S - 50_000, 10 * S + 300_000)], 5),
    ],
)
def test_what_a_late_loop_may_have_moved_is_not_surely_in_a_window(late, surely):
    moments = [10 * S, 10 * S + 100_000, 10 * S + 200_000, 10 * S + 800_000, 10 * S + 900_000]
    assert most_in_any_second(moments, late)[0] == surely
    assert most_in_any_second(moments)[0] == 5


def test_too_many_in_a_window_that_no_whole_second_shows():
    calls = [*GOOD.calls, *(Call(round(200.6 * S) + 1600 * n, "", "", 0, 0, "") for n in range(501))]
    told = broken(calls=calls)
    assert told.keys() == {rules.TOO_FAST}
    assert not broken(calls=calls[:-1])


@pytest.mark.parametrize(
    ("waiting", "forbidden", "longest"),
    [
        ([], [], 0),
        ([Span(0, 10)], [], 4),
        ([Span(0, 5), Span(5, 10)], [], 4),
        ([Span(0, 10)], [Span(3, 7)], 3),
        ([Span(0, 10)], [Span(2, 9)], 2),
        ([Span(0, 10)], [Span(-1, 11)], 0),
        ([Span(5, 6)], [], 1),
    ],
)
def test_the_longest_gap_counts_where_work_waited_and_nothing_forbade(waiting, forbidden, longest):
    gap = longest_gap([4, 8], waiting, forbidden)
    assert gap.ended - gap.began == longest


def test_a_fleet_that_stood_still_is_told():
    assert broken(waiting=[Span(99, 170)]).keys() == {rules.STOOD_STILL}
    assert not broken(waiting=[Span(99, 170)], forbidden=[Span(120, 130)])


def test_a_killed_workers_specs_must_be_sent_again_within_a_minute():
    kills = [Kill(50.0, "worker-1", frozenset({"t1", "t2"}))]
    assert audit(replace(GOOD, kills=kills)).on_the_wire == {50.0: pytest.approx(50.1)}
    kills = [Kill(40.0, "worker-1", frozenset({"t2"}))]
    assert broken(kills=kills).keys() == {rules.TOO_LATE}
    # While Redis is away or the platform is off, the clock stands still.
    assert not broken(kills=kills, redis_away=[Span(50, 52)])
    assert not broken(kills=kills, platform_off=[Span(50, 52)])


def test_a_spec_whose_next_worker_was_killed_as_well_is_late_only_after_that_kill():
    first, other = Kill(30.0, "worker-1", frozenset({"t1"})), Kill(55.0, "worker-2", frozenset({"t1"}))
    assert audit(replace(GOOD, kills=[first, other])).on_the_wire == {30.0: 25.0, 55.0: 45.0}
    # It had another spec in hand: the first one waited all along.
    assert broken(kills=[first, other._replace(task_ids=frozenset({"t2"}))]).keys() == {rules.TOO_LATE}
    # It came too late itself; and what it had in hand was late after its own kill.
    assert broken(kills=[first, other._replace(at=95.0)]).keys() == {rules.TOO_LATE}
    assert broken(kills=[first._replace(at=1.0), other._replace(at=35.0)]).keys() == {rules.TOO_LATE}


def test_a_spec_that_needed_no_second_call_does_not_count():
    assert audit(replace(GOOD, kills=[Kill(100.3, "worker-1", frozenset({"t1"}))])).on_the_wire == {}
