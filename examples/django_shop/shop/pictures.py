"""Where the shop meets couponpress: one client per process, one spec per saved coupon, and never before the commit."""

import logging
from functools import cache

from django.db import transaction

from couponpress import Client, CouponpressError
from shop.models import Coupon

log = logging.getLogger(__name__)

#: Coupons that somebody just saved, at once; and those that `send_pictures` finds without a picture.
SAVED_RUN, FOUND_RUN = "shop-saved", "shop-found"


@cache
def client() -> Client:
    """Return this process's client, made when first needed: after the web server forked its workers."""
    return Client()


def enqueue_after_commit(instance: Coupon, **_: object) -> None:
    """Ask for the picture of a coupon that has none, once it is really stored; a rollback asks for nothing."""
    if not instance.picture_url:
        transaction.on_commit(lambda: enqueue(instance))


def enqueue(coupon: Coupon) -> None:
    """Ask for one picture. Trouble must not fail the request that saved the coupon: `send_pictures` finds it later."""
    try:
        client().enqueue(coupon.picture_request(), run=SAVED_RUN)
    except CouponpressError:
        log.exception("%s is saved, and its picture is not asked for yet", coupon)
