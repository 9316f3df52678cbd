"""The breaker, by tables and by simulated outages: one process, its backlog and retries, on a clock of their own."""

import heapq
import itertools
from collections import deque

import pytest

from couponpress_worker.safety.breaker import (
    FEWEST_SPECS,
    GOOD_ANSWERS,
    Breaker,
    Pass,
)
from couponpress_worker.timings import REAL
from couponpress_worker.wechatpay.retry import MAX_TRIES, retry_delay_seconds

RATE = 490
#: What a process can have on the wire: eight chunks.
MOST_IN_FLIGHT = 800
TICK = 0.002


class Simulation:
    """A process that sends at RATE while the breaker lets it.

    `platform(spec, at)` says what becomes of a call: whether it fails, and after how many seconds that is known.
    """

    def __init__(self, platform, specs, most_in_flight=MOST_IN_FLIGHT):
        self.platform = platform
        self.most_in_flight = most_in_flight
        self.breaker = Breaker()
        self.waiting = deque(range(specs))
        self.total = specs
        self.retries, self.answers, self.order = [], [], itertools.count()
        self.tries = dict.fromkeys(range(specs), 0)
        self.given_up, self.done, self.sent, self.changes = set(), {}, [], []
        self.now = 0.0
        self.next_slot = 0.0

    def run(self, until=3600.0):
        while self.now < until and len(self.done) + len(self.given_up) < self.total:
            held_until = self.step()
            self.now += TICK
            if not self.waiting or held_until:  # nothing to do before the next answer, retry or probe
                nearest = [heap[0][0] for heap in (self.answers, self.retries) if heap]
                nearest += [held_until] if held_until else []
                self.now = max(self.now, min(nearest, default=self.now))
        return self

    def step(self):
        """Do what is due; returns until when the breaker holds what waits, or None."""
        while self.answers and self.answers[0][0] <= self.now:
            at, _, spec, given, failed = heapq.heappop(self.answers)
            self.answered(at, spec, given, failed)
        while self.retries and self.retries[0][0] <= self.now:
            self.waiting.append(heapq.heappop(self.retries)[1])
        self.next_slot = max(self.next_slot, self.now - TICK)
        while self.waiting and self.next_slot <= self.now and len(self.answers) < self.most_in_flight:
            given = self.breaker.ask(self.now)
            if not isinstance(given, Pass):
                return self.now + given
            self.next_slot += 1 / RATE
            spec = self.waiting.popleft()
            failed, seconds = self.platform(spec, self.now)
            self.sent.append(self.now)
            heapq.heappush(self.answers, (self.now + seconds, next(self.order), spec, given, failed))
        return None

    def answered(self, at, spec, given, failed):
        change = self.breaker.tell(given, spec, failed=failed, now=at)
        if change:
            self.changes.append((change, at))
        if not failed:
            self.done[spec] = at
        elif self.breaker.spends_no_try(at):
            self.waiting.append(spec)
        else:
            self.tries[spec] += 1
            delay = retry_delay_seconds(self.tries[spec], 0.5)
            if delay is None:
                self.given_up.add(spec)
            else:
                heapq.heappush(self.retries, (at + delay, spec))

    def sent_between(self, start, end):
        return sum(start <= at < end for at in self.sent)

    def back_at_rate(self, end):
        """After how many seconds a whole second was sent at nine tenths of the rate."""
        return next(n / 2 for n in range(100) if self.sent_between(end + n / 2, end + n / 2 + 1) >= 0.9 * RATE)


def outage(start, end, *, answer_seconds=0.05, failure_seconds=0.05):
    return lambda spec, at: (True, failure_seconds) if start <= at < end else (False, answer_seconds)


@pytest.mark.parametrize("failure_seconds", [0.001, 0.05, 1.0, 5.0, 10.0])
@pytest.mark.parametrize("seconds", [30, 300])
def test_an_outage_costs_hardly_a_try_and_the_rate_is_back_at_once(failure_seconds, seconds):
    end = 10 + seconds
    told = Simulation(outage(10, end, failure_seconds=failure_seconds), specs=20_000).run(end + 60)
    assert not told.given_up
    assert max(told.tries.values()) <= 3
    assert [change for change, _ in told.changes] == ["opened", "closed"]
    opened, closed = (at for _, at in told.changes)
    assert opened - 10 <= failure_seconds + 5 + (2 * failure_seconds if failure_seconds > 1 else 0)
    probes = told.sent_between(opened, end)
    assert 0.9 * (end - opened) <= probes <= 1.1 * (end - opened) + 2
    assert closed - end < 5
    assert told.back_at_rate(end) <= 6


@pytest.mark.parametrize(("at_once", "failure_seconds", "open_after"), [(1, 10.0, 100), (3, 10.0, 40), (1, 0.05, 3)])
def test_on_trial_it_opens_late_and_costs_a_try_all_the_same(at_once, failure_seconds, open_after):
    """A process that the platform took nothing of yet sends one spec at a time, of three brands three."""
    told = Simulation(outage(0, 300, failure_seconds=failure_seconds), specs=200, most_in_flight=at_once).run(420)
    opened = told.changes[0][1]
    assert opened <= open_after + 1
    assert told.sent_between(0, opened) <= max(FEWEST_SPECS + at_once, REAL.breaker_failing / failure_seconds + 1)
    assert max(told.tries.values()) <= 2
    assert len(told.done) == 200


def test_slow_answers_let_the_rate_come_back_within_the_promised_time():
    told = Simulation(outage(10, 70, answer_seconds=1.5, failure_seconds=10.0), specs=20_000).run(100)
    assert told.changes[-1][0] == "closed"
    assert told.back_at_rate(70) <= 15


def test_no_spec_runs_out_of_tries_when_an_outage_comes_back_again_and_again():
    def flapping(spec, at):
        return (at % 30 < 20, 0.05)

    told = Simulation(flapping, specs=15_000).run(300)
    assert len(told.done) == 15_000
    assert max(told.tries.values()) < MAX_TRIES


def poisoned(specs):
    return lambda spec, at: (spec in specs, 0.05)


@pytest.mark.parametrize("among", [9, 100, 5000])
def test_a_few_specs_that_always_fail_never_open_it(among):
    assert FEWEST_SPECS == 10
    told = Simulation(poisoned(set(range(9))), specs=among).run()
    assert told.changes == []
    assert told.given_up == set(range(9))


def test_many_specs_that_always_fail_do_not_open_it_while_most_others_succeed():
    told = Simulation(poisoned(set(range(0, 10_000, 2))), specs=10_000)
    told.run(19)
    assert told.changes == []


def test_specs_that_always_fail_and_are_all_that_is_left_end_nevertheless():
    told = Simulation(poisoned(set(range(30))), specs=1000).run(REAL.breaker_free + 1200)
    assert len(told.done) == 970
    assert told.given_up == set(range(30))


def test_one_spec_that_always_fails_and_is_all_that_an_outage_leaves_ends_nevertheless():
    def left(spec, at):
        return (at < 60 or spec == 0, 0.05)

    told = Simulation(left, specs=100).run(REAL.breaker_free + 600)
    assert len(told.done) == 99
    assert told.given_up == {0}


def test_a_slow_start_does_not_open_it():
    told = Simulation(lambda spec, at: (at < 1.5, 0.3), specs=3000).run()
    assert told.changes == []
    assert len(told.done) == 3000


def test_connections_that_time_out_at_the_start_do_not_open_it():
    """The first calls wait 5 s for connections; those after them are fine."""
    told = Simulation(lambda spec, at: (True, 5.0) if at < 1 else (False, 0.05), specs=5000).run()
    assert told.changes == []


@pytest.mark.parametrize("left", [1, 5, 19, 50])
def test_the_last_specs_of_a_run_end_soon_after_an_outage(left):
    many = 3000
    told = Simulation(outage(many / RATE - 0.5, 120), specs=many)
    told.run(119)
    told.waiting = deque(itertools.islice(told.waiting, left))
    told.total = len(told.done) + len(told.waiting) + len(told.retries) + len(told.answers)
    told.run(300)
    assert max(told.tries.values()) <= 3  # so no probe cost one, though few specs took turns at it
    assert not told.given_up
    assert told.now < 120 + 15


def test_an_idle_process_is_closed_or_probes_at_once():
    breaker = opened()
    assert isinstance(breaker.ask(100.0), Pass)  # much later, the first spec of a new run goes at once
    assert isinstance(breaker.ask(100.5), float)


def opened(now=10.0):
    breaker = Breaker()
    given = breaker.ask(0.0)
    for number in range(200):
        at = now - REAL.breaker_failing + number * REAL.breaker_failing / 199
        breaker.tell(given, number, failed=True, now=at)
    assert breaker.is_open
    return breaker


def test_a_probe_goes_once_a_second():
    breaker = opened(10.0)
    asked = [10 + n / 100 for n in range(1000)]
    passes = [at for at in asked if isinstance(breaker.ask(at), Pass)]
    assert len(passes) == pytest.approx(10 / REAL.breaker_probe, abs=1)


def test_good_answers_let_more_and_more_go():
    breaker = opened(10.0)
    sizes, given = [], [breaker.ask(20.0)]
    while breaker.is_open:
        sizes.append(len(given))
        for one in given:
            breaker.tell(one, 0, failed=False, now=20.0)
        given = []
        while breaker.is_open and isinstance(one := breaker.ask(20.0), Pass):
            given.append(one)
    assert sizes == [1, 2, 4, 8, 16]
    assert sum(sizes) >= GOOD_ANSWERS


def test_a_bad_answer_takes_the_growth_back():
    breaker = opened(10.0)
    breaker.tell(breaker.ask(20.0), 0, failed=False, now=20.0)
    first, second = breaker.ask(20.0), breaker.ask(20.0)
    breaker.tell(first, 1, failed=True, now=20.0)
    breaker.tell(second, 2, failed=True, now=20.0)
    assert isinstance(breaker.ask(20.1), float)


def test_a_bad_answer_among_good_ones_halves_the_growth():
    breaker = opened(10.0)
    probe = breaker.ask(20.0)
    for _ in range(4):
        breaker.tell(probe, 0, failed=False, now=20.0)
    breaker.tell(probe, 1, failed=True, now=20.0)
    passes = [breaker.ask(20.1) for _ in range(10)]
    assert sum(isinstance(one, Pass) for one in passes) == 4


def test_answers_of_an_earlier_period_change_nothing():
    breaker = Breaker()
    old = breaker.ask(0.0)
    late = opened(10.0)
    for _ in range(100):
        late.tell(old, 0, failed=False, now=11.0)
    assert late.is_open
    probe = late.ask(20.0)
    for _ in range(GOOD_ANSWERS):
        late.tell(probe, 0, failed=False, now=20.0)
    assert not late.is_open
    for number in range(1000):
        late.tell(probe, number, failed=True, now=20 + number / 100)
    assert not late.is_open


def test_a_pass_that_was_not_used_is_there_again():
    breaker = opened(10.0)
    given = breaker.ask(20.0)
    assert isinstance(breaker.ask(20.1), float)
    breaker.unused(given)
    assert isinstance(breaker.ask(20.1), Pass)


def test_a_failure_of_long_ago_is_not_the_beginning_of_an_outage():
    breaker = Breaker()
    breaker.tell(breaker.ask(0.0), 0, failed=True, now=0.0)
    for number in range(100):
        breaker.tell(breaker.ask(3600.0), number, failed=True, now=3600 + number / 1000)
    assert not breaker.is_open
    breaker.tell(breaker.ask(3600.0), 0, failed=True, now=3600 + REAL.breaker_failing + 0.1)
    assert breaker.is_open


def test_failures_are_free_while_it_is_open_but_not_for_ever():
    breaker = opened(10.0)
    assert not Breaker().spends_no_try(0.0)
    assert breaker.spends_no_try(10.0)
    assert breaker.spends_no_try(9 + REAL.breaker_free)
    assert not breaker.spends_no_try(11 + REAL.breaker_free)
