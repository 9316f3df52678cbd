"""The trees drawn in the docstrings are the trees of the code, and every error says something."""

import importlib
import inspect
import pkgutil
import re

import pytest

import couponpress
import couponpress.errors
import couponpress_worker
import couponpress_worker.errors
from couponpress import CouponpressError
from couponpress.errors import ConflictError, Problem, RedisUnavailableError, SpecError, UnknownRunError

TREES = [couponpress.errors, couponpress_worker.errors]


def drawn_tree(docstring):
    """The parent of each class that a docstring draws; None for the root."""
    parents, path = {}, []
    for line in docstring.splitlines():
        found = re.match(r"(?P<branch>[│├└─ ]*)(?P<name>\w+Error)\b", line)
        if found is None or (path and not found["branch"]):
            continue
        depth = len(found["branch"]) // 4
        del path[depth:]
        parents[found["name"]] = path[-1] if path else None
        path.append(found["name"])
    return parents


def real_tree(module):
    """The parent of each error that a module defines, and the root above them."""
    errors = [one for _, one in inspect.getmembers(module, inspect.isclass) if one.__module__ == module.__name__]
    errors = [one for one in errors if issubclass(one, Exception)]
    return {CouponpressError.__name__: None} | {
        one.__name__: one.__base__.__name__ for one in errors if one is not CouponpressError
    }


def every_error():
    """Every error class of both packages, wherever it is defined."""
    for package in (couponpress, couponpress_worker):
        for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            if not found.name.endswith("__main__"):
                importlib.import_module(found.name)
    known, more = set(), [CouponpressError]
    while more:
        one = more.pop()
        known.add(one)
        more += [sub for sub in one.__subclasses__() if sub.__module__.startswith("couponpress")]
    return known


@pytest.mark.parametrize("module", TREES, ids=lambda module: module.__name__)
def test_the_drawn_tree_is_the_real_one(module):
    assert drawn_tree(module.__doc__) == real_tree(module)


def test_no_error_is_defined_outside_the_drawn_trees():
    # SlotsClosedError is a signal between two modules of the fleet; it never reaches a person.
    outside = {one.__name__ for one in every_error() if one.__module__ not in {module.__name__ for module in TREES}}
    assert outside <= {"SlotsClosedError"}


@pytest.mark.parametrize("error", sorted(every_error(), key=lambda error: error.__name__), ids=lambda one: one.__name__)
def test_every_error_has_a_sentence_of_its_own(error):
    first_line = (error.__dict__.get("__doc__") or "").splitlines()[0]
    assert re.fullmatch(r"[A-Z][^\n]{10,}\.", first_line)


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("abc-000001", "may"),
        UnknownRunError("may"),
        RedisUnavailableError("redis://h:1/0", "refused"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_tells_a_person_what_to_do(error):
    told = str(error)
    assert told.endswith(".")
    assert re.search(r"couponpress status|COUPONPRESS_REDIS_URL|another task_id|--run NAME", told)


def test_a_spec_error_names_every_problem():
    told = str(SpecError((Problem("task_id", "is required"), Problem("brand_id", "is wrong", "x y"))))
    assert told == "task_id: is required; brand_id: is wrong (got 'x y')"


def test_a_problem_shows_a_long_value_cut():
    told = str(Problem("image_url", "is wrong", "x" * 1000))
    assert len(told) < 130
    assert told.endswith("...)")


@pytest.mark.parametrize("value", [0, "", False], ids=repr)
def test_a_problem_shows_a_value_that_is_false(value):
    assert str(Problem("threshold", "is wrong", value)) == f"threshold: is wrong (got {value!r})"


def test_a_conflict_names_the_task_and_the_run_that_knows_it():
    error = ConflictError("abc-000001", "may")
    assert (error.task_id, error.known_run) == ("abc-000001", "may")
    assert "abc-000001" in str(error)
    assert "'may'" in str(error)


def test_the_url_of_an_unreachable_redis_is_told_with_its_cause():
    told = str(RedisUnavailableError("redis://***@h:1/0", "Connection refused"))
    assert "redis://***@h:1/0" in told
    assert "Connection refused" in told
