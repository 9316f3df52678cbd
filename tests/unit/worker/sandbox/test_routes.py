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


@pytest.mark.parametrize(
    ("method", "path", "call"),
    [
        ("POST", "/brand/marketing/product-coupon/image-generation-tasks", Call("submit")),
        ("GET", "/brand/marketing/product-coupon/image-generation-tasks/task_1", Call("query", "task_1")),
        ("POST", "/brand/marketing/product-coupon/media/upload-image", Call("upload")),
        ("GET", "/brand/marketing/product-coupon/notify-configs", Call("notify_shown")),
    ],
)
def test_a_brand_has_calls_of_its_own_that_a_partner_has_not(method, path, call):
    assert routes.find(method, path, brand=True) == call
    assert routes.find(method, path).status == 404


@pytest.mark.parametrize("path", [TASKS, "/v3/security/echo", "/v3/certificates"])
def test_a_partner_s_calls_are_not_a_brand_s(path):
    assert routes.find("POST", path, brand=True).status == 404


def test_a_wrong_method_is_told_the_right_ones():
    assert routes.find("PUT", "/v3/marketing/partner/product-coupon/notify-configs").headers == (
        (b"allow", b"GET, POST"),
    )
