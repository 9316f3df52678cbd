"""The watchdog on a real loop and thread, with a look that is handed in and a short second."""

import asyncio
import json
import threading
import time

import pytest

from couponpress_worker.runtime.heartbeat import Heartbeat
from couponpress_worker.runtime.stall_detector import STUCK_LOOKS, Sight
from couponpress_worker.runtime.watchdog import EXIT_STUCK, Watchdog
from tests.waiting import until

EVERY_SECONDS = 0.01


class Watched:
    """A process of which only the looks are real."""

    def __init__(self, home, sight):
        self.home, self.sight = home, sight
        self.left, self.handed_back = threading.Event(), False
        self.codes = []
        self.watchdog = Watchdog(
            "worker",
            Heartbeat(home, "p."),
            look=self.look,
            in_hand=lambda: 3,
            hand_back=self.hand_back,
            leave=self.leave,
            every_seconds=EVERY_SECONDS,
        )

    async def look(self, ask_for_slot):
        return self.sight(ask_for_slot)

    def hand_back(self):
        self.handed_back = True

    def leave(self, code):
        assert self.handed_back
        self.codes.append(code)
        self.left.set()

    def beat(self):
        (path,) = self.home.glob("p.*.json")
        return json.loads(path.read_bytes())

    def run(self, until):
        async def live():
            stopped = asyncio.Event()
            running = asyncio.create_task(self.watchdog.run(stopped))
            await until()
            stopped.set()
            await running
            self.watchdog.close()  # its thread knows the loop, which is closed after this

        asyncio.run(live())


def test_a_process_that_sends_leaves_signs_of_life_and_is_left_alone(tmp_path):
    sent = iter(range(10**6))
    watched = Watched(tmp_path / "home", lambda _: Sight(next(sent), work_waits=True))

    async def seen():
        await until(lambda: list((tmp_path / "home").glob("p.*.json")) and watched.beat()["sent"] > 2 * STUCK_LOOKS)
        told = watched.beat()
        assert (told["role"], told["state"], told["in_hand"]) == ("worker", "sending", 3)
        assert abs(told["at"] - time.time()) < 5

    watched.run(seen)
    assert watched.codes == []
    assert list((tmp_path / "home").iterdir()) == []


def test_a_process_that_could_send_and_does_not_is_ended(tmp_path, caplog):
    watched = Watched(tmp_path / "home", lambda ask: Sight(7, work_waits=True, slot_open=True if ask else None))
    watched.run(lambda: until(watched.left.is_set))
    assert watched.codes == [EXIT_STUCK]
    (told,) = caplog.messages
    assert told.startswith("this worker is stuck: for 0 s work waits and slots are free, but nothing is sent.")


def test_a_process_whose_loop_hangs_is_ended(tmp_path, caplog):
    watched = Watched(tmp_path / "home", lambda _: Sight(7, work_waits=False))

    async def seen():
        await until(lambda: list((tmp_path / "home").glob("p.*.json")))
        assert watched.left.wait(20)  # blocks the loop, as a bug would
        assert time.time() - watched.beat()["at"] > EVERY_SECONDS * STUCK_LOOKS / 2  # and a probe saw it

    watched.run(seen)
    assert watched.codes == [EXIT_STUCK]
    assert "its event loop hangs" in caplog.text


@pytest.mark.parametrize("excuse", ["held", "platform down", "Redis away", "stopping"])
def test_a_process_that_may_not_send_is_left_alone(tmp_path, excuse):
    looks = []

    def sight(ask):
        looks.append(ask)
        return Sight(7, work_waits=True, excuse=excuse)

    watched = Watched(tmp_path / "home", sight)
    watched.run(lambda: until(lambda: len(looks) > 2 * STUCK_LOOKS))
    assert watched.codes == []
    assert not any(looks)  # and costs no slot
