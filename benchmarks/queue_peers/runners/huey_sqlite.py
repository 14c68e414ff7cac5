"""huey on SQLite, told to fsync each commit. A worker takes a task by deleting it, so a worker that crashes loses it."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version

from huey import SqliteHuey  # type: ignore[import-not-found, unused-ignore]  # in the peer's own environment
from huey.consumer import Consumer  # type: ignore[import-not-found, unused-ignore]  # likewise

from benchmarks.queue_peers.runners.workload import Done, beside, report, workload

# SQLite takes one writer at a time: more threads only wait for its lock.
CALLERS = 4
WORKERS = 2
load = workload()
done = Done(load)
huey = SqliteHuey(filename=str(load.folder / "huey.db"), fsync=True, results=False, timeout=60)


@huey.task()  # type: ignore[untyped-decorator, unused-ignore]  # huey has no types
def nothing(payload: str) -> None:
    """The job."""
    done.one()


def enqueue(jobs: int) -> float:
    """Jobs a second, one a call."""
    began = time.perf_counter()
    with ThreadPoolExecutor(CALLERS) as callers:
        list(callers.map(lambda _: nothing(load.payload), range(jobs)))
    return jobs / (time.perf_counter() - began)


def main() -> None:
    """Measure, or be the worker."""
    if load.role:
        Consumer(huey, workers=WORKERS, periodic=False, initial_delay=0.002, max_delay=0.01).run()
        return
    enqueue_per_s = enqueue(load.jobs)
    worker = subprocess.Popen(beside(__spec__.name, load, "worker"))
    try:
        done.wait(load.jobs)
        began = time.perf_counter()
        enqueue(load.jobs)
        lifecycle_per_s = load.jobs / (done.wait(2 * load.jobs) - began)
    finally:
        worker.kill()
        worker.wait()
    report(enqueue_per_s=enqueue_per_s, lifecycle_per_s=lifecycle_per_s, version=f"huey {version('huey')}")


if __name__ == "__main__":
    main()
