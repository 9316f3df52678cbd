"""One thread consumes items in their order, and says what went wrong where they are made."""

import threading
from contextvars import ContextVar

import pytest

from couponpress.transport.consumer_thread import ConsumerThread


class BrokenError(Exception):
    pass


def test_every_item_is_consumed_in_order_by_one_other_thread_before_the_block_ends():
    consumed, threads = [], set()

    def consume(item):
        consumed.append(item)
        threads.add(threading.current_thread())

    with ConsumerThread(consume) as thread:
        for number in range(1000):
            thread.put(number)
    assert consumed == list(range(1000))
    assert len(threads) == 1
    assert threading.current_thread() not in threads
    assert not next(iter(threads)).is_alive()


def test_who_makes_items_faster_than_they_are_consumed_waits():
    may_go_on, consumed, made = threading.Event(), [], []

    def consume(item):
        assert may_go_on.wait(30)
        consumed.append(item)

    def make(thread):
        for number in range(10):
            thread.put(number)
            made.append(number)

    with ConsumerThread(consume, most_waiting=2) as thread:
        maker = threading.Thread(target=make, args=(thread,))
        maker.start()
        maker.join(0.3)
        assert maker.is_alive()
        assert len(made) <= 3  # one in hand and two that wait
        may_go_on.set()
        maker.join(30)
    assert consumed == made == list(range(10))


def test_an_error_ends_the_work_and_is_raised_where_the_items_are_made():
    consumed = []

    def consume(item):
        if item == 3:
            raise BrokenError
        consumed.append(item)

    def make_without_end():
        with ConsumerThread(consume) as thread:
            for number in range(10_000):
                thread.put(number)
                assert number < 100, "the error was never told"

    with pytest.raises(BrokenError):
        make_without_end()
    assert consumed == [0, 1, 2]


def test_an_error_at_the_last_item_is_raised_at_the_end_of_the_block():
    def consume(_):
        raise BrokenError

    with pytest.raises(BrokenError), ConsumerThread(consume) as thread:
        thread.put(1)


@pytest.mark.parametrize(("error", "last"), [(KeyboardInterrupt, 1), (BrokenError, 2)])
def test_when_making_ends_with_an_error_what_was_made_before_is_consumed_but_not_with_ctrl_c(error, last):
    begun, may_go_on, consumed = threading.Event(), threading.Event(), []

    def consume(item):
        begun.set()
        assert may_go_on.wait(30)
        consumed.append(item)

    def interrupted():
        with ConsumerThread(consume) as thread:
            thread.put(1)
            thread.put(2)
            assert begun.wait(30)
            threading.Timer(0.2, may_go_on.set).start()
            raise error

    with pytest.raises(error):
        interrupted()
    assert consumed == list(range(1, last + 1))


def test_the_consumer_sees_the_context_of_the_maker():
    language = ContextVar("language", default="en")
    language.set("zh_CN")
    seen = []
    with ConsumerThread(lambda _: seen.append(language.get())) as thread:
        thread.put(1)
    assert seen == ["zh_CN"]
