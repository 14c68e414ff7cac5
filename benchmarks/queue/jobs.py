"""The jobs that the benchmarks enqueue: about 300 bytes on the wire, of accounts in all tiers."""

from itertools import count

from mezzotint.api.queue.v1 import queue_pb2
from mezzotint.queue.encoding import new_job
from mezzotint.queue.job import NewJob
from mezzotint.runtime.clock import new_id

KIND = "image.generate"
TIERS = ("free", "plus", "pro", "enterprise")
ACCOUNTS = 1000
PAYLOAD_BYTES = 220
_numbers = count()


def job(payload: bytes = b"", accounts: int = ACCOUNTS) -> queue_pb2.NewJob:
    """A job with a request id of its own."""
    number = next(_numbers) % accounts
    return queue_pb2.NewJob(
        request_id=new_id("req"),
        account_id=f"acct_{number:022d}",
        tier=TIERS[number % len(TIERS)],
        kind=KIND,
        payload=payload.ljust(PAYLOAD_BYTES, b"."),
        cost_ms=1000,
    )


def record(accounts: int = ACCOUNTS) -> NewJob:
    """The same as the queue sees it once it is decoded."""
    return new_job(job(accounts=accounts))
