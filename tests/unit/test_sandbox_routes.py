import pytest

from couponpress_worker.sandbox import routes
from couponpress_worker.sandbox.routes import Call

TASKS = "/v3/marketing/partner/product-coupon/image-generation-tasks"


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("POST", TASKS, Call("submit")),
        ("GET", TASKS + "/task_1", Call("query", "task_1")),
        ("POST", "/v3/marketing/partner/product-coupon/media/upload-image", Call("upload")),
        ("GET", "/v3/marketing/partner/product-coupon/notify-configs", Call("notify_shown")),
        ("POST", "/v3/marketing/partner/product-coupon/notify-configs", Call("notify_set")),
        ("POST", "/v3/security/echo", Call("echo")),
        ("GET", "/v3/certificates", Call("certificates")),
    ],
)
def test_calls_that_exist(method, path, call):
    assert routes.find(method, path) == call


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", TASKS, 405),
        ("POST", TASKS + "/task_1", 405),
        ("DELETE", "/v3/certificates", 405),
        ("POST", TASKS + "/", 404),
        ("GET", TASKS + "/task_1/more", 404),
        ("POST", "/v3/marketing/product-coupon/image-generation-tasks", 404),
        ("GET", "/", 404),
        ("POST", "", 404),
    ],
)
def test_calls_that_do_not(method, path, status):
    assert routes.find(method, path).status == status


def test_a_wrong_method_is_told_the_right_ones():
    assert routes.find("PUT", "/v3/marketing/partner/product-coupon/notify-configs").headers == (
        (b"allow", b"GET, POST"),
    )
