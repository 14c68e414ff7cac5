"""Callers, a worker and watchers of one life of a server, who write down whatever they are told."""

from __future__ import annotations

import asyncio
import contextlib
import random

import grpc

from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.runtime import statuses
from tests.queue.kill.journal import Journal
from tests.queue.wire import Caller, completing, within

CALLERS, WATCHERS, CREDIT = 6, 3, 4
FINAL = {"succeeded", "failed", "cancelled", "expired"}
Ref = tuple[str, int]


class Load:
    """Everything that is done to one server until it is killed. `held` are leases that a worker of an earlier life had."""

    def __init__(self, queue: Caller, journal: Journal, random_: random.Random, held: set[Ref]) -> None:
        self.held = held
        self._queue, self._journal, self._random = queue, journal, random_
        self._worker = queue.worker()
        self._results: dict[Ref, bytes] = {}
        self._accepted, self._settled = asyncio.Event(), asyncio.Event()

    async def connect(self) -> None:
        """Connect the worker; it asks for what it held, and for some leases that are over, which it must not get."""
        over = set(self._random.sample(sorted(self._journal.over), min(5, len(self._journal.over))))
        await within(self._queue.channel.channel_ready())
        welcome = await within(self._worker.hello(*map(ref_message, self.held | over), credit=CREDIT))
        granted = {(ref.job_id, ref.fencing_token) for ref in welcome.held}
        assert granted <= self.held, f"leases that are over came back: {granted - self.held}"
        self.held = granted

    async def run(self) -> None:
        """Until the server is gone."""
        calls = [self._enqueue() for _ in range(CALLERS)] + [self._watch() for _ in range(WATCHERS)]
        others = asyncio.gather(self._cancel(), *calls)
        await self._work()
        others.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await others

    async def some_way(self) -> None:
        """Wait for nothing, for the first job that is accepted, or for the first lease that ends, whichever chance wants."""
        choice = self._random.choice([None, self._accepted, self._settled])
        if choice:
            await choice.wait()

    async def _enqueue(self) -> None:
        try:
            while True:
                request_id = f"r{self._random.getrandbits(64):x}"
                job = await self._queue.enqueue(request_id)
                self._journal.accepted(request_id, job.job_id)
                self._accepted.set()
        except grpc.RpcError:
            self._accepted.set()

    async def _cancel(self) -> None:
        await self._accepted.wait()
        while jobs := list(self._journal.requests):
            job_id = self._random.choice(jobs)
            try:
                await self._queue.cancel(job_id)
                self._journal.ended(job_id, "cancelled")
            except grpc.RpcError as error:
                if statuses.from_call(error).reason != "JOB_FINISHED":
                    return

    async def _watch(self) -> None:
        await self._accepted.wait()
        with contextlib.suppress(grpc.RpcError):
            while jobs := list(self._journal.touched):
                job_id = self._random.choice(jobs)
                watch = self._queue.watch(job_id)
                async for response in watch:
                    note(self._journal, job_id, response.event)
                    if self._random.random() < 0.2:
                        break
                watch.cancel()

    async def _work(self) -> None:
        """End jobs in every way that there is, and keep some."""
        # Writing to a call that has just ended with its server is an InvalidStateError.
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            for ref in sorted(self.held):
                await self._end(ref)
            while (response := await self._worker.call.read()) is not grpc.aio.EOF:
                for lease in response.leases.leases:
                    ref = (lease.ref.job_id, lease.ref.fencing_token)
                    self._journal.leased(*ref)
                    self.held.add(ref)
                    await self._end(ref)
                for settlement in response.settled.settlements:
                    self._settle(settlement)
                    await self._worker.send(credit=work_pb2.Credit(jobs=1))

    async def _end(self, ref: Ref) -> None:
        choice, lease = self._random.random(), ref_message(ref)
        if choice < 0.6:
            self._results[ref] = f"result of {ref}".encode()
            await self._worker.send(completions=completing(work_pb2.Complete(lease=lease, result=self._results[ref])))
        elif choice < 0.8:
            failure = job_pb2.Failure(failure_class=job_pb2.FAILURE_CLASS_RETRYABLE, reason="JOB_FAILED", message="it broke")
            await self._worker.send(fail=work_pb2.Fail(lease=lease, failure=failure))
        elif choice < 0.9:
            await self._worker.send(hand_back=work_pb2.HandBack(lease=lease))

    def _settle(self, settlement: work_pb2.Settlement) -> None:
        ref = (settlement.lease.job_id, settlement.lease.fencing_token)
        self.held.discard(ref)
        if settlement.accepted:
            self._journal.settled(*ref)
            self._settled.set()
            if ref in self._results:
                self._journal.ended(ref[0], "succeeded", self._results[ref])


def note(journal: Journal, job_id: str, event: job_pb2.JobEvent) -> None:
    """Write down a state event that was seen."""
    name = str(event.WhichOneof("event"))
    if name != "progress":
        journal.watched(job_id, event.sequence, name)
    if name in FINAL:
        journal.ended(job_id, name, event.succeeded.result)


def ref_message(ref: Ref) -> work_pb2.LeaseRef:
    """A lease's name."""
    return work_pb2.LeaseRef(job_id=ref[0], fencing_token=ref[1])
