"""A million jobs that wait: how soon the real process is ready on them, after a stop and after a crash, and its memory."""

import time
from pathlib import Path

from benchmarks.queue.jobs import record
from benchmarks.queue.processes import QueueProcess
from mezzotint.queue import transitions
from mezzotint.queue.engine import Candidate
from mezzotint.queue.sqlite_engine import SqliteEngine
from mezzotint.runtime.clock import new_id

ACCOUNTS = 100_000
AT_ONCE = 2_000


async def measure(data: Path, jobs: int) -> dict[str, float]:
    """Seconds and megabytes with `jobs` waiting, which the names take to be a million."""
    empty_s, empty_mb = await seen_at_start(QueueProcess(data / "empty"))
    began = time.perf_counter()
    await fill(data / "full" / "queue", jobs)
    filled_s = time.perf_counter() - began
    queue = QueueProcess(data / "full")
    clean_s, _ = await seen_at_start(queue)
    crashed_s, full_mb = await seen_at_start(queue)
    return {
        "recovery_1m_s": crashed_s,
        "start_1m_s": clean_s,
        "rss_1m_mb": full_mb,
        "rss_job_bytes": (full_mb - empty_mb) * 1e6 / jobs,
        "start_empty_s": empty_s,
        "rss_empty_mb": empty_mb,
        "engine_enqueue_per_s": jobs / filled_s,
        "recovery_jobs": jobs,
    }


async def seen_at_start(queue: QueueProcess) -> tuple[float, float]:
    """Start it, and end it by SIGKILL once it is ready: seconds until then, and resident megabytes."""
    began = time.perf_counter()
    await queue.start()
    seconds, megabytes = time.perf_counter() - began, queue.seen.memory_info().rss / 1e6
    await queue.crash()
    return seconds, megabytes


async def fill(folder: Path, jobs: int) -> None:
    """Have `jobs` wait in the queue's database in `folder`, through its engine, and close it in good order."""
    engine = await SqliteEngine.open(folder)
    for first in range(0, jobs, AT_ONCE):
        news = [record(ACCOUNTS) for _ in range(min(AT_ONCE, jobs - first))]
        now = time.time()
        await engine.enqueue([Candidate(transitions.accept(new, new_id("job"), now), new) for new in news])
    await engine.close()
