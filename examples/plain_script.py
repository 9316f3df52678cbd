"""Asks for the head pictures of three offers and prints each one's URL when it is there.

Run it where COUPONPRESS_REDIS_URL and COUPONPRESS_MCHID are set: python examples/plain_script.py [RUN]
"""

import sys
from collections.abc import Iterator

from couponpress import Client, CombineImage, CouponpressError, NormalCoupon, TaskSpec

#: Row id, brand, from how many cents on, how many cents off.
OFFERS = [("SP-1", "120344", 10_000, 1_000), ("SP-2", "120344", 20_000, 3_000), ("SP-3", "120345", 0, 500)]


def specs() -> Iterator[TaskSpec]:
    """Yield one spec per offer; a generator is fine for a million."""
    for row_id, brand_id, threshold, discount in OFFERS:
        rule = NormalCoupon(threshold=threshold, discount_amount=discount)
        yield TaskSpec(
            row_id=row_id,
            brand_id=brand_id,
            image_generation_type="COMBINE_IMAGE",
            combine_image=CombineImage(scope="ALL", type="NORMAL", usage_mode="SINGLE", normal_coupon=rule),
        )


def main(run: str) -> int:
    """Enqueue, then follow the run to its end; returns the exit code."""
    try:
        with Client() as client:
            receipt = client.enqueue_many(specs(), run=run)
            print(f"{receipt.new} new, {receipt.known} known already")
            for outcome in client.outcomes(run, follow=True):
                print(outcome.row_id, outcome.outcome, outcome.image_url or f"{outcome.code} {outcome.message}")
            return 0 if client.run(run).succeeded == len(OFFERS) else 1
    except CouponpressError as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "plain-script"))
