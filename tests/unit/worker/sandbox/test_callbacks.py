import json

import pytest

from couponpress_worker.sandbox.callbacks import Callbacks
from couponpress_worker.sandbox.faults import Dice
from couponpress_worker.sandbox.options import Behaviour
from couponpress_worker.sandbox.tasks import Task
from couponpress_worker.wechatpay.signing import unseal

KEY = b"0123456789abcdef0123456789abcdef"
URL = "http://127.0.0.1:9/wechatpay/callback"


class Carrier:
    """Keeps what it is given."""

    def __init__(self):
        self.later, self.sent = [], []

    def after(self, seconds, act):
        self.later.append((seconds, act))

    def send(self, delivery):
        self.sent.append(delivery)

    def let_time_pass(self):
        for _, act in self.later:
            act()


def announce(**behaviour):
    carrier = Carrier()
    callbacks = Callbacks(carrier, Dice(0), KEY, lambda: 1_700_000_000)
    task = Task("task_1", "b", "CUT_OUT", b"{}", 0, fails=False)
    now = Behaviour().changed({"notify_url": URL} | behaviour)
    callbacks.announce(task, 0.5, lambda: now, lambda announced: {"task_id": announced.task_id})
    return carrier, callbacks


def test_a_task_is_announced_once_in_time():
    carrier, _ = announce(callback_repeats=3, callback_interval_seconds=9)
    assert [seconds for seconds, _ in carrier.later] == [0.5]
    assert carrier.sent == []
    carrier.let_time_pass()
    (delivery,) = carrier.sent
    assert (delivery.url, delivery.repeats_left, delivery.interval_seconds, delivery.probe) == (URL, 3, 9, False)
    resource = json.loads(delivery.notice.body)["resource"]
    opened = unseal(KEY, resource["nonce"].encode(), resource["ciphertext"], resource["associated_data"].encode())
    assert json.loads(opened) == {"task_id": "task_1"}


def test_without_an_address_nothing_is_sent():
    carrier, _ = announce(notify_url=None)
    carrier.let_time_pass()
    assert carrier.sent == []


def test_a_lost_callback():
    carrier, callbacks = announce(faults={"lost_callbacks": 100})
    assert (carrier.later, callbacks.counts["lost"]) == ([], 1)


def test_a_late_callback():
    carrier, callbacks = announce(faults={"late_callbacks": 100, "late_seconds": 40})
    assert ([seconds for seconds, _ in carrier.later], callbacks.counts["late"]) == ([40.5], 1)


def test_a_doubled_callback_is_the_same_notice_twice():
    carrier, callbacks = announce(faults={"doubled_callbacks": 100})
    carrier.let_time_pass()
    first, second = carrier.sent
    assert first is not second
    assert first.notice == second.notice
    assert callbacks.counts["doubled"] == 1


def test_a_probe_callback():
    carrier, _ = announce(faults={"probe_callbacks": 100})
    carrier.let_time_pass()
    assert [delivery.probe for delivery in carrier.sent] == [True]


@pytest.mark.parametrize("share", [0, 30])
def test_shares_are_of_tasks(share):
    carrier = Carrier()
    callbacks = Callbacks(carrier, Dice(5), KEY, lambda: 0)
    behaviour = Behaviour().changed({"faults": {"lost_callbacks": share}})
    for number in range(1000):
        callbacks.announce(
            Task(f"task_{number}", "b", "CUT_OUT", b"", 0, fails=False), 0, lambda: behaviour, lambda _: {}
        )
    assert abs(callbacks.counts["lost"] - 10 * share) < 60
    assert len(carrier.later) == 1000 - callbacks.counts["lost"]


def test_an_echo_goes_out_at_once():
    carrier = Carrier()
    Callbacks(carrier, Dice(0), KEY, lambda: 0).echo(URL, {"echo_message": "hello"}, Behaviour())
    assert json.loads(carrier.sent[0].notice.body)["event_type"] == "SECURITY_ECHO.SUCCESS"
