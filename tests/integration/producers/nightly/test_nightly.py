"""Nights on a real ledger: what is sent, what is left out, who takes up what, and what a person sees."""

import csv
import json
import re
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import openpyxl
import pytest
import redis

from couponpress import language
from couponpress.cli.main import main
from couponpress.errors import NightLostError
from couponpress.keys import run_of
from couponpress.ledger.enqueueing import UploadLedger
from couponpress.ledger.hooks import _due_hook
from couponpress.ledger.scripts import script
from couponpress.nightly.claims import LEASE_MS
from couponpress.nightly.context import NightContext
from couponpress.nightly.nights import Night
from couponpress.nightly.schedule_file import read_schedules
from couponpress.nightly.settling import settle_night
from couponpress.nightly.source import rows_of
from couponpress.nightly.starting import MOST_TAKEN, planned, start_night
from couponpress.nightly.tick import Ticker
from couponpress.outcome import State
from couponpress_worker.completion.run_webhooks import hook_body
from tests.builders import KEYS, MCHID, bring_to, chunk_ids, identified, producer_settings
from tests.command_line import without_fleet

FIRST = datetime(2026, 5, 2, 2, 0, tzinfo=UTC)


class Shop:
    """A schedule, its catalog, and the fleet's part of the work done by hand."""

    def __init__(self, folder, url, client):
        self.folder, self.url, self.client = folder, url, client
        self.opened = ExitStack()
        self.nights = 0
        self.schedule()

    def schedule(self, **keys):
        lines = {"cron": "0 2 * * *", "time_zone": "UTC", "source": "*.csv", **keys}
        text = "[schedule.prices]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items())
        (self.folder / "schedules.toml").write_text(text)
        self.context = self.another_context()

    def another_context(self):
        file = read_schedules(self.folder / "schedules.toml")
        return self.opened.enter_context(NightContext.open(producer_settings(self.url), file))

    def catalog(self, rows):
        """Rows as id -> a number that stands in the body."""
        with (self.folder / "catalog.csv").open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(["row_id", "brand_id", "image_generation_type", "image_url"])
            for row_id, number in rows.items():
                picture = f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"
                writer.writerow([row_id, "120344", "CUT_OUT", picture])

    def next_night(self):
        self.nights += 1
        return Night("prices", FIRST + timedelta(days=self.nights))

    def start(self, night=None, *, full=False, owner_gone=False):
        night = night or self.next_night()
        if owner_gone:
            self.client.hset(KEYS.night(night.run), "until_ms", 1)
        claim = self.context.nights.claim(night.run, "prices", night.moment, self.context.owner, full=full)
        with self.context.in_hand(night.run) as lost:
            return night, start_night(self.context, self.context.file.schedule("prices"), night, claim, lost)

    def end(self, run, *states):
        """Bring a run's rows to these states, the last one counts for all that follow."""
        number = self.context.runs.number_of(run)
        for chunk_id in chunk_ids(self.client):
            if run_of(chunk_id) == number:
                size = len(self.client.hget(KEYS.chunk(chunk_id), "s"))
                bring_to(self.url, chunk_id, [*states[:size], *[states[-1]] * (size - len(states))])

    def settle(self, night):
        record = self.context.nights.record(night.run)
        self.context.nights.claim(night.run, "prices", night.moment, self.context.owner)
        return settle_night(self.context, record)

    def succeeded(self, rows):
        self.catalog(rows)
        night, _ = self.start()
        self.end(night.run, State.SUCCEEDED)
        assert self.settle(night)
        return night

    def sent(self, run):
        return [one.row_id for one in self.context.client.outcomes(run)]


@pytest.fixture
def shop(tmp_path, redis_url, client):
    with (shop := Shop(tmp_path, redis_url, client)).opened:
        yield shop


def told(begun):
    return (begun.state, begun.counts.changed, begun.counts.unchanged, begun.counts.under_way)


def test_only_what_is_new_or_changed_is_sent(shop):
    first = shop.succeeded({"a": 1, "b": 2, "c": 3})
    shop.catalog({"b": 2, "c": 33, "d": 4})
    second, begun = shop.start()
    assert told(begun) == ("sent", 2, 1, 0)
    assert begun.told.startswith("3 rows, 2 changed, at a rate that no worker has told yet")
    assert shop.sent(second.run) == ["c", "d"]
    ids = {one.task_id for run in (first.run, second.run) for one in shop.context.client.outcomes(run)}
    assert len(ids) == 5  # a changed row is another task


def test_when_nothing_changed_there_is_no_run(shop):
    shop.succeeded({"a": 1})
    night, begun = shop.start()
    assert told(begun) == ("done", 0, 1, 0)
    assert begun.told == "1 row, 0 changed, nothing to send"
    assert shop.context.status(night.run) is None
    assert shop.context.nights.open_nights() == []


def test_full_and_diff_off_send_everything(shop):
    shop.succeeded({"a": 1, "b": 2})
    assert told(shop.start(full=True)[1]) == ("sent", 2, 0, 0)
    shop.schedule(diff=False)
    assert told(shop.start()[1]) == ("sent", 2, 0, 0)


def test_a_row_whose_last_attempt_ended_badly_is_sent_again(shop):
    shop.catalog({"a": 1, "b": 2})
    night, _ = shop.start()
    shop.end(night.run, State.SUCCEEDED, State.REJECTED)
    shop.settle(night)
    night, begun = shop.start()
    assert (told(begun), shop.sent(night.run)) == (("sent", 1, 1, 0), ["b"])
    shop.end(night.run, State.SUCCEEDED)
    shop.settle(night)
    # One that had succeeded as it is, and failed since.
    night, _ = shop.start(full=True)
    shop.end(night.run, State.FAILED, State.SUCCEEDED)
    shop.settle(night)
    assert shop.sent(shop.start()[0].run) == ["a"]


def test_a_row_with_a_task_id_of_its_own_gets_another_one_when_it_changes(shop):
    (shop.folder / "catalog.csv").unlink(missing_ok=True)
    for number, expected in ((1, 1), (1, 0), (2, 1)):
        picture = f"https://wxpaylogo.qpic.cn/wxpaylogo/{number}.png"
        header = "task_id,brand_id,image_generation_type,image_url\n"
        (shop.folder / "own.csv").write_text(header + f"own-id-1,120344,CUT_OUT,{picture}\n")
        night, begun = shop.start()
        assert begun.counts.changed == expected
        if expected:
            (outcome,) = shop.context.client.outcomes(night.run)
            assert (outcome.row_id, outcome.task_id[:3]) == ("own-id-1", "cp_")
            shop.end(night.run, State.SUCCEEDED)
            shop.settle(night)


def test_what_succeeded_since_is_remembered_before_rows_are_compared_whoever_settles(shop):
    shop.catalog({"a": 1, "b": 2})
    night, _ = shop.start()
    shop.end(night.run, State.SUCCEEDED)  # and nobody settles it
    assert told(shop.start()[1]) == ("done", 0, 2, 0)


def test_a_night_that_overlaps_leaves_rows_under_way_to_the_earlier_run(shop):
    shop.catalog({"a": 1, "b": 2, "c": 3})
    first, _ = shop.start()
    shop.end(first.run, State.SUCCEEDED, State.WAITING, State.WAITING)
    shop.catalog({"a": 1, "b": 2, "c": 33})
    second, begun = shop.start()
    assert told(begun) == ("sent", 1, 1, 1)
    assert f"{first.run} is not finished yet: it goes behind it (on_overlap = queue)" in begun.told
    assert shop.sent(second.run) == ["c"]


def test_skip_sends_nothing_of_a_night_that_overlaps(shop):
    shop.schedule(on_overlap="skip")
    shop.catalog({"a": 1})
    shop.start()
    shop.catalog({"a": 11})
    night, begun = shop.start()
    assert told(begun) == ("skipped", 1, 0, 0)
    assert shop.context.status(night.run) is None
    assert shop.context.nights.record(night.run).state == "skipped"


def test_replace_takes_back_what_the_earlier_run_has_not_sent_and_sends_it_itself(shop):
    shop.schedule(on_overlap="replace")
    shop.catalog({"a": 1, "b": 2, "c": 3})
    first, _ = shop.start()
    shop.end(first.run, State.ACCEPTED, State.WAITING, State.RETRYING)
    shop.catalog({"a": 1, "b": 2, "c": 3, "d": 4})
    second, begun = shop.start()
    # What the platform has accepted stays with the earlier run.
    assert told(begun) == ("sent", 3, 0, 1)
    assert sorted(shop.sent(second.run)) == ["b", "c", "d"]
    assert shop.context.client.run(first.run).cancelled == 2


def test_a_source_that_cannot_be_read_takes_nothing_back(shop):
    shop.schedule(on_overlap="replace")
    shop.catalog({"a": 1})
    first, _ = shop.start()
    (shop.folder / "catalog.csv").write_text("nonsense\n1\n")
    assert shop.start()[1].state == "failed"
    assert shop.context.client.run(first.run).waiting == 1


MAPPING = '[columns]\n"货号" = "row_id"\n"图" = "image_url"\n[fixed]\nbrand_id = "120344"\n'
PHOTO = "https://wxpaylogo.qpic.cn/wxpaylogo/1.png"


def test_a_catalog_is_read_with_the_encoding_and_the_mapping_of_its_schedule(shop):
    shop.schedule(encoding="GBK", mapping="maps/shop.toml")
    (shop.folder / "maps").mkdir()
    (shop.folder / "maps/shop.toml").write_text(MAPPING, "utf-8")
    (shop.folder / "catalog.csv").write_text(f"货号,图\nSP-1,{PHOTO}\n", "gb18030")
    night, begun = shop.start()
    assert told(begun) == ("sent", 1, 0, 0)
    assert shop.sent(night.run) == ["SP-1"]


def test_a_workbook_is_read_from_the_sheet_of_its_schedule(shop):
    book = openpyxl.Workbook()
    june = book.create_sheet("六月")
    june.append(["row_id", "brand_id", "image_url"])
    june.append(["SP-1", "120344", PHOTO])
    book.save(shop.folder / "catalog.xlsx")
    shop.schedule(source="*.xlsx", sheet="六月")
    night, _ = shop.start()
    assert shop.sent(night.run) == ["SP-1"]
    shop.schedule(source="*.xlsx", sheet="七月")
    failed = shop.start()[1]
    assert failed.state == "failed"
    assert "七月" in failed.told


def test_a_mapping_that_cannot_be_read_is_told_before_the_night_and_fails_it(shop, couponpress):
    shop.schedule(mapping="shop.toml")
    shop.catalog({"a": 1})
    assert "now: the mapping" in couponpress("list").stdout
    (shop.folder / "shop.toml").write_text("[colums]\n")
    assert "there is no part 'colums'; the parts are columns, fixed, words" in couponpress("list").stdout
    assert shop.start()[1].state == "failed"


@pytest.mark.parametrize(("on_late", "state"), [("skip", "skipped"), ("queue", "sent")])
def test_a_night_that_cannot_meet_its_deadline(shop, on_late, state):
    shop.schedule(deadline="1m", on_late=on_late)
    shop.context.client.set_rate("1/minute")
    shop.catalog({"a": 1, "b": 2})
    now = shop.context.nights.now()
    night, begun = shop.start(Night("prices", datetime.fromtimestamp(now // 60 * 60, UTC)))
    assert begun.state == state
    assert f"it cannot meet its deadline: {'nothing is sent' if state == 'skipped' else 'it is sent'}" in begun.told
    assert (shop.context.status(night.run) is not None) == (state == "sent")


def test_the_backlog_of_its_lane_counts(shop):
    shop.context.client.set_rate("60/minute")
    shop.context.client.enqueue_many([], run="x")
    for lane in ("urgent", "bulk"):
        specs = identified(range(1, 11), lane)
        uploads = UploadLedger(shop.client, KEYS)
        uploads.enqueue_open(uploads.open_run(lane, lane), [replace_id(one, lane) for one in specs])
    shop.catalog({"a": 1})
    assert "20 waiting before them, 21 s at 1/s" in shop.start()[1].told
    shop.schedule(lane="urgent")
    assert "10 waiting before them, 11 s at 1/s" in shop.start(full=True)[1].told


def replace_id(one, lane):
    task_id = f"{lane}-{one.task_id}"
    return one._replace(
        task_id=task_id, row=one.row._replace(body=one.row.body.replace(one.task_id.encode(), task_id.encode()))
    )


def broken_off(rows):
    """Rows of an upload whose producer dies: what it staged stays."""
    yield from rows
    raise redis.ConnectionError("gone")


def test_an_upload_that_was_broken_off_is_completed_from_the_source_as_it_is_now(shop):
    night = shop.next_night()
    shop.catalog({f"r{number}": number for number in range(300)})
    other = shop.another_context()
    other.nights.claim(night.run, "prices", night.moment, "gone")
    rows = planned_rows(other)
    with pytest.raises(Exception, match="gone"):
        other.client.enqueue_many(broken_off(rows), run=night.run)
    assert shop.context.status(night.run).uploading == 300
    shop.catalog({f"r{number}": number * 7 for number in range(100, 260)})
    _, begun = shop.start(night, owner_gone=True)
    assert told(begun) == ("sent", 160, 0, 0)
    status = shop.context.status(night.run)
    assert (status.total, status.uploading, status.waiting) == (160, 0, 160)
    assert shop.sent(night.run) == [f"r{number}" for number in range(100, 260)]


def planned_rows(context):
    for one in rows_of(context.file.schedule("prices"), context.folder).specs():
        yield one._replace(task_id=None)


def test_an_upload_that_was_being_released_is_released_whole_and_not_read_again(shop):
    night = shop.next_night()
    shop.catalog({f"r{number}": number for number in range(300)})
    other = shop.another_context()
    other.nights.claim(night.run, "prices", night.moment, "gone")
    with pytest.raises(Exception, match="gone"):
        other.client.enqueue_many(broken_off(planned_rows(other)), run=night.run)
    number = other.runs.number_of(night.run)
    token = UploadLedger(shop.client, KEYS).take_over_upload(number)
    names = [KEYS.run(number), KEYS.open("bulk"), KEYS.staged(number), KEYS.finished, KEYS.upload_lock(number)]
    names += [KEYS.counts, KEYS.waiting_since("bulk"), KEYS.flows("bulk")]
    shop.client.register_script(script("seal"))(names, [number, 1, KEYS.chunk(""), token, 10])
    shop.client.delete(KEYS.upload_lock(number))
    assert (shop.context.status(night.run).total, shop.context.status(night.run).uploading) == (100, 200)
    (shop.folder / "catalog.csv").unlink()
    _, begun = shop.start(night, owner_gone=True)
    assert begun.state == "sent"
    assert (shop.context.status(night.run).total, shop.context.status(night.run).uploading) == (300, 0)


def test_a_process_whose_night_was_taken_up_leaves_nothing_of_its_own_behind(shop):
    shop.catalog({"a": 1})
    night = shop.next_night()
    claim = shop.context.nights.claim(night.run, "prices", night.moment, shop.context.owner)
    lost = threading.Event()
    lost.set()
    with pytest.raises(NightLostError, match="was taken up by another process"):
        start_night(shop.context, shop.context.file.schedule("prices"), night, claim, lost)
    assert shop.context.status(night.run) is None
    # It is noticed within a third of the lease, whatever the process is doing.
    with shop.context.in_hand(night.run) as lost:
        shop.client.hset(KEYS.night(night.run), "owner", "another")
        assert lost.wait(LEASE_MS / 1000)


def test_a_night_that_ends_every_process_is_given_up(shop):
    night = shop.next_night()
    for number in range(MOST_TAKEN):
        shop.client.hset(KEYS.night(night.run), "until_ms", 1) if number else None
        shop.context.nights.claim(night.run, "prices", night.moment, f"gone {number}")
    shop.catalog({"a": 1})
    assert shop.start(night, owner_gone=True)[1].told == "5 processes had it in hand, and none completed it"


def test_the_summary_and_the_hook_tell_what_the_night_found(shop):
    shop.schedule(deadline="4h", hook="https://shop.example/told")
    shop.succeeded({"a": 1, "b": 2})
    shop.catalog({"a": 1, "b": 22, "c": 3})
    began = time.monotonic()
    night, _ = shop.start()
    shop.end(night.run, State.SUCCEEDED, State.REJECTED)
    fields = shop.client.hgetall(KEYS.run(shop.context.runs.number_of(night.run)))
    body = json.loads(hook_body(_due_hook("b1", fields), MCHID))
    assert body["schedule"] == {
        "name": "prices",
        "at": night.at.isoformat(),
        "rows": 3,
        "changed": 2,
        "unchanged": 1,
        "under_way": 0,
        "broken": 0,
        "full": False,
    }
    assert shop.settle(night)
    summary = shop.context.nights.record(night.run).told
    found = re.fullmatch(
        r"3 rows, 1 unchanged, 2 sent, 1 succeeded, 1 rejected, (\d+) s, deadline 06:00 missed", summary
    )
    assert found, summary
    assert int(found[1]) <= time.monotonic() - began + 1


def test_a_night_whose_run_is_not_finished_is_not_over(shop):
    shop.catalog({"a": 1})
    night, _ = shop.start()
    assert not shop.settle(night)
    assert shop.context.nights.record(night.run).state == "sent"
    assert not shop.context.nights.record(night.run).in_hand


def test_a_dry_run_changes_nothing(shop):
    shop.succeeded({"a": 1, "b": 2})
    shop.catalog({"a": 1, "b": 22})
    before = {name: shop.client.dump(name) for name in shop.client.scan_iter("*")}
    begun = planned(shop.context, shop.context.file.schedule("prices"), shop.next_night(), full=False)
    assert told(begun) == ("done", 1, 1, 0)
    assert {name: shop.client.dump(name) for name in shop.client.scan_iter("*")} == before


# --- tick -----------------------------------------------------------------------------------------------------------


def wait_until(condition, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def due_now(shop, context):
    """Let the night of the last whole minute be due; returns it."""
    at = datetime.fromtimestamp(context.nights.now() // 60 * 60, UTC)
    shop.schedule(cron=f"{at.minute} {at.hour} * * *")
    shop.context.nights.see("prices", at.timestamp() - 1)
    return Night("prices", at)


def test_two_schedulers_that_look_at_once_start_a_night_once(shop):
    shop.catalog({"a": 1, "b": 2})
    night = due_now(shop, shop.context)
    tickers = [Ticker(shop.context), Ticker(shop.another_context())]
    for _ in range(5):
        for one in tickers:
            one.tick()
    wait_until(lambda: shop.context.nights.record(night.run).state == "sent")
    shop.end(night.run, State.SUCCEEDED)
    for one in tickers:
        one.tick()
    wait_until(lambda: shop.context.nights.record(night.run).state == "done")
    for one in tickers:
        one.tick()
        one.close()
    assert [run.run for run in shop.context.client.runs()] == [night.run]
    assert shop.context.client.run(night.run).total == 2
    assert shop.context.nights.latest("prices").told.startswith("2 rows, 0 unchanged, 2 sent, 2 succeeded")


def test_a_new_schedule_begins_now_and_a_clock_that_went_back_begins_again(shop):
    ticker = Ticker(shop.context)
    ticker.tick()
    now = shop.context.nights.now()
    assert shop.context.nights.seen("prices") == pytest.approx(now, abs=5)
    shop.context.nights.see("prices", now + 10**7)
    ticker.tick()
    assert shop.context.nights.seen("prices") == pytest.approx(now, abs=5)
    assert shop.context.client.runs() == []


def test_rows_to_be_mended_are_told_in_the_language_of_who_started_the_scheduler(shop, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr(language, "_of_starter", lambda: "zh_CN")
    shop.catalog({"a": 1, "b": "x y"})
    night = due_now(shop, shop.context)
    ticker = Ticker(shop.context)
    ticker.tick()
    wait_until(lambda: shop.context.nights.record(night.run).state == "sent")
    (errors,) = shop.folder.glob("**/*.errors.csv")
    assert "image_url：应为" in errors.read_text("utf-8-sig")
    wait_until(
        lambda: any(
            f"night {night.run}: sent: 1 row, 1 changed, 1 broken" in one.getMessage() for one in caplog.records
        )
    )
    ticker.close()


def test_nights_that_are_too_old_are_missed(shop, caplog):
    shop.catalog({"a": 1})
    at = datetime.fromtimestamp(shop.context.nights.now() // 60 * 60, UTC) - timedelta(hours=3)
    shop.schedule(cron=f"{at.minute} {at.hour} * * *")
    shop.context.nights.see("prices", at.timestamp() - 1)
    for _ in range(2):
        Ticker(shop.context).tick()
    night = Night("prices", at)
    assert shop.context.nights.record(night.run).state == "missed"
    assert [one.getMessage() for one in caplog.records if "was missed" in one.getMessage()] == [
        f"night {night.run} was missed: no scheduler was there within 1:00:00 of it"
    ]
    assert shop.context.client.runs() == []


def test_a_night_whose_schedule_is_gone_fails_and_a_sent_one_is_settled(shop):
    shop.catalog({"a": 1})
    sent, _ = shop.start()
    claimed = shop.next_night()
    shop.context.nights.claim(claimed.run, "prices", claimed.moment, "gone")
    shop.client.hset(KEYS.night(claimed.run), "until_ms", 1)
    shop.end(sent.run, State.SUCCEEDED)
    (shop.folder / "schedules.toml").write_text('[schedule.q]\ncron="0 2 * * *"\ntime_zone="UTC"\nsource="x"\n')
    ticker = Ticker(shop.another_context())
    nights = shop.context.nights

    def over():
        ticker.tick()
        return (nights.record(claimed.run).state, nights.record(sent.run).state) == ("failed", "done")

    wait_until(over)


def test_what_is_in_hand_is_given_back_when_a_scheduler_stops(shop):
    night = shop.next_night()
    shop.context.nights.claim(night.run, "prices", night.moment, shop.context.owner)
    ticker = Ticker(shop.context)
    ticker._in_hand[night.run] = "prices"
    ticker.close()
    assert not shop.context.nights.record(night.run).in_hand


# --- the command ------------------------------------------------------------------------------------------------------


@dataclass
class Ran:
    """What a command left."""

    stdout: str
    stderr: str


@pytest.fixture
def couponpress(shop, monkeypatch, capsys):
    """Run `couponpress schedule` in this process; must end with the exit code given."""
    env = {"COUPONPRESS_REDIS_URL": shop.url, "COUPONPRESS_MCHID": MCHID, "COLUMNS": "200"}
    env["COUPONPRESS_SCHEDULE_FILE"] = str(shop.folder / "schedules.toml")
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    def run(*words, code=0):
        monkeypatch.setattr(sys, "argv", ["couponpress", "schedule", *words])
        without_fleet(monkeypatch)
        with pytest.raises(SystemExit) as caught:
            main()
        told = capsys.readouterr()
        assert (caught.value.code or 0) == code, told.out + told.err
        return Ran(told.out, told.err)

    return run


def test_the_command_lists_plans_and_starts(shop, couponpress):
    shop.catalog({"a": 1, "b": 2})
    shop.schedule(cron="0 2 * * *", time_zone="Asia/Shanghai")
    planned_told = couponpress("run", "prices", "--dry-run").stdout
    assert "prices-" in planned_told
    assert "2 rows, 2 changed" in planned_told
    assert planned_told.endswith("dry run: nothing was enqueued\n")
    begun = json.loads(couponpress("run", "prices", "--json").stdout)
    assert (begun["state"], begun["counts"]["changed"]) == ("sent", 2)
    assert shop.context.client.run(begun["run"]).total == 2
    listed = couponpress("list").stdout
    assert "prices: 0 2 * * * Asia/Shanghai, from *.csv" in listed
    assert "02:00 +08:00" in listed
    assert f"latest: {begun['run']}: sent: 2 rows, 2 changed" in listed
    (one,) = json.loads(couponpress("list", "--json").stdout)
    assert (one["name"], one["latest"]["state"], one["trouble"]) == ("prices", "sent", None)


def test_the_command_says_what_is_wrong(shop, couponpress):
    assert "no file matches '*.csv'" in couponpress("run", "prices", code=2).stderr
    assert "now: [schedule.prices] source: no file matches '*.csv'" in couponpress("list").stdout
    assert "did you mean prices?" in couponpress("run", "pricse", code=2).stderr
    (shop.folder / "schedules.toml").write_text("[schedule.prices]\ncrn = 1\n")
    assert "'crn' is not a key of a schedule; did you mean cron?" in couponpress("next", code=2).stderr


def test_what_is_broken_and_what_is_skipped_gives_exit_code_1(shop, couponpress):
    shop.schedule(on_overlap="skip")
    shop.catalog({"a": 1, "b": "x y"})
    shop.start()
    shop.catalog({"a": 11})
    assert "(on_overlap = skip)" in couponpress("run", "prices", code=1).stdout


def test_within_a_minute_it_is_the_same_night(shop, couponpress):
    shop.catalog({"a": 1})
    now = shop.context.nights.now()
    for minute in (0, 1):  # whichever of the two it is by then
        night = Night("prices", datetime.fromtimestamp(now // 60 * 60 + 60 * minute, UTC))
        shop.start(night, full=True)
    assert "was started already" in couponpress("run", "prices", code=2).stderr


def test_next_shows_local_time_with_its_offset(shop, couponpress):
    shop.schedule(cron="30 2 * * *", time_zone="America/New_York")
    lines = couponpress("next", "--count", "2").stdout.splitlines()
    assert len(lines) == 2
    assert all(
        line.endswith(("02:30 -04:00  prices", "02:30 -05:00  prices", "03:00 -04:00  prices")) for line in lines
    )
    starts = json.loads(couponpress("next", "prices", "--count", "2", "--json").stdout)
    assert [one["schedule"] for one in starts] == ["prices", "prices"]
    assert datetime.fromisoformat(starts[0]["at"]).utcoffset() is not None


def test_the_next_night_is_left_out_and_the_audit_log_knows_who_did_that(shop, couponpress):
    shop.schedule(cron="30 2 * * *", time_zone="Asia/Shanghai")
    shop.catalog({"a": 1})
    told = couponpress("skip", "prices", "--why", "the shop is closed").stdout
    run = told.split()[0]
    assert told.startswith("prices-")
    assert " is left out" in told
    assert shop.context.nights.record(run).state == "skipped"
    assert couponpress("skip", "prices").stdout.startswith(run), "the same again is the same night"
    began = json.loads(couponpress("run", "prices", "--json").stdout)["run"]
    assert ", left out" in couponpress("list").stdout, "also when another night is the latest"
    entries = [(one.act, one.run, one.door, one.why) for one in shop.context.client.audit()]
    assert entries == [
        ("schedule-start", began, "cli", ""),
        ("schedule-skip", run, "cli", ""),
        ("schedule-skip", run, "cli", "the shop is closed"),
    ]
