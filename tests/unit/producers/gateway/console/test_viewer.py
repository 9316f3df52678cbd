"""Who may see and do what."""

import pytest

from couponpress.gateway.console.viewer import ROLES, Viewer
from couponpress.gateway.rights import Token


def viewer(role="viewer", brands=None, namespace="*"):
    return Viewer(Token("li", b"", brands, None, namespace, role), "127.0.0.1")


@pytest.mark.parametrize("has", ROLES)
@pytest.mark.parametrize("needs", ROLES)
def test_a_role_may_what_those_before_it_may(has, needs):
    assert viewer(has).may(needs) == (ROLES.index(has) >= ROLES.index(needs))


def test_an_apps_token_may_nothing_here():
    assert not any(viewer("app").may(role) for role in ROLES)


def test_brands():
    every, some = viewer(), viewer(brands=frozenset({"1"}))
    assert (every.sees_all, every.sees_brand("1"), every.sees_brand("2")) == (True, True, True)
    assert (some.sees_all, some.sees_brand("1"), some.sees_brand("2")) == (False, True, False)
    assert not viewer(namespace="shop").sees_all


def test_acts_are_told_as_the_consoles():
    assert viewer().actor.shown == "li (console, 127.0.0.1)"
