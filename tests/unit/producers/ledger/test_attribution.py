"""Who acts, and why."""

import pytest

from couponpress.errors import InputError
from couponpress.ledger.attribution import WHY_LENGTH, Actor, checked_why, this_user


def test_an_actor_is_shown_with_door_and_address():
    assert Actor("cli", "li", "ops-1").shown == "li (cli, ops-1)"
    assert Actor("gateway", "shop").shown == "shop (gateway)"


def test_an_actor_comes_back_as_it_was_stored():
    actor = Actor("console", "ops", "10.0.0.7")
    assert Actor.read(actor.stored()) == actor


def test_the_user_of_this_machine_has_a_name_and_a_machine():
    actor = this_user("cli")
    assert (actor.door, bool(actor.name), bool(actor.address)) == ("cli", True, True)


def test_a_user_without_a_name_is_told_by_number(monkeypatch):
    def nobody():
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert this_user("client").name.startswith("uid ")


def test_a_reason_is_one_line_of_bounded_length():
    assert checked_why("  维护  ") == "维护"
    for wrong in ("two\nlines", "x" * (WHY_LENGTH + 1), "\x1b[31m"):
        with pytest.raises(InputError):
            checked_why(wrong)
