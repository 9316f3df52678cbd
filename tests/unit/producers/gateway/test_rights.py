"""What each role may do."""

from typing import get_args

from couponpress.gateway.rights import RIGHTS, Right, Role


def test_every_role_has_its_rights_and_every_right_somebody_who_has_it():
    assert set(RIGHTS) == set(get_args(Role))
    assert set().union(*RIGHTS.values()) == set(get_args(Right)) == RIGHTS["admin"]


def test_roles_grow_and_an_app_has_what_it_always_had():
    assert RIGHTS["viewer"] < RIGHTS["operator"] < RIGHTS["admin"]
    assert RIGHTS["app"] == {"read", "enqueue", "control"}
    assert not RIGHTS["viewer"] & {"enqueue", "control", "operate", "audit"}
