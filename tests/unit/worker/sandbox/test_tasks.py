import pytest

from couponpress_worker.sandbox.tasks import Task, Tasks


def task(**changes):
    values = {
        "task_id": "task_1",
        "brand_id": "b",
        "kind": "COMBINE_IMAGE",
        "body": b"{}",
        "made_us": 50,
        "fails": False,
    }
    return Task(**(values | changes))


def test_a_serial_means_one_body():
    tasks = Tasks()
    assert tasks.meaning("task_1", b"{}", 1) == "new"
    tasks.add(task(authorization=1))
    assert tasks.meaning("task_1", b"{}", 2) == "doubled"
    assert tasks.meaning("task_1", b"{ }", 3) == "conflict"
    assert len(tasks) == 1
    assert tasks.find("task_1").body == b"{}"
    assert tasks.find("task_2") is None


def test_repeats_with_the_same_authorization_are_counted():
    tasks = Tasks()
    tasks.add(task(authorization=1))
    for authorization in (1, 2, 2, 3):
        assert tasks.meaning("task_1", b"{}", authorization) == "doubled"
    assert tasks.replayed == 2


@pytest.mark.parametrize(
    ("now_us", "fails", "state"),
    [(49, False, "PROCESSING"), (49, True, "PROCESSING"), (50, False, "SUCCESS"), (50, True, "FAIL")],
)
def test_states(now_us, fails, state):
    assert task(fails=fails).state_at(now_us) == state


def test_the_address_is_told_only_when_there_is_a_picture():
    known = {"brand_id": "b", "task_id": "task_1", "image_generation_type": "CUT_OUT"}
    made = task(kind="CUT_OUT")
    assert made.result_at(49, "u") == known | {"task_state": "PROCESSING"}
    assert made.result_at(50, "u") == known | {"task_state": "SUCCESS", "cut_out_result": {"image_url": "u"}}
    assert task(kind="CUT_OUT", fails=True).result_at(50, "u") == known | {"task_state": "FAIL"}
    assert task().result_at(50, "u")["combine_image_result"] == {"image_url": "u"}
