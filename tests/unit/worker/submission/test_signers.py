"""Where requests are signed: in the event loop while there is time to spare, else in a thread for each lane."""

import asyncio
import threading

import pytest

from couponpress_worker.submission.signers import AT_A_TIME, BUSY, DECIDE_EVERY_SECONDS, EASED, Signers


class Machine:
    """A clock and a count of CPU that a test sets."""

    def __init__(self):
        self.now = self.used = 0.0

    def pass_second(self, share):
        self.now += DECIDE_EVERY_SECONDS
        self.used += share * DECIDE_EVERY_SECONDS


@pytest.fixture
def machine():
    return Machine()


def signers_of(machine, cores=2):
    return Signers(
        ("urgent", "bulk"),
        lambda body: (body, threading.current_thread().name),
        cores=cores,
        clock=lambda: machine.now,
        cpu=lambda: machine.used,
    )


def signed_by(signers, lane="bulk"):
    signed = asyncio.run(signers.sign(lane, [b"1", b"2"]))
    assert [body for body, _ in signed] == [b"1", b"2"]
    (name,) = {name for _, name in signed}
    return name


def test_the_loop_signs_while_there_is_time_to_spare(machine):
    signers = signers_of(machine)
    assert signed_by(signers) == threading.current_thread().name
    machine.pass_second(BUSY - 0.01)
    assert signed_by(signers) == threading.current_thread().name
    signers.close()


def test_a_busy_process_signs_in_a_thread_for_each_lane_until_it_has_eased(machine):
    signers = signers_of(machine)
    machine.pass_second(BUSY + 0.01)
    assert signed_by(signers, "bulk").startswith("couponpress-sign-bulk")
    machine.pass_second(EASED + 0.01)
    assert signed_by(signers, "urgent").startswith("couponpress-sign-urgent")
    machine.pass_second(EASED - 0.01)
    assert signed_by(signers) == threading.current_thread().name
    signers.close()


def test_on_a_single_core_threads_would_gain_nothing(machine):
    signers = signers_of(machine, cores=1)
    machine.pass_second(1.0)
    assert signed_by(signers) == threading.current_thread().name
    signers.close()


def test_whatever_is_due_goes_between_a_few_signatures(machine):
    async def scenario():
        signers, done = signers_of(machine), []
        signing = asyncio.create_task(signers.sign("bulk", [b"1"] * (AT_A_TIME + 1)))
        signing.add_done_callback(lambda _: done.append("signed"))
        await asyncio.sleep(0)
        done.append("due")
        await signing
        await asyncio.sleep(0)
        assert done == ["due", "signed"]

    asyncio.run(scenario())


def test_chunks_that_sign_together_take_turns_so_that_as_few_signatures_come_between(machine):
    async def scenario():
        signed = []
        signers = Signers(("bulk",), signed.append, cores=2, clock=lambda: machine.now, cpu=lambda: machine.used)
        signing = [asyncio.create_task(signers.sign("bulk", [b"%d" % chunk] * AT_A_TIME * 2)) for chunk in range(3)]
        before = 0
        while not all(one.done() for one in signing):
            await asyncio.sleep(0)
            assert len(signed) - before <= AT_A_TIME
            before = len(signed)
        assert signed[: AT_A_TIME * 3] == [b"0"] * AT_A_TIME + [b"1"] * AT_A_TIME + [b"2"] * AT_A_TIME
        signers.close()

    asyncio.run(scenario())


def test_a_signature_that_fails_is_told(machine):
    def refuse(body):
        raise ValueError("another brand")

    for share in (0.0, 1.0):
        signers = Signers(("bulk",), refuse, cores=2, clock=lambda: machine.now, cpu=lambda: machine.used)
        machine.pass_second(share)
        with pytest.raises(ValueError, match="another brand"):
            asyncio.run(signers.sign("bulk", [b"1"]))
        signers.close()
