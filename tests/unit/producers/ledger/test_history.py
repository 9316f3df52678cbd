"""Packed events are read back, those of one spec out of its chunk's, and no more than are shown."""

import pytest

from couponpress.ledger.history import EVENTS_SHOWN, SpecEvent, made_at_ms, read_events

MADE = b"1700000000.250000"
BY = {"fleet": 0, "submit": 1, "callback": 2, "query": 3, "person": 4}


def packed(position, letter, by, ms, told=b""):
    """One event as note_event.lua packs it."""
    moment = bytearray()
    while True:
        ms, low = divmod(ms, 128)
        moment.append(low + 128 if ms else low)
        if not ms:
            return bytes([position, 32 + "wylpasfrxcqd+".index(letter) * 6 + BY[by]]) + bytes(moment) + told


@pytest.mark.parametrize("ms", [0, 127, 128, 16_384, 40 * 86_400_000])
def test_a_moment_of_any_size_counts_from_when_the_chunk_was_made(ms):
    found = read_events([packed(3, "r", "submit", ms, b"NO_AUTH\x1f08AB-0")], 3, MADE)
    assert found.shown == (SpecEvent((1_700_000_000_250 + ms) / 1000, "rejected", "submit", "NO_AUTH", "08AB-0"),)


def test_microseconds_are_stored_without_zeros_before_them():
    assert made_at_ms(b"1700000000.9000") == 1_700_000_000_009
    assert made_at_ms(b"") == 0


def test_a_spec_has_its_own_events_only():
    stored = [packed(0, "a", "submit", 1), packed(1, "y", "submit", 2, b"SYSTEM_ERROR"), packed(0, "f", "callback", 3)]
    assert [event.event for event in read_events(stored, 0, MADE).shown] == ["accepted", "failed"]
    assert [event.code for event in read_events(stored, 1, MADE).shown] == ["SYSTEM_ERROR"]
    assert read_events(stored, 2, MADE).shown == ()


def test_the_id_of_the_answer_that_accepted_a_spec_comes_from_where_it_is_kept():
    accepted = packed(0, "a", "submit", 1)
    open_one = read_events([accepted], 0, MADE, "08CD-0")
    failed = read_events([accepted, packed(0, "f", "callback", 2, b"FAIL\x1fnotice-1\x1f08CD-0")], 0, MADE)
    assert [event.request_id for event in open_one.shown] == ["08CD-0"]
    assert [(event.request_id, event.notice_id) for event in failed.shown] == [("08CD-0", ""), ("", "notice-1")]


@pytest.mark.parametrize("rest", ["-0", "", "A-270924289", "ab 中"])
def test_a_packed_id_is_unpacked(rest):
    id_of_answer = b"\x1f\x1f\x1f" + b"\x04\x08\x1f\x1f\x00" + rest.encode()
    found = read_events(
        [packed(0, "a", "submit", 1, id_of_answer), packed(0, "s", "callback", 2, b"\x1f\x1f\xab\x00")], 0, MADE
    )
    assert [event.request_id for event in found.shown] == ["081F1F00" + rest, ""]


def test_a_plain_callback_keeps_the_last_digits_of_its_id():
    found = read_events([packed(0, "s", "callback", 9, bytes.fromhex("1f1fab00"))], 0, MADE)
    assert found.shown[0].notice_id == "…1f1fab00"


def test_the_last_events_are_shown_and_the_older_ones_counted():
    stored = [bytes([0, 32 + 12 * 6, 0]) + b"7"] + [packed(0, "q", "query", ms) for ms in range(EVENTS_SHOWN + 5)]
    found = read_events(stored, 0, MADE)
    assert (len(found.shown), found.older) == (EVENTS_SHOWN, 12)
    assert found.shown[-1].at == pytest.approx(1_700_000_000.250 + (EVENTS_SHOWN + 4) / 1000)
