import pytest
from pydantic import TypeAdapter

from couponpress.errors import InputError
from couponpress_worker.sandbox.options import Behaviour, SandboxOptions


def test_only_what_is_named_changes_inside_faults_too():
    before = Behaviour().changed({"limit": 10, "faults": {"errors": 5}})
    after = before.changed({"faults": {"silence": 1}, "latency_ms": 50})
    assert (after.limit, after.latency_ms, after.faults.errors, after.faults.silence) == (10, 50, 5, 1)
    assert before.latency_ms == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"limt": 10}, "limt"),
        ({"limit": -1}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"faults": {"errors": 200}}, "faults.errors"),
        ({"faults": {"oops": 1}}, "faults.oops"),
        ({"faults": 5}, "faults"),
        ({"notify_url": "ftp://127.0.0.1/x"}, "notify_url"),
        ({"notify_url": "http://127.0.0.1/x?y=1"}, "notify_url"),
    ],
)
def test_a_wrong_change_is_named(changes, named):
    with pytest.raises(InputError, match=named):
        Behaviour().changed(changes)


def test_the_options_survive_their_way_into_another_process(tmp_path):
    options = SandboxOptions(
        directory=tmp_path,
        more_ports=(8901, 8902),
        tls=True,
        seed=3,
        behaviour=Behaviour(limit=7, unauthorized_brands=("b",), faults={"slow": 2}),
    )
    adapter = TypeAdapter(SandboxOptions)
    assert adapter.validate_json(adapter.dump_json(options)) == options
