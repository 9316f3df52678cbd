"""The schedule file: what it may say, and one clear sentence for each thing that it says wrongly."""

from datetime import time, timedelta

import pytest

from couponpress.errors import InputError
from couponpress.nightly.schedule_file import KEYS, read_schedules

GOOD = {"cron": '"0 2 * * *"', "time_zone": '"Asia/Shanghai"', "source": '"*.csv"'}


@pytest.fixture
def reading(tmp_path):
    def read(**changes):
        keys = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
        path = tmp_path / "schedules.toml"
        path.write_text("[schedule.prices]\n" + "".join(f"{name} = {value}\n" for name, value in keys.items()), "utf-8")
        return read_schedules(path).schedules["prices"]

    return read


def test_a_schedule_of_three_lines_has_defaults(reading):
    schedule = reading()
    assert (schedule.name, schedule.cron, schedule.time_zone.key) == ("prices", "0 2 * * *", "Asia/Shanghai")
    assert (schedule.source, schedule.function, schedule.lane, schedule.diff) == (("*.csv",), None, "bulk", True)
    assert (schedule.on_overlap, schedule.on_late, schedule.deadline) == ("queue", "queue", None)
    assert (schedule.grace, schedule.strict, schedule.format, schedule.hook) == (timedelta(hours=1), False, None, None)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("deadline", '"06:00"', time(6)),
        ("deadline", "06:00:00", time(6)),
        ("deadline", '"4h"', timedelta(hours=4)),
        ("deadline", '"1h 30m"', timedelta(minutes=90)),
        ("grace", '"45 min"', timedelta(minutes=45)),
        ("grace", '"168h"', timedelta(days=7)),
        ("source", '["a/*.csv", "b.jsonl"]', ("a/*.csv", "b.jsonl")),
        ("lane", '"urgent"', "urgent"),
        ("diff", "false", False),
        ("format", '"jsonl"', "jsonl"),
        ("encoding", '"gb18030"', "gb18030"),
        ("sheet", '"五月"', "五月"),
        ("mapping", '"shop.toml"', "shop.toml"),
        ("header_row", "3", 3),
        ("skip_hidden", "true", True),
        ("empty", '"NULL"', ("NULL",)),
        ("empty", '["NULL", "-"]', ("NULL", "-")),
        ("hook", '"https://shop.example/told"', "https://shop.example/told"),
    ],
)
def test_values(reading, key, text, value):
    assert getattr(reading(**{key: text}), key) == value


def test_a_callable_is_told_from_a_file(reading):
    assert reading(source='"shop.nightly:rows"').function == "shop.nightly:rows"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"crn": '"x"'}, "'crn' is not a key of a schedule; did you mean cron? allowed are cron, time_zone, source"),
        ({"zzz": "1"}, "'zzz' is not a key of a schedule; allowed are cron"),
        ({"cron": None}, "cron: is required"),
        ({"cron": '"0 25 * * *"'}, "cron: '0 25 * * *': the hour is wrong; `\"30 2 * * *\"` is every night at 02:30"),
        ({"cron": '"0 2 * *"'}, "cron: '0 2 * *' has 4 fields; it must have five: minute hour day month weekday"),
        ({"cron": '"0 0 2 * * *"'}, "has 6 fields"),
        ({"cron": '"0 0 30 2 *"'}, "the day-of-month is wrong"),
        ({"time_zone": '"Asia/Shangai"'}, "time_zone: 'Asia/Shangai' is no time zone; did you mean Asia/Shanghai?"),
        ({"time_zone": '"../etc"'}, "is no time zone; one looks like Asia/Shanghai"),
        ({"source": "3"}, 'source: must be a file, a glob, a list of them, or a callable "package.module:function"'),
        ({"source": "[]"}, "source: must be a file"),
        ({"source": '["a.b:c", "d.csv"]'}, "source: a callable stands alone, not in a list"),
        ({"lane": '"slow"'}, "lane: must be 'urgent' or 'bulk', got 'slow'"),
        ({"header_row": "0"}, "header_row: "),
        ({"empty": "[1]"}, 'empty: must be a text such as "NULL", or a list of them'),
        ({"on_late": '"wait"'}, "on_late: must be 'queue', 'skip' or 'replace', got 'wait'"),
        ({"diff": '"yes"'}, "diff: must be a valid boolean, got 'yes'"),
        ({"deadline": '"25:00"'}, "deadline: '25:00' is no time of the day; one looks like 06:00"),
        ({"deadline": '"soon"'}, "deadline: 'soon' is neither a time of the day, such as 06:00, nor a length"),
        ({"deadline": "6"}, "deadline: must be"),
        ({"grace": '"0m"'}, "grace: '0m' is no length of time"),
        ({"grace": '"200h"'}, "grace: must be at most 168h"),
        ({"format": '"pdf"'}, "format: 'pdf' is no format; there are csv, jsonl"),
        ({"format": '"csv"', "source": '"a.b:c"'}, "format: a callable gives requests, not a file; leave it out"),
        ({"mapping": '"a.toml"', "source": '"a.b:c"'}, "mapping: a callable gives requests, not a file; leave it out"),
        ({"encoding": '"latin-1"'}, "encoding: 'latin-1' is no encoding of catalogs; they are utf-8 or gb18030"),
        ({"sheet": '""'}, "sheet: must have at least 1 character"),
        ({"mapping": "3"}, "mapping: must be"),
        ({"hook": '"shop"'}, "hook: must be an http(s) URL"),
    ],
)
def test_each_wrong_thing_has_its_sentence(reading, changes, sentence):
    with pytest.raises(InputError) as caught:
        reading(**changes)
    assert "schedules.toml cannot be used:\n  [schedule.prices] " in str(caught.value)
    assert sentence in str(caught.value)


def test_all_of_them_are_told_at_once(reading):
    with pytest.raises(InputError) as caught:
        reading(cron='"x"', time_zone='"y"', lane='"z"', more="1")
    assert [line.split()[1] for line in str(caught.value).splitlines()[1:]] == [
        "'more'",
        "cron:",
        "time_zone:",
        "lane:",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "it holds no schedule"),
        ("[schedule]\n", "it holds no schedule"),
        ("schedule = 3\n", "it holds no schedule"),
        ("[schedule]\nprices = 3\n", "[schedule.prices] is no table"),
        ("[schedules.prices]\n", "'schedules' is not a part of a schedule file; it holds tables [schedule.NAME]"),
        ('[schedule."a b"]\n', "a schedule's name is 1 to 40 letters, digits, _ or -"),
        ("[schedule.prices\n", "is no TOML: "),
    ],
)
def test_files_that_are_none(tmp_path, text, sentence):
    path = tmp_path / "schedules.toml"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_schedules(path)
    assert sentence in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(
        InputError, match=r"cannot be read .No such file or directory.; COUPONPRESS_SCHEDULE_FILE names it"
    ):
        read_schedules(tmp_path / "absent.toml")
    (tmp_path / "latin.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_schedules(tmp_path / "latin.toml")


def test_a_schedule_that_is_not_there(reading, tmp_path):
    reading()
    with pytest.raises(InputError, match=r"has no schedule 'pricse'; did you mean prices\? there are: prices\."):
        read_schedules(tmp_path / "schedules.toml").schedule("pricse")


def test_the_keys_are_told_in_the_page():
    assert KEYS[:3] == ("cron", "time_zone", "source")
