"""A job from enqueue to its end, over the wire."""

from pathlib import Path

from mezzotint.runtime.tls import Authority
from tests.queue.wire import queue_server


async def test_a_job_goes_to_a_worker_and_its_result_to_the_watcher(data: Path, authority: Authority) -> None:
    """Ensures the whole way: accepted, leased, completed, and told to whoever watches, in order."""
    async with queue_server(data, authority) as queue:
        worker = queue.worker()
        await worker.hello(credits=1)
        job = await queue.enqueue()
        lease = await worker.lease()
        assert (lease.ref.job_id, lease.payload, lease.job.attempt) == (job.job_id, b"a red heart", 1)
        settled = await worker.complete(lease, b"a picture", cost_ms=1200)
        assert settled.accepted
        assert await queue.history(job.job_id) == ["queued", "started", "succeeded"]
