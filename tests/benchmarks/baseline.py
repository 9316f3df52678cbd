"""What people write first: Celery with one task per spec, httpx, and the moving window of `limits`.

Written to be fair: one HTTP client per process with kept connections, keys loaded once, JSON only, results ignored,
the same signing as the fleet's. Celery's defaults elsewhere: prefork, and an attempt that is throttled or fails waits
and tries again.
"""

import os
import time
from functools import cache

import httpx
from celery import Celery
from limits import parse
from limits.storage import storage_from_string
from limits.strategies import MovingWindowRateLimiter

from couponpress_worker.settings import Secrets, Settings
from couponpress_worker.wechatpay.client import SUBMIT_TARGET
from couponpress_worker.wechatpay.signing import Signer, new_nonce

#: What gets the most out of it on two cores, of the pools and sizes that were tried (8 and 32 processes, 64 threads).
PROCESSES = 32
#: `hit` says only yes or no, so whoever was refused asks again after so long.
POLL_SECONDS = 0.02
LIMIT = parse("500/second")

app = Celery("baseline", broker=os.environ.get("COUPONPRESS_REDIS_URL"), set_as_current=False)
app.conf.update(task_default_queue="baseline", task_ignore_result=True, broker_connection_retry_on_startup=True)


@cache
def platform():
    """Return this process's signer, HTTP client and limiter, made when first used: after the fork."""
    settings = Settings.load()
    signer = Signer(settings.mchid, settings.mch_serial_no, Secrets.read(settings).private_key)
    verify = httpx.create_ssl_context(verify=str(settings.ca_file)) if settings.ca_file else True
    http = httpx.Client(base_url=settings.base_url, verify=verify, trust_env=False, timeout=10)
    limiter = MovingWindowRateLimiter(storage_from_string(settings.redis_url))
    return settings, signer, http, limiter


@app.task(bind=True, max_retries=None)
def submit(self, body: str) -> None:
    """Submit one spec, once the limiter says yes."""
    settings, signer, http, limiter = platform()
    while not limiter.hit(LIMIT, "submit"):
        time.sleep(POLL_SECONDS)
    content = body.encode()
    headers = {
        "Authorization": signer.authorization(
            "POST", SUBMIT_TARGET, content, timestamp=int(time.time()), nonce=new_nonce()
        ),
        "Accept": "application/json",
        "Content-Type": "application/json",
        "User-Agent": "baseline",
        "Wechatpay-Serial": settings.wechatpay_public_key_id,
    }
    try:
        answer = http.post(SUBMIT_TARGET, content=content, headers=headers)
    except httpx.TransportError as error:
        raise self.retry(exc=error, countdown=1) from error
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        raise self.retry(countdown=1)
    answer.raise_for_status()
