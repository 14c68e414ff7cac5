"""The queue over the real wire: a running server, calls on it, and a small worker that speaks the real stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from mezzotint.api.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc, work_pb2
from mezzotint.queue.app import run
from mezzotint.queue.settings import QueueSettings
from mezzotint.runtime import statuses
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import MezzotintError
from mezzotint.runtime.tls import Authority
from tests.support.serving import connect, serving

GUARD_SECONDS = 20
Value = TypeVar("Value")


def settings(data: Path, **changes: Any) -> QueueSettings:
    """Settings with times short enough for tests."""
    values: dict[str, Any] = {
        "data": data,
        "port": 0,
        "metrics_port": 0,
        "heartbeat_seconds": 0.1,
        "lease_seconds": 0.6,
        "grace_seconds": 0.4,
        "backoff_seconds": 0.05,
        "drain_seconds": 1.0,
        "place_seconds": 0.02,
        "tick_seconds": 0.02,
    }
    return QueueSettings(**(values | changes))


class Caller:
    """The queue as the gateway and workers see it."""

    def __init__(self, port: int, authority: Authority) -> None:
        self.port = port
        self.stopping = asyncio.Event()
        self.channel = connect(authority, port, "queue", identity="gateway")
        self.worker_channel = connect(authority, port, "queue", identity="inference")
        self.stub = queue_pb2_grpc.QueueServiceStub(self.channel)

    async def enqueue(self, request_id: str = "r1", **fields: Any) -> job_pb2.Job:
        """Enqueue a job and give it as accepted."""
        response = await self.stub.EnqueueJob(queue_pb2.EnqueueJobRequest(job=new_job(request_id, **fields)))
        return response.job

    async def get(self, job_id: str) -> job_pb2.Job:
        """A job as it stands."""
        return (await self.stub.GetJob(queue_pb2.GetJobRequest(job_id=job_id))).job

    async def cancel(self, job_id: str, reason: str = "no more needed") -> job_pb2.Job:
        """Cancel a job."""
        return (await self.stub.CancelJob(queue_pb2.CancelJobRequest(job_id=job_id, reason=reason))).job

    def watch(self, job_id: str, after: int = 0) -> Any:
        """The stream of a job's events."""
        return self.stub.WatchJob(queue_pb2.WatchJobRequest(job_id=job_id, after_sequence=after))

    async def history(self, job_id: str) -> list[str]:
        """The names of a job's state events until its end; repeated places are left out."""
        seen: dict[int, str] = {}
        async for response in self.watch(job_id):
            event = response.event
            if event.WhichOneof("event") != "progress":
                seen.setdefault(event.sequence, str(event.WhichOneof("event")))
        return [seen[sequence] for sequence in sorted(seen)]

    def worker(self, worker_id: str = "w1", kinds: tuple[str, ...] = ("image.generate",)) -> Worker:
        """A worker that is not connected yet."""
        return Worker(self, worker_id, kinds)

    async def result(self, job_id: str) -> bytes:
        """A job's result."""
        return (await self.stub.GetJob(queue_pb2.GetJobRequest(job_id=job_id))).result

    def stats(self, interval: float) -> Any:
        """The stream of statistics."""
        request = queue_pb2.WatchStatsRequest()
        request.interval.FromMilliseconds(round(interval * 1000))
        return self.stub.WatchStats(request)

    def stop(self) -> None:
        """Tell the server to stop, as SIGTERM would."""
        self.stopping.set()

    async def close(self) -> None:
        """Hang up."""
        await self.channel.close()
        await self.worker_channel.close()


class Worker:
    """One worker stream, driven by the test."""

    def __init__(self, caller: Caller, worker_id: str, kinds: tuple[str, ...]) -> None:
        self.worker_id = worker_id
        self.kinds = kinds
        self.call: Any = queue_pb2_grpc.QueueServiceStub(caller.worker_channel).Work()  # type: ignore[no-untyped-call, unused-ignore]  # grpc's stubs
        self.pending: list[work_pb2.Lease] = []
        self.answers: list[work_pb2.Settlement] = []

    async def hello(self, *held: work_pb2.LeaseRef, credit: int = 0, slots: int = 0) -> work_pb2.Welcome:
        """Say Hello, get Welcome, grant credit."""
        await self.send(hello=work_pb2.Hello(worker_id=self.worker_id, kinds=self.kinds, held=held, slots=slots))
        welcome: work_pb2.Welcome = await self.expect("welcome")
        if credit:
            await self.send(credit=work_pb2.Credit(jobs=credit))
        return welcome

    async def send(self, **message: Any) -> None:
        """Send one message."""
        await self.call.write(work_pb2.WorkRequest(**message))

    async def expect(self, name: str) -> Any:
        """The next message, which must be of this name."""
        response = await within(self.call.read())
        assert response is not grpc.aio.EOF, f"the stream ended where {name} was expected"
        assert response.WhichOneof("message") == name, f"{name} was expected, got {response}"
        return getattr(response, name)

    async def lease(self) -> work_pb2.Lease:
        """The next lease."""
        if not self.pending:
            self.pending = list((await self.expect("leases")).leases)
        return self.pending.pop(0)

    async def complete(self, lease: work_pb2.Lease, result: bytes = b"done", cost_ms: int = 0) -> work_pb2.Settlement:
        """Complete a lease and give the answer."""
        await self.send(completions=completing(work_pb2.Complete(lease=lease.ref, result=result, cost_ms=cost_ms)))
        return await self.settled()

    async def fail(self, lease: work_pb2.Lease, failure_class: Any, reason: str = "JOB_FAILED") -> work_pb2.Settlement:
        """Fail a lease and give the answer."""
        failure = job_pb2.Failure(failure_class=failure_class, reason=reason, message="it broke")
        await self.send(fail=work_pb2.Fail(lease=lease.ref, failure=failure))
        return await self.settled()

    async def settled(self) -> work_pb2.Settlement:
        """The next answer to the end of a lease."""
        if not self.answers:
            self.answers = list((await self.expect("settled")).settlements)
        return self.answers.pop(0)

    async def beat(self, *held: work_pb2.LeaseRef) -> None:
        """Send a heartbeat that names these leases."""
        await self.send(heartbeat=work_pb2.Heartbeat(held=held))

    async def vanish(self) -> None:
        """Break the stream as a killed worker would."""
        self.call.cancel()

    async def leave(self) -> None:
        """Close the stream in order and see it end well."""
        await self.call.done_writing()
        assert await within(self.call.read()) is grpc.aio.EOF


def new_job(request_id: str = "r1", **fields: Any) -> queue_pb2.NewJob:
    """A job, with some fields changed."""
    values: dict[str, Any] = {
        "account_id": "acct_1",
        "tier": "free",
        "kind": "image.generate",
        "payload": b"a red heart",
        "cost_ms": 1000,
    }
    return queue_pb2.NewJob(request_id=request_id, **(values | fields))


def completing(*completions: work_pb2.Complete) -> work_pb2.Completions:
    """Jobs are done."""
    return work_pb2.Completions(completions=completions)


async def within(awaitable: Awaitable[Value], seconds: float = GUARD_SECONDS) -> Value:
    """What an awaitable gives; a guard so that a broken test ends."""
    return await asyncio.wait_for(awaitable, seconds)


async def refused(call: Awaitable[Any]) -> MezzotintError:
    """The error that a call fails with."""
    try:
        await within(call)
    except grpc.RpcError as error:
        return statuses.from_call(error)
    raise AssertionError("the call did not fail")


async def refusal(call: Awaitable[Any]) -> str:
    """The reason a call fails with."""
    return (await refused(call)).reason


@asynccontextmanager
async def queue_server(data: Path, authority: Authority, clock: Clock | None = None, **changes: Any) -> AsyncIterator[Caller]:
    """A running queue on `data`, and calls on it. `Caller.stop` stops it before the block ends."""
    stops: list[asyncio.Event] = []

    async def start(chosen: QueueSettings, stop: asyncio.Event, started: Callable[[int], None]) -> None:
        stops.append(stop)
        await run(chosen, stop, started, clock=clock)

    async with serving(start, settings(data, **changes)) as port:
        caller = Caller(port, authority)
        caller.stopping = stops[0]
        try:
            yield caller
        finally:
            await caller.close()
