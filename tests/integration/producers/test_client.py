"""The programmer's way in, on a real server: what is confirmed is stored, what is refused leaves nothing behind."""

import json
import socket
import threading
import time
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from unittest.mock import patch

import pytest

from couponpress import (
    Client,
    ConflictError,
    InputError,
    Receipt,
    RedisUnavailableError,
    SettingsError,
    SpecError,
    UnknownRunError,
)
from couponpress.keys import SUBMIT_TASK
from couponpress.ledger.attribution import Actor
from couponpress.ledger.chunks import CHUNK_SIZE, unpack
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.leases import Leased, NotLeased
from couponpress.ledger.moves import Move
from couponpress.outcome import State
from couponpress.transport.consumer_thread import MOST_WAITING
from couponpress.uploads.catalog_upload import CatalogUpload
from couponpress_worker.demo.fleet import sample_catalog
from couponpress_worker.runtime.redis_server import free_port
from tests.builders import (
    KEYS,
    PICTURE,
    bring_to,
    chunk_ids,
    cut_out_body,
    head_body,
    hints,
    identified,
    indexed,
    moved,
    on_ledger,
    producer_settings,
    spec,
    stored,
)


@pytest.fixture
def client(redis_url, server):
    with Client(producer_settings(redis_url)) as client:
        yield client


def specs(numbers):
    return (spec(number) for number in numbers)


def announced(server, lane="bulk"):
    """The chunk ids that the messages of a queue carry, the oldest first."""
    messages = [json.loads(text) for text in reversed(hints(server, KEYS.queue(lane)))]
    return [json.loads(b64decode(message["body"]))[0][0] for message in messages]


def left_behind(server):
    """Whatever a refused call must not leave."""
    return [key for key in server.keys(KEYS.prefix + "*") if key.decode() != KEYS.run_numbers]


# --- one spec ---------------------------------------------------------------------------------------------------------


def test_a_spec_is_stored_and_announced(client, server):
    assert client.enqueue(spec(1), run="may") == Receipt("may", new=1, known=0)
    assert chunk_ids(server) == announced(server, "urgent") == ["u1.1"]


def test_a_spec_may_be_a_request_body(client):
    client.enqueue(head_body(1) | {"row_id": "7"}, run="may")
    (told,) = client.outcomes("may")
    assert (told.row_id, told.task_id) == ("7", "head-000001")


def test_a_spec_may_go_the_slow_way(client, server):
    client.enqueue(spec(1), run="may", lane="bulk")
    assert announced(server, "bulk") == ["b1.1"]
    assert announced(server, "urgent") == []


def test_the_same_spec_again_is_the_same_work(client, server):
    client.enqueue(spec(1), run="may")
    assert client.enqueue(spec(1), run="may") == Receipt("may", new=0, known=1)
    assert announced(server, "urgent") == ["u1.1"]
    assert client.run("may").total == 1


def test_two_equal_specs_without_any_id_are_the_same_work(client):
    body = cut_out_body(1, task_id=None)
    assert client.enqueue(body, run="may").new == 1
    assert client.enqueue(body, run="may").known == 1


def test_a_spec_that_breaks_a_rule_names_every_one_and_leaves_nothing_behind(client, server):
    with pytest.raises(SpecError) as caught:
        client.enqueue(cut_out_body(1, brand_id="no brand", task_id="x"), run="may")
    assert {problem.field for problem in caught.value.problems} == {"brand_id", "task_id"}
    assert server.keys(KEYS.prefix + "*") == []


def test_a_conflict_leaves_nothing_behind(client, server):
    client.enqueue(spec(1), run="may")
    before = {key: server.dump(key) for key in server.scan_iter()}
    with pytest.raises(ConflictError) as caught:
        client.enqueue(spec(1, brand_id="other"), run="june")
    assert caught.value.known_run == "may"
    assert [one.run for one in client.runs()] == ["may"]
    after = {key: server.dump(key) for key in server.scan_iter()}
    del before[KEYS.run_numbers.encode()], after[KEYS.run_numbers.encode()]  # a number was given, and not used
    assert after == before


@pytest.mark.parametrize("name", ["", " may", "may ", "a\nb", "x" * 101, "\ud800", "\x00"], ids=ascii)
def test_an_unusable_run_name_is_refused(client, server, name):
    with pytest.raises(InputError, match="a run's name is 1 to 100 printable characters"):
        client.enqueue(spec(1), run=name)
    with pytest.raises(InputError, match="a run's name is 1 to 100 printable characters"):
        client.enqueue_many([spec(1)], run=name)
    assert server.keys(KEYS.prefix + "*") == []


def test_a_run_name_may_be_any_letters(client):
    client.enqueue(spec(1), run="秋季 [2026] / 甲")
    assert client.run("秋季 [2026] / 甲").total == 1


def test_a_run_keeps_its_lane(client, server):
    client.enqueue(spec(1), run="may", lane="bulk")
    with pytest.raises(InputError, match="lane bulk"):
        client.enqueue(spec(2), run="may", lane="urgent")
    assert client.run("may").total == 1


def test_a_run_that_is_dropped_at_this_moment_is_opened_anew(client, server, redis_url):
    """Another producer's refused upload drops the run between our opening it and our storing."""
    uploads = UploadLedger(server, KEYS)
    opened = client._uploads.open_run

    def opened_and_dropped(name, lane):
        client._uploads.open_run = opened
        number = opened(name, lane)
        uploads.drop_if_empty(number)
        return number

    client._uploads.open_run = opened_and_dropped
    assert client.enqueue(spec(1), run="may").new == 1
    assert client.run("may").total == 1


# --- many specs -------------------------------------------------------------------------------------------------------


def test_many_specs_are_stored_in_chunks_and_announced(client, server):
    assert client.enqueue_many(specs(range(250)), run="may") == Receipt("may", new=250, known=0)
    assert chunk_ids(server) == announced(server) == ["b1.1", "b1.2", "b1.3"]
    told = client.run("may")
    assert (told.total, told.waiting, told.uploading) == (250, 250, 0)


def test_specs_keep_their_order(client):
    client.enqueue_many(specs(range(250)), run="may")
    assert [one.row_id for one in client.outcomes("may")] == [f"row {number}" for number in range(250)]


@pytest.mark.parametrize("all_or_none", [True, False])
def test_the_specs_are_taken_a_chunk_at_a_time(client, all_or_none):
    taken = count()
    seen = []

    def source():
        for number in range(5 * CHUNK_SIZE):
            next(taken)
            yield spec(number)

    def on_progress(so_far):
        seen.append((so_far, int(repr(taken)[6:-1])))

    client.enqueue_many(source(), run="may", all_or_none=all_or_none, on_progress=on_progress)
    assert seen == [(number * CHUNK_SIZE, number * CHUNK_SIZE) for number in range(1, 6)]


def test_nothing_is_free_before_the_last_spec_is_stored(client, server):
    def source():
        yield from specs(range(CHUNK_SIZE + 1))
        deadline = time.monotonic() + 30
        while not client.run("may").uploading:  # the first chunk is stored beside the reading
            assert time.monotonic() < deadline
        assert (client.run("may").uploading, client.run("may").total) == (CHUNK_SIZE, 0)
        assert announced(server) == []

    client.enqueue_many(source(), run="may")
    assert client.run("may").waiting == CHUNK_SIZE + 1


def test_reading_goes_no_further_ahead_than_a_few_chunks(client):
    """Memory stays bounded when Redis is slower than the reading."""
    read, stored = [], []
    add_batch = UploadLedger.enqueue_batch

    def slowly(self, *arguments):
        if len(stored) < 3:
            time.sleep(0.2)
        stored.append(len(read))
        return add_batch(self, *arguments)

    def source():
        for one in specs(range(20 * CHUNK_SIZE)):
            read.append(one)
            yield one

    with patch.object(UploadLedger, "enqueue_batch", slowly):
        client.enqueue_many(source(), run="may")
    assert len(stored) == 20
    assert all(at <= (number + MOST_WAITING + 3) * CHUNK_SIZE for number, at in enumerate(stored))


def test_as_you_go_each_chunk_is_free_at_once(client, server):
    def source():
        yield from specs(range(CHUNK_SIZE + 1))
        assert announced(server) == ["b1.1"]

    receipt = client.enqueue_many(source(), run="may", all_or_none=False)
    assert receipt.new == CHUNK_SIZE + 1
    assert announced(server) == ["b1.1", "b1.2"]


@pytest.mark.parametrize("all_or_none", [True, False])
def test_the_same_specs_again_are_the_same_work(client, server, all_or_none):
    client.enqueue_many(specs(range(150)), run="may", all_or_none=all_or_none)
    again = client.enqueue_many(specs(range(150)), run="may", all_or_none=all_or_none)
    assert again == Receipt("may", new=0, known=150)
    assert len(announced(server)) == 2
    assert client.run("may").total == 150


def test_a_longer_catalog_adds_what_is_new(client):
    client.enqueue_many(specs(range(0, 300, 2)), run="may")
    assert client.enqueue_many(specs(range(300)), run="may") == Receipt("may", new=150, known=150)
    assert client.run("may").total == 300


class OwnError(Exception):
    """What a producer's own iterable may raise."""


@pytest.mark.parametrize(
    ("culprit", "error"),
    [
        (cut_out_body(7, brand_id="no brand"), SpecError),
        (cut_out_body(3, brand_id="other"), ConflictError),
        (OwnError("the source broke"), OwnError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["broken spec", "conflict", "error of the iterable", "interrupted"],
)
def test_an_error_half_way_leaves_nothing_behind(client, server, culprit, error):
    def source():
        yield from specs(range(250))
        if isinstance(culprit, BaseException):
            raise culprit
        yield culprit

    with pytest.raises(error):
        client.enqueue_many(source(), run="may")
    assert left_behind(server) == []
    assert client.runs() == []


def test_an_error_half_way_leaves_what_the_run_held_before(client, server):
    client.enqueue_many(specs(range(5)), run="may")
    before = client.run("may"), chunk_ids(server), indexed(server), hints(server, KEYS.queue("bulk"))
    with pytest.raises(ConflictError):
        client.enqueue_many([*specs(range(5, 300)), spec(1, brand_id="other")], run="may")
    assert (client.run("may"), chunk_ids(server), indexed(server), hints(server, KEYS.queue("bulk"))) == before


def test_as_you_go_an_error_leaves_the_chunks_before_it(client):
    with pytest.raises(SpecError):
        client.enqueue_many([*specs(range(250)), {}], run="may", all_or_none=False)
    assert client.run("may").total == 200


def test_as_you_go_an_error_in_the_first_chunk_leaves_nothing_behind(client, server):
    stored_elsewhere = client.enqueue(spec(1), run="other")
    with pytest.raises(ConflictError):
        client.enqueue_many([spec(1, brand_id="other")], run="may", all_or_none=False)
    assert stored_elsewhere.new == 1
    assert [one.run for one in client.runs()] == ["other"]


@pytest.mark.parametrize("all_or_none", [True, False])
def test_no_specs_make_no_run(client, server, all_or_none):
    assert client.enqueue_many([], run="may", all_or_none=all_or_none) == Receipt("may", new=0, known=0)
    assert client.runs() == []
    assert left_behind(server) == []


def test_no_specs_leave_a_run_as_it_is(client):
    client.enqueue_many(specs(range(5)), run="may")
    client.enqueue_many([], run="may")
    assert client.run("may").total == 5


def test_a_spec_that_stands_twice_is_enqueued_once_wherever_it_stands(client):
    numbers = [*range(CHUNK_SIZE), 5, *range(CHUNK_SIZE, 150), 120, 120]
    assert client.enqueue_many(specs(numbers), run="may") == Receipt("may", new=150, known=3)


def test_a_second_upload_waits_for_the_first(client, server):
    uploads = UploadLedger(server, KEYS)
    number = uploads.open_run("may", "bulk")
    token = uploads.lock_upload(number)
    told = []

    def on_wait():
        told.append("waits")
        uploads.unlock_upload(number, token)

    assert client.enqueue_many(specs(range(3)), run="may", on_wait=on_wait).new == 3
    assert told == ["waits"]


def test_an_upload_that_died_is_finished_by_the_same_rows_again(client, server):
    uploads = UploadLedger(server, KEYS)
    number = uploads.open_run("may", "bulk")
    uploads.enqueue_staged(number, uploads.lock_upload(number), identified(range(100)))
    server.delete(KEYS.upload_lock(number))  # its time ran out
    assert client.run("may").uploading == 100
    assert client.enqueue_many(specs(range(150)), run="may") == Receipt("may", new=50, known=100)
    assert client.run("may").waiting == 150
    assert announced(server) == ["b1.1", "b1.2"]


def test_producers_may_share_a_client_between_threads(client):
    def enqueue(thread):
        client.enqueue_many(specs(range(thread * 1000, thread * 1000 + 150)), run="may", all_or_none=False)

    threads = [threading.Thread(target=enqueue, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.run("may").total == 600


def test_a_large_catalog_is_enqueued(client):
    rows = ({"row_id": str(number), **cut_out_body(number)} for number in count())
    assert client.enqueue_many(islice(rows, 10_000), run="may").new == 10_000
    assert client.run("may").waiting == 10_000


def test_a_catalogs_rows_and_the_same_specs_are_the_same_work(client, server, tmp_path):
    sample_catalog.write(tmp_path / "sample.csv", rows=500)
    receipt = client.enqueue_many(CatalogUpload([str(tmp_path / "sample.csv")]).specs(), run="may")
    assert receipt == Receipt("may", new=488, known=0)
    read_back = [written.spec() for written in CatalogUpload([str(tmp_path / "sample.csv")]).specs()]
    assert client.enqueue_many(read_back, run="may") == Receipt("may", new=0, known=488)
    stored = [row for chunk_id in chunk_ids(server) for row in unpack(server.hget(KEYS.chunk(chunk_id), "z"))]
    expected = [spec.identified("may") for spec in read_back]
    assert sorted(stored) == sorted((spec.row_id, spec.body()) for spec in expected)
    assert [one.task_id for one in client.outcomes("may")] == [spec.task_id for spec in expected]


# --- messages ---------------------------------------------------------------------------------------------------------


def test_a_message_names_the_task_and_carries_a_chunk_id_and_nothing_else(client, server):
    client.enqueue_many(specs(range(100)), run="may")
    (text,) = hints(server, KEYS.queue("bulk"))
    message = json.loads(text)
    assert message["headers"]["task"] == SUBMIT_TASK
    assert message["content-type"] == "application/json"
    args, kwargs, _ = json.loads(b64decode(message["body"]))
    assert (args, kwargs) == (["b1.1"], {})


def test_a_message_does_not_grow_with_the_chunk(client, server):
    client.enqueue_many(specs(range(101)), run="may")
    sizes = [len(text) for text in hints(server, KEYS.queue("bulk"))]
    assert sizes[0] == sizes[1] < 2000


def test_the_queues_are_those_that_the_keys_name(client, server):
    client.enqueue(spec(1), run="now")
    client.enqueue_many(specs([2]), run="may")
    lists = {key.decode() for key in server.scan_iter() if server.type(key) == b"list"}
    assert lists == {KEYS.queue("urgent"), KEYS.queue("bulk")}


# --- status and outcomes ----------------------------------------------------------------------------------------------


def test_the_status_follows_the_specs(client, redis_url):
    client.enqueue_many(specs(range(3)), run="may")
    bring_to(redis_url, "b1.1", [State.ACCEPTED, State.SUCCEEDED, State.WAITING])
    told = client.run("may")
    assert (told.total, told.waiting, told.accepted, told.succeeded, told.finished) == (3, 1, 1, 1, False)


def test_an_unknown_run_is_told_with_its_name(client):
    with pytest.raises(UnknownRunError, match="there is no run named 'nobody'"):
        client.run("nobody")
    with pytest.raises(UnknownRunError):
        next(client.outcomes("nobody"))
    with pytest.raises(UnknownRunError):
        client.reasons("nobody")
    with pytest.raises(UnknownRunError):
        client.pause("nobody")
    with pytest.raises(UnknownRunError):
        client.resume("nobody")


def test_outcomes_come_as_an_iterator(client, redis_url):
    client.enqueue_many(specs(range(3)), run="may")
    moved(redis_url, "b1.1", Move(1, "succeed", image_url=PICTURE))
    outcomes = client.outcomes("may")
    assert iter(outcomes) is outcomes
    assert [(one.row_id, one.outcome, one.image_url) for one in outcomes] == [
        ("row 0", "", ""),
        ("row 1", "succeeded", PICTURE),
        ("row 2", "", ""),
    ]


def test_reasons_are_counted(client, redis_url):
    client.enqueue_many(specs(range(3)), run="may")
    moved(redis_url, "b1.1", Move(0, "reject", code="PARAM_ERROR"), Move(1, "reject", code="PARAM_ERROR"))
    assert client.reasons("may") == {"rejected PARAM_ERROR": 2}


def test_runs_are_told_in_the_order_in_which_they_were_made(client, server):
    for number, run in enumerate(("may", "june")):
        client.enqueue(spec(number), run=run)
        server.zincrby(KEYS.runs, number, f"u{number + 1}")  # made within the same millisecond or not
    assert [one.run for one in client.runs()] == ["may", "june"]


# --- pause and resume -------------------------------------------------------------------------------------------------


def lease(url, chunk_id):
    return on_ledger(url, lambda ledger: ledger.leases.lease(chunk_id, "worker"))


@pytest.mark.parametrize("run", [None, "may"], ids=["everything", "one run"])
def test_a_pause_keeps_chunks_back_and_a_resume_announces_them(client, server, redis_url, run):
    client.enqueue_many(specs(range(150)), run="may")
    server.delete(KEYS.queue("bulk"))
    assert client.pause(run)
    assert [lease(redis_url, chunk_id) for chunk_id in ("b1.1", "b1.2")] == [NotLeased("held")] * 2
    assert client.run("may").hold == "paused by hand"
    assert client.resume(run)
    assert sorted(announced(server, "again")) == ["b1.1", "b1.2"]  # before what nobody had in hand yet
    assert client.run("may").hold is None
    assert isinstance(lease(redis_url, "b1.1"), Leased)


def test_a_pause_of_one_run_leaves_others_alone(client, redis_url):
    client.enqueue_many(specs([1]), run="may")
    client.enqueue_many(specs([2]), run="june")
    client.pause("may")
    assert isinstance(lease(redis_url, "b2.1"), Leased)


def test_a_second_pause_and_a_second_resume_say_so(client):
    assert client.pause()
    assert not client.pause()
    assert client.resume()
    assert not client.resume()


def test_a_pause_tells_its_reason_and_its_cure(client):
    client.enqueue(spec(1), run="may")
    client.pause("may", why="the shop asked for it")
    (hold,) = client.holds()
    assert (hold.scope, hold.reason, hold.why) == ("may", "paused by hand", "the shop asked for it")
    assert "couponpress resume" in hold.cure


def test_a_brand_is_paused_and_resumed_in_every_run(client, server):
    assert client.pause(brand="7")
    assert not client.pause(brand="7")
    (hold,) = client.holds()
    assert (hold.kind, hold.scope, hold.shown) == ("brand", "7", "brand 7")
    assert hold.cure == "`couponpress resume --brand 7` lets it go on"
    assert client.resume(brand="7")
    assert not client.resume(brand="7")


@pytest.mark.parametrize("scope", [{"run": "may", "brand": "7"}, {"brand": ""}, {"brand": "7 8"}], ids=repr)
def test_what_is_no_scope_is_refused(client, scope):
    client.enqueue(spec(1), run="may")
    for act in (client.pause, client.resume):
        with pytest.raises(InputError):
            act(**scope)
    assert client.holds() == []


def test_cancelling_a_run_ends_what_was_not_accepted_and_leaves_no_hold(client, redis_url):
    client.enqueue_many(specs(range(250)), run="may")
    client.enqueue_many(specs([1000]), run="june")
    moved(redis_url, "b1.1", Move(0, "accept"), Move(1, "succeed"))
    told = []
    assert client.cancel("may", on_progress=told.append) == 248
    assert told[-1] == 248
    may, june = client.run("may"), client.run("june")
    assert (may.cancelled, may.accepted, may.succeeded, may.waiting, may.finished) == (248, 1, 1, 0, False)
    assert (june.waiting, june.cancelled) == (1, 0)
    assert client.holds() == []
    assert client.cancel("may") == 0


def test_cancelling_everything_cancels_every_run(client):
    client.enqueue_many(specs([1, 2]), run="may")
    client.enqueue(spec(3), run="now")
    assert client.cancel() == 3
    assert [run.finished for run in client.runs()] == [True, True]


def test_a_cancelled_run_is_not_leased_and_takes_new_specs_later(client, redis_url):
    client.enqueue_many(specs([1]), run="may")
    client.cancel("may")
    assert lease(redis_url, "b1.1") == NotLeased("nothing")
    client.enqueue_many(specs([2]), run="may")
    assert isinstance(lease(redis_url, "b1.2"), Leased)


def test_an_interrupted_cancel_keeps_the_run_held_and_is_finished_by_another(client, redis_url):
    client.enqueue_many(specs(range(3000)), run="may")

    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        client.cancel("may", on_progress=interrupt)
    (hold,) = client.holds()
    assert (hold.scope, hold.reason) == ("may", "being cancelled")
    assert hold.cure == "`couponpress cancel may` again finishes it"
    assert lease(redis_url, "b1.30") == NotLeased("held")
    cancelled = client.run("may").cancelled
    assert 0 < cancelled < 3000
    assert client.cancel("may") == 3000 - cancelled
    assert (client.run("may").finished, client.holds()) == (True, [])


def test_cancelling_takes_out_what_an_unfinished_upload_left(client, server):
    number = UploadLedger(server, KEYS).open_run("may", "bulk")
    uploads = UploadLedger(server, KEYS)
    uploads.enqueue_open(number, identified([1]))
    token = uploads.lock_upload(number)  # alive, or dead for less than its lock's time
    uploads.enqueue_staged(number, token, identified([2]))
    assert client.cancel("may") == 1
    assert (client.run("may").uploading, client.run("may").total) == (0, 1)
    with pytest.raises(InputError, match="another producer took over"):
        uploads.enqueue_staged(number, token, identified([3]))


def test_cancelling_an_unknown_run_says_so(client):
    with pytest.raises(UnknownRunError):
        client.cancel("nobody")


def test_specs_can_be_enqueued_while_everything_is_held(client):
    client.pause()
    assert client.enqueue(spec(1), run="may").new == 1


# --- trouble ----------------------------------------------------------------------------------------------------------


ASKING = {
    "ping": lambda client: client.ping(),
    "enqueue": lambda client: client.enqueue(spec(1), run="may"),
    "enqueue_many": lambda client: client.enqueue_many([spec(1)], run="may"),
    "enqueue_many as you go": lambda client: client.enqueue_many([spec(1)], run="may", all_or_none=False),
    "status": lambda client: client.run("may"),
    "runs": lambda client: client.runs(),
    "overview": lambda client: client.overview(),
    "outcomes": lambda client: list(client.outcomes("may")),
    "reasons": lambda client: client.reasons("may"),
    "holds": lambda client: client.holds(),
    "outage": lambda client: client.outage(),
    "pause": lambda client: client.pause(),
    "resume": lambda client: client.resume(),
    "cancel": lambda client: client.cancel(),
}


@pytest.mark.parametrize("ask", ASKING.values(), ids=ASKING)
def test_an_unreachable_redis_is_one_sentence_without_the_password(ask):
    address = f"127.0.0.1:{free_port()}/0"
    with (
        Client(producer_settings(f"redis://:s3cret@{address}")) as client,
        pytest.raises(RedisUnavailableError) as caught,
    ):
        ask(client)
    told = str(caught.value)
    assert told.startswith(f"Redis at redis://***@{address} does not answer (")
    assert "COUPONPRESS_REDIS_URL" in told
    assert "s3cret" not in told
    assert "\n" not in told


@pytest.mark.parametrize("password", ["", ":s3cret@"], ids=["none", "another"])
def test_a_wrong_password_is_told_like_an_unreachable_redis(redis_url, server, password):
    url = redis_url.replace("//", f"//{password}")
    server.config_set("requirepass", "right")
    try:
        with Client(producer_settings(url)) as client, pytest.raises(RedisUnavailableError, match="redis://") as caught:
            client.ping()
    finally:
        server.config_set("requirepass", "")
    assert "s3cret" not in str(caught.value)


def test_a_name_that_does_not_resolve_is_told_like_an_unreachable_redis():
    settings = producer_settings("redis://no-such-host.invalid:6379/0")
    with Client(settings) as client, pytest.raises(RedisUnavailableError, match=r"no-such-host\.invalid"):
        client.ping()


def test_a_server_that_is_no_redis_is_told_like_an_unreachable_one():
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer():
            peer, _ = listening.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        settings = producer_settings(f"redis://127.0.0.1:{listening.getsockname()[1]}/0")
        with Client(settings) as client, pytest.raises(RedisUnavailableError):
            client.ping()
        thread.join()


def test_a_full_redis_takes_nothing_and_says_so(client, server):
    server.config_set("maxmemory", 1)
    try:
        with pytest.raises(RedisUnavailableError, match="maxmemory"):
            client.enqueue_many(specs(range(3)), run="may")
        with pytest.raises(RedisUnavailableError, match="maxmemory"):
            client.enqueue(spec(1), run="may")
    finally:
        server.config_set("maxmemory", 0)
    assert left_behind(server) == []


def test_a_redis_that_gets_full_half_way_leaves_nothing_behind(client, server):
    def source():
        yield from specs(range(CHUNK_SIZE + 1))
        server.config_set("maxmemory", 1)

    try:
        with pytest.raises(RedisUnavailableError, match="maxmemory"):
            client.enqueue_many(source(), run="may")
    finally:
        server.config_set("maxmemory", 0)
    assert left_behind(server) == []


def test_what_was_stored_but_not_announced_is_known_the_next_time_and_found_by_recovery(client, server, redis_url):
    stored(redis_url)  # a producer that died between the ledger and the queue
    assert client.enqueue_many(specs([1]), run="may") == Receipt("may", new=0, known=1)
    assert on_ledger(redis_url, lambda ledger: ledger.leases.unannounced()) == ["b1.1"]


def test_without_settings_a_client_says_what_is_missing():
    with pytest.raises(SettingsError, match="COUPONPRESS_MCHID"):
        Client()


def test_settings_come_from_the_environment(redis_url, monkeypatch):
    monkeypatch.setenv("COUPONPRESS_REDIS_URL", redis_url)
    monkeypatch.setenv("COUPONPRESS_MCHID", KEYS.mchid)
    with Client() as client:
        client.ping()


def test_a_closed_client_may_be_closed_again(redis_url):
    client = Client(producer_settings(redis_url))
    client.enqueue(spec(1), run="may")
    client.close()
    client.close()


def test_a_client_that_was_never_used_opens_nothing():
    Client(producer_settings(f"redis://127.0.0.1:{free_port()}/0")).close()


# --- who, why and until when ------------------------------------------------------------------------------------------


def test_every_act_is_in_the_audit_log_with_who_and_why(client):
    client.enqueue(spec(1), run="may", hook="http://127.0.0.1:9/hook?secret=1")
    other = client.acting_as(Actor("gateway", "ops", "127.0.0.1"))
    other.pause("may", why="a look at it")
    other.resume("may")
    other.set_rate("7/second", until=timedelta(hours=1), why="slowly")
    other.cancel("may", why="wrong catalog")
    other.redrive("may", outcome="cancelled")
    told = [(entry.act, entry.run, entry.detail, entry.result, entry.why) for entry in client.audit(who="ops")]
    assert [one for one in reversed(told) if one[0] != "limit"] == [
        ("pause", "may", "", "done", "a look at it"),
        ("resume", "may", "", "done", ""),
        ("cancel", "may", "begun", "done", "wrong catalog"),
        ("cancel", "may", "1 specs", "done", "wrong catalog"),
        ("redrive", "may", "cancelled", "begun", ""),
        ("redrive", "may", "cancelled", "1 specs", ""),
    ]
    (limit,) = client.audit(act="limit")
    assert (limit.door, limit.who, limit.address, limit.result) == ("gateway", "ops", "127.0.0.1", "done")
    assert limit.detail.startswith("7/second until 20")
    (hook,) = client.audit(act="hook")
    assert (hook.run, hook.door, "secret" in hook.detail) == ("may", "client", False)


def test_what_changes_nothing_is_noted_as_such(client):
    client.resume(brand="7", why="just to be sure")
    (entry,) = client.audit()
    assert (entry.act, entry.brand, entry.result) == ("resume", "7", "nothing")


def test_a_hook_that_stays_the_same_is_noted_once(client):
    for number in range(3):
        client.enqueue(spec(number), run="may", hook="http://127.0.0.1:9/hook")
    assert len(list(client.audit(act="hook"))) == 1


def test_a_pause_ends_at_a_moment_or_after_a_while(client):
    assert client.pause(until=timedelta(minutes=30))
    (hold,) = client.holds()
    assert hold.until == pytest.approx(time.time() + 1800, abs=5)
    later = datetime.now().astimezone() + timedelta(hours=2)
    assert client.pause(until=later)
    (hold,) = client.holds()
    assert hold.until == pytest.approx(later.timestamp(), abs=0.01)


@pytest.mark.parametrize("until", [timedelta(0), timedelta(days=500), datetime(2020, 1, 1, tzinfo=UTC)], ids=str)
def test_an_end_that_is_past_or_too_far_is_refused(client, until):
    with pytest.raises(InputError):
        client.pause(until=until)
    with pytest.raises(InputError):
        client.set_rate("1/second", until=until)
    assert client.holds() == []
    assert client.rate().by_hand == ""


@pytest.mark.parametrize("why", ["two\nlines", "x" * 501], ids=["lines", "long"])
def test_a_reason_that_cannot_be_shown_is_refused(client, why):
    with pytest.raises(InputError, match="printable"):
        client.pause(why=why)
    assert client.holds() == []
