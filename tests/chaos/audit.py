"""The audit: what was enqueued, what the platform received and what the results say, compared spec by spec. Pure.

Values in, values out; every rule that decides whether a promise held is in this module, and docs/chaos.md says the
same in words. Moments are seconds on the machine's monotonic clock, which all processes share; calls carry
microseconds, so that no rounding decides at a window's edge.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, starmap
from typing import Any, Literal, NamedTuple

from couponpress.ledger.dead_letters import DEAD_LETTER_CODE, LOST_LEASES

SECOND_US = 1_000_000
#: From an answer on the wire to its move in Redis: gathering, a loop that waits for a core, a round trip.
WRITE_SECONDS = 1.0
#: How long after its return a fleet may need to notice that Redis is back.
BACK_SECONDS = 10.0
#: A fleet gives an answer up that has not come by then.
PATIENCE_SECONDS = 9.5
#: What happens on a connection is seen within a turn of the platform's loop, unless the loop was late.
_SEEN_SECONDS = 0.005
#: A call that was given up is a try that failed: the next one keeps the shortest of the fleet's pauses.
PAUSE_SECONDS = 0.75
#: The promise: what a killed worker had in hand is on the wire again.
ON_THE_WIRE_SECONDS = 60.0
#: No gap may be longer, for a crash may be behind it.
GAP_SECONDS = 60.0
#: Answers that leave it open whether a call was taken, or ask for it again.
_OPEN_STATUSES = frozenset({0, 202, 429, *range(500, 600)})
_DOUBTED = frozenset({"unsigned_answers", "probe_answers"})

Why = Literal[
    "no good answer",
    "its worker was killed",
    "Redis forgot the answer",
    "Redis forgot who had it",
    "given up unanswered",
]


class Spec(NamedTuple):
    """What was enqueued and confirmed."""

    task_id: str
    run: str
    row_id: str
    brand_id: str
    body: str


class Call(NamedTuple):
    """A submit as the platform recorded it.

    Attributes:
        moment_us: when it came.
        task_id: empty when it was not read.
        body: digest of its bytes; empty when they were not read.
        status: what was answered; 0 for no answer.
        answered_us: when; 0 for no answer.
        meaning: `new` or `doubled` when it was taken, `conflict` when refused for other bytes; else empty.
        fault: what was brought about on request; else empty.
        lost_us: when its connection was closed; 0 while it is open.
        sender: which worker sent it; empty when it was none.
    """

    moment_us: int
    task_id: str
    body: str
    status: int
    answered_us: int
    meaning: str = "new"
    fault: str = ""
    lost_us: int = 0
    sender: str = ""

    def __str__(self) -> str:
        """Return everything that decides whether a call after it was needed."""
        told = f"{self.moment_us / SECOND_US:.3f} {self.sender}"
        told += f", {self.status} at {self.answered_us / SECOND_US:.3f}" if self.answered_us else ", no answer"
        told += f", {self.fault}" if self.fault else ""
        return told + (f", closed at {self.lost_us / SECOND_US:.3f}" if self.lost_us else "")


class Result(NamedTuple):
    """A line of the results."""

    run: str
    row_id: str
    task_id: str
    brand_id: str
    outcome: str
    image_url: str = ""
    code: str = ""
    message: str = ""


class Task(NamedTuple):
    """What the platform made of a task."""

    state: str
    image_url: str = ""


class Span(NamedTuple):
    """From a moment to a moment, and why."""

    began: float
    ended: float
    why: str = ""


class Kill(NamedTuple):
    """A worker that was killed, and what it had in hand.

    Attributes:
        at: when.
        who: which worker.
        task_ids: the specs that waited in its hands to be sent.
        in_hand: every spec of the chunks in its hands; None when nobody can tell, for Redis was away for too long.
    """

    at: float
    who: str
    task_ids: frozenset[str] = frozenset()
    in_hand: frozenset[str] | None = frozenset()


@dataclass(frozen=True)
class Evidence:
    """Everything that the audit looks at.

    Attributes:
        specs: what producers were told is stored.
        calls: every submit that reached the platform, in order.
        tasks: the platform's tasks by task_id, at the end.
        results: the lines of every run's results, at the end.
        earlier: lines that were read before; whatever had an outcome then must have the same at the end.
        counts: per run, how many specs its status says to be in each state.
        kills: of workers.
        redis_away: while Redis did not answer, from the moment when it stopped to the moment when it answered again.
        forgotten: what Redis lost: from the moment to which its file was cut back, to its end.
        platform_off: while the platform answered nothing well.
        waiting: while specs waited to be sent.
        forbidden: while nothing could be sent, and why.
        late_us: while the platform's loop was late: what it stamped then may have come at any moment of it.
        limit: requests in any window of one second.
    """

    specs: Sequence[Spec]
    calls: Sequence[Call]
    tasks: Mapping[str, Task]
    results: Sequence[Result]
    earlier: Sequence[Result] = ()
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    kills: Sequence[Kill] = ()
    redis_away: Sequence[Span] = ()
    forgotten: Sequence[Span] = ()
    platform_off: Sequence[Span] = ()
    waiting: Sequence[Span] = ()
    forbidden: Sequence[Span] = ()
    late_us: Sequence[tuple[int, int]] = ()
    limit: int = 500


class Finding(NamedTuple):
    """One breach of a promise."""

    promise: str
    about: str
    told: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.about}: {self.told}"


@dataclass(frozen=True)
class Audit:
    """What the audit found.

    Attributes:
        findings: every breach, each with the spec or the moment that it is about.
        specs: how many were enqueued.
        outcomes: how many ended how.
        dead_letters: why specs became dead letters with their chunk, and how many; rightly or not.
        calls: how many submits came.
        unread: how many of them were reset before they were read: nobody knows which spec they were for.
        again: calls for a spec that the platform had not taken before: tries after refusals and faults.
        doubled: calls for a spec that the platform had taken before.
        unavoidable: how many of these, by why.
        doubled_by_kill: how many each kill is the reason of.
        most_in_any_second: exactly, from the recorded moments.
        surely_in_any_second: the same, without those whose moment a late loop may have moved into the window.
        longest_gap: between two calls, while work waited and nothing forbade sending.
        on_the_wire: per kill whose chunks could be read, how long its specs took to be sent again, seconds.
    """

    findings: tuple[Finding, ...]
    specs: int
    outcomes: Counter[str]
    dead_letters: Counter[str]
    calls: int
    unread: int
    again: int
    doubled: int
    unavoidable: Counter[str]
    doubled_by_kill: dict[float, int]
    most_in_any_second: int
    surely_in_any_second: int
    longest_gap: Span
    on_the_wire: dict[float, float]

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings

    def broken(self, promise: str) -> int:
        """How often a promise was broken."""
        return sum(finding.promise == promise for finding in self.findings)


LOST = "lost"
ENDED_TWICE = "ended twice"
ENDED_WRONGLY = "ended wrongly"
COUNTED_WRONGLY = "counted wrongly"
BODY_CHANGED = "body changed"
NOT_ENQUEUED = "sent, but never enqueued"
AVOIDABLE = "doubled without need"
TOO_FAST = "too many in a window"
TOO_LATE = "too late on the wire again"
STOOD_STILL = "stood still"
PROMISES = (
    LOST,
    ENDED_TWICE,
    ENDED_WRONGLY,
    COUNTED_WRONGLY,
    BODY_CHANGED,
    NOT_ENQUEUED,
    AVOIDABLE,
    TOO_FAST,
    TOO_LATE,
    STOOD_STILL,
)


def audit(evidence: Evidence) -> Audit:
    """Compare everything with everything."""
    specs = {spec.task_id: spec for spec in evidence.specs}
    calls: dict[str, list[Call]] = defaultdict(list)
    for call in evidence.calls:
        if call.task_id:
            calls[call.task_id].append(call)
    doubles = [double for of_one in calls.values() for double in _doubles(of_one, evidence)]
    moments_us = [call.moment_us for call in evidence.calls]
    most, _ = most_in_any_second(moments_us)
    surely, at_us = most_in_any_second(moments_us, evidence.late_us)
    gap = longest_gap([call.moment_us / SECOND_US for call in evidence.calls], evidence.waiting, evidence.forbidden)
    on_the_wire = dict(_on_the_wire(evidence, calls))
    findings = [
        *_endings(evidence, specs),
        *_counts(evidence),
        *_bodies(calls, specs),
        *(
            Finding(AVOIDABLE, call.task_id, f"{told} (its calls: {'; '.join(map(str, calls[call.task_id]))})")
            for call, why, told in doubles
            if why is None
        ),
    ]
    if surely > evidence.limit:
        findings.append(Finding(TOO_FAST, f"second before {at_us / SECOND_US:.3f}", f"{surely} > {evidence.limit}"))
    if gap.ended - gap.began > GAP_SECONDS:
        findings.append(Finding(STOOD_STILL, f"from {gap.began:.1f}", f"{gap.ended - gap.began:.1f} s"))
    findings += [
        Finding(TOO_LATE, f"kill at {at:.1f}", f"{seconds:.1f} s")
        for at, seconds in on_the_wire.items()
        if seconds > ON_THE_WIRE_SECONDS
    ]
    by_kill = Counter(float(told) for _, why, told in doubles if why == "its worker was killed")
    named = sum(map(len, calls.values()))
    return Audit(
        tuple(findings),
        specs=len(specs),
        outcomes=Counter("dead letter" if _dead_letter(one) else one.outcome or "open" for one in evidence.results),
        dead_letters=Counter(one.message for one in evidence.results if _dead_letter(one)),
        calls=len(evidence.calls),
        unread=len(evidence.calls) - named,
        again=named - len(calls) - len(doubles),
        doubled=len(doubles),
        unavoidable=Counter(why for _, why, _ in doubles if why is not None),
        doubled_by_kill=dict(by_kill),
        most_in_any_second=most,
        surely_in_any_second=surely,
        longest_gap=gap,
        on_the_wire=on_the_wire,
    )


def most_in_any_second(moments_us: Sequence[int], late_us: Iterable[tuple[int, int]] = ()) -> tuple[int, int]:
    """Return the most moments in any half-open window `t - 1 s < m <= t`, and such a t.

    A moment inside a late time counts only where it would also be in the window at the beginning of that time.
    """
    most, at_us, oldest = 0, 0, 0
    ordered = sorted(moments_us)
    earliest = _earliest(ordered, late_us)
    for number, moment in enumerate(ordered):
        while oldest <= number and earliest[oldest] <= moment - SECOND_US:
            oldest += 1
        if number - oldest + 1 > most:
            most, at_us = number - oldest + 1, moment
    return most, at_us


def surely_in_any_second(calls: Mapping[str, list[Any]]) -> int:
    """Return the most calls in any second, without bunches that the platform's own loop made by being late.

    Args:
        calls: what the sandbox answers on `/sandbox/calls`.
    """
    return most_in_any_second(calls["moments_us"], map(tuple, calls["late_us"]))[0]


def _earliest(ordered_us: Sequence[int], late_us: Iterable[tuple[int, int]]) -> list[int]:
    """Return for each moment, in their order, how early it may have been."""
    earliest, late = [], iter([(round(span.began), round(span.ended)) for span in _joined(starmap(Span, late_us))])
    span = next(late, None)
    for moment in ordered_us:
        while span is not None and span[1] < moment:
            span = next(late, None)
        earliest.append(span[0] if span is not None and span[0] <= moment else moment)
    return earliest


def longest_gap(moments: Sequence[float], waiting: Iterable[Span], forbidden: Iterable[Span]) -> Span:
    """Return the longest time without a call that lies wholly where work waited and nothing forbade sending."""
    longest = Span(0.0, 0.0)
    ordered = sorted(moments)
    for allowed in _without(waiting, forbidden):
        inside = [moment for moment in ordered if allowed.began < moment < allowed.ended]
        for began, ended in pairwise([allowed.began, *inside, allowed.ended]):
            if ended - began > longest.ended - longest.began:
                longest = Span(began, ended, allowed.why)
    return longest


def _joined(spans: Iterable[Span]) -> list[Span]:
    """Return spans in order, those that touch each other as one."""
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.began <= joined[-1].ended:
            joined[-1] = Span(joined[-1].began, max(joined[-1].ended, span.ended))
        else:
            joined.append(span)
    return joined


def _without(spans: Iterable[Span], cut_out: Iterable[Span]) -> Iterator[Span]:
    """Return what is left of some spans, joined, when others are cut out."""
    cuts = sorted(cut_out)
    for span in _joined(spans):
        began = span.began
        for cut in cuts:
            if cut.ended <= began or cut.began >= span.ended:
                continue
            if cut.began > began:
                yield Span(began, cut.began)
            began = max(began, cut.ended)
        if began < span.ended:
            yield Span(began, span.ended)


def _endings(evidence: Evidence, specs: Mapping[str, Spec]) -> Iterator[Finding]:
    lines: dict[str, list[Result]] = defaultdict(list)
    for result in evidence.results:
        lines[result.task_id].append(result)
    before: dict[str, set[tuple[str, str, str]]] = defaultdict(set)
    for result in evidence.earlier:
        if result.outcome:
            before[result.task_id].add((result.outcome, result.image_url, result.code))
    whose = {task.image_url: task_id for task_id, task in evidence.tasks.items() if task.image_url}
    for task_id, spec in specs.items():
        found = lines[task_id]
        if not found:
            yield Finding(LOST, task_id, f"row {spec.row_id} of {spec.run} is not in the results")
            continue
        if len(found) > 1:
            yield Finding(ENDED_TWICE, task_id, f"{len(found)} lines: {', '.join(one.outcome for one in found)}")
        last = found[-1]
        if not last.outcome:
            yield Finding(LOST, task_id, f"row {spec.row_id} of {spec.run} has no outcome")
            continue
        changed = before[task_id] - {(last.outcome, last.image_url, last.code)}
        if last.outcome == "succeeded":  # a picture that came after its spec was given up is taken
            changed = {one for one in changed if one[0] != "expired"}
        if changed:
            yield Finding(ENDED_TWICE, task_id, f"was {sorted(changed)} before it was {last.outcome}")
        wrong = _wrong(spec, last, evidence, whose)
        if wrong:
            yield Finding(ENDED_WRONGLY, task_id, wrong)
    for task_id in lines.keys() - specs.keys():
        yield Finding(ENDED_WRONGLY, task_id, "is in the results, but was never enqueued")


def _dead_letter(result: Result) -> bool:
    return (result.outcome, result.code) == ("expired", DEAD_LETTER_CODE)


def _wrong(spec: Spec, result: Result, evidence: Evidence, whose: Mapping[str, str]) -> str:
    """Say in what an ending contradicts what was enqueued or what the platform has; empty when it does not."""
    if (result.run, result.row_id, result.brand_id) != (spec.run, spec.row_id, spec.brand_id):
        return f"its line says row {result.row_id}, brand {result.brand_id}, run {result.run}"
    if _dead_letter(result):  # which is also right where the platform has it: nobody was left to hear of it
        kills = sum(kill.in_hand is None or spec.task_id in kill.in_hand for kill in evidence.kills)
        return "" if kills >= LOST_LEASES else f"dead letter ({result.message}), but killed {kills} times"
    task = evidence.tasks.get(spec.task_id)
    has = "no such task" if task is None else task.state
    match result.outcome:
        case "succeeded":
            if task is None or task.state != "SUCCESS":
                return f"succeeded, but the platform has {has}"
            if result.image_url == task.image_url:
                return ""
            other = whose.get(result.image_url)
            return f"has the URL of {other}" if other else f"has the wrong URL {result.image_url!r}"
        case "failed":
            return "" if task is not None and task.state == "FAIL" else f"failed, but the platform has {has}"
        case "rejected":
            return "" if task is None else f"rejected ({result.code}), but the platform has {has}"
        case other:
            return f"{other} ({result.code}), though nobody asked for it and the platform has {has}"


def _counts(evidence: Evidence) -> Iterator[Finding]:
    told: dict[str, Counter[str]] = defaultdict(Counter)
    for result in evidence.results:
        told[result.run][result.outcome or "open"] += 1
    for run, counts in evidence.counts.items():
        shown = {state: count for state, count in counts.items() if count}
        if shown != dict(told[run]):
            yield Finding(COUNTED_WRONGLY, run, f"its status says {shown}, its results {dict(told[run])}")


def _bodies(calls: Mapping[str, Sequence[Call]], specs: Mapping[str, Spec]) -> Iterator[Finding]:
    for task_id, of_one in calls.items():
        spec = specs.get(task_id)
        if spec is None:
            yield Finding(NOT_ENQUEUED, task_id, f"{len(of_one)} calls")
            continue
        others = {call.body for call in of_one if call.body} - {spec.body}
        if others:
            yield Finding(BODY_CHANGED, task_id, f"{spec.body} was enqueued, {', '.join(sorted(others))} was sent")
        elif any(call.meaning == "conflict" for call in of_one):
            yield Finding(BODY_CHANGED, task_id, "the platform knew it with other bytes")


def _doubles(of_one: Sequence[Call], evidence: Evidence) -> Iterator[tuple[Call, Why | None, str]]:
    """Return each call for a task that had been taken before, with why it could not be avoided, or None."""
    taken = False
    for before, call in pairwise(of_one):
        taken = taken or before.meaning in {"new", "doubled"}
        if taken:
            yield call, *_reason(before, call, evidence)


def _reason(before: Call, call: Call, evidence: Evidence) -> tuple[Why | None, str]:
    """Say why the call after `before` could not be avoided.

    Only one of these excuses it, and the first that does is named: no good answer to the call before; the process
    that sent that one was killed before it could write the answer down; Redis lost what was written; it lost in whose
    hands the spec was, before that call was made; or the answer came when the fleet had hung up, and kept the pause
    after a failed try.
    """
    late = before.answered_us - before.moment_us > PATIENCE_SECONDS * SECOND_US
    if before.status in _OPEN_STATUSES or before.fault in _DOUBTED or late:
        return "no good answer", before.fault or ("late" if late else f"status {before.status}")
    answered = before.answered_us / SECOND_US
    written = _written_by(answered, evidence.redis_away)
    moment = before.moment_us / SECOND_US
    for kill in evidence.kills:
        if before.sender == kill.who and _came_by(moment, kill.at, evidence) and kill.at <= written:
            return "its worker was killed", repr(kill.at)
    for forgotten in evidence.forgotten:
        if answered <= forgotten.ended and written >= forgotten.began:
            return "Redis forgot the answer", ""
        # Slots in hand may be used while it is away; once it is back, each worker asks first what is still its.
        back = next((away.ended for away in evidence.redis_away if away.began == forgotten.ended), forgotten.ended)
        if forgotten.began <= moment and _came_by(moment, back, evidence) and answered > forgotten.ended:
            return "Redis forgot who had it", ""
    # A close that was seen while the loop was late may have come before the answer, and as early as the loop was late.
    lost = before.lost_us / SECOND_US
    open_after = _outside(Span(answered, lost), evidence.late_us) if lost > answered else 0.0
    hung_up = before.moment_us <= before.lost_us and open_after <= _SEEN_SECONDS
    paused_us = call.moment_us - _earliest([before.lost_us], evidence.late_us)[0]
    if hung_up and paused_us >= PAUSE_SECONDS * SECOND_US:
        return "given up unanswered", ""
    after = call.moment_us / SECOND_US - answered
    return None, f"answered {before.status} at {answered:.3f}, sent again {after:.3f} s later"


def _came_by(moment: float, by: float, evidence: Evidence) -> bool:
    """Whether what was stamped at a moment may have come by another one: the platform's loop stamps late when it is."""
    return moment <= by or _outside(Span(by, moment), evidence.late_us) <= _SEEN_SECONDS


def _outside(span: Span, late_us: Iterable[tuple[int, int]]) -> float:
    """Return how many seconds of a span the platform's loop was not late in."""
    late = (Span(began / SECOND_US, ended / SECOND_US) for began, ended in late_us)
    return sum(left.ended - left.began for left in _without([span], late))


def _written_by(answered: float, redis_away: Iterable[Span]) -> float:
    """Return by when an answer must be in Redis: soon, or soon after Redis is back."""
    by = answered + WRITE_SECONDS
    for away in sorted(redis_away):
        if away.began <= by and away.ended >= answered:
            by = max(by, away.ended + BACK_SECONDS)
    return by


def _on_the_wire(evidence: Evidence, calls: Mapping[str, Sequence[Call]]) -> Iterator[tuple[float, float]]:
    """Return for each kill when the last of its specs was sent again, seconds after it.

    While Redis is away or the platform is off, the time stands still. Where the next worker that had a spec in hand was
    killed before it sent it, it was on its way: from there on the time is that of the later kill. A spec that is not
    sent again needs it no more: its outcome came otherwise, or it is lost, which is told elsewhere.
    """
    stands_still = [*evidence.redis_away, *evidence.platform_off]
    moments = {task_id: [call.moment_us / SECOND_US for call in of_one] for task_id, of_one in calls.items()}
    for kill in evidence.kills:
        again = []
        for task_id in kill.task_ids:
            killed_again = [other.at for other in evidence.kills if task_id in other.task_ids]
            later = [at for at in [*moments.get(task_id, ()), *killed_again] if at > kill.at]
            again += [min(later)] if later else []
        if again:
            running = _without([Span(kill.at, max(again))], stands_still)
            yield kill.at, sum(span.ended - span.began for span in running)
