"""Those around the queue: accounts that ask, ask again and change their mind, and workers on a bad network."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.engine import StoreUnavailable
from mezzotint.queue.job import NewJob
from mezzotint.queue.work_stream import WorkStream
from mezzotint.runtime.errors import JobFinished, MezzotintError
from tests.queue.simulation.world import World

KINDS = ("image.generate", "image.edit")


class Account:
    """Sends jobs now and then; retries what was not answered, and cancels some."""

    def __init__(self, world: World, tier: str, name: str, generator: random.Random) -> None:
        self._world = world
        self._tier = tier
        self._name = name
        self._random = generator
        self._sent = 0

    async def live(self, pause: float, burst: int) -> None:
        """Send bursts of jobs with pauses between, for ever."""
        while True:
            await asyncio.sleep(self._random.expovariate(1 / pause))
            for _ in range(self._random.randint(1, burst)):
                await self._ask()

    async def _ask(self) -> None:
        self._sent += 1
        scale, now = self._world.times.scale, self._world.clock.now()
        within = self._random.choice((20.0, 5000.0)) * scale
        later = now + self._random.uniform(0, 30) * scale if self._random.random() < 0.1 else 0.0
        cost = self._random.choice((500, 1000, 3000))
        kind = self._random.choice(KINDS)
        new = NewJob(f"r{self._sent}", self._name, self._tier, kind, b"", round(cost * scale), within, 4, not_before=later)
        job_id = await self._insist(new)
        if self._random.random() < 0.15:
            await asyncio.sleep(self._random.uniform(0, 6) * scale)
            await self._cancel(job_id)

    async def _insist(self, new: NewJob) -> str:
        """Ask until there is an answer, and sometimes once more although there was one."""
        answers: list[str] = []
        while not answers or (len(answers) == 1 and self._random.random() < 0.2):
            await self._world.up.wait()
            try:
                kept = await self._world.floor.intake.enqueue(new)
            except StoreUnavailable:
                continue
            self._world.witness.acknowledged(kept.job)
            answers.append(kept.job.job_id)
        assert len(set(answers)) == 1, "I2: one request made two jobs"
        return answers[0]

    async def _cancel(self, job_id: str) -> None:
        await self._world.up.wait()
        clock, ledger = self._world.clock, self._world.floor.ledger
        try:
            await ledger.change(job_id, lambda job: transitions.cancel(job, "changed my mind", clock.now()))
        except JobFinished:
            won = self._world.witness.jobs[job_id].state.name == "CANCELLED"
            self._world.witness.told_cancelled(job_id, won)
        except StoreUnavailable:
            return
        else:
            self._world.witness.told_cancelled(job_id, True)


class Machine:
    """A worker: does jobs, loses its stream, stalls, sends things twice, late and out of order, and dies."""

    def __init__(self, world: World, name: str, generator: random.Random, chaos: float) -> None:
        self._world = world
        self._name = name
        self._random = generator
        self.chaos = chaos
        self.slots = 2
        self._held: dict[tuple[str, int], work_pb2.LeaseRef] = {}
        self._unsent: list[work_pb2.WorkRequest] = []
        self._completed: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._outgoing: asyncio.Queue[work_pb2.WorkRequest] = asyncio.Queue()

    async def live(self) -> None:
        """Connect, work until the stream is over, and again, for ever."""
        while True:
            await self._world.up.wait()
            if self._random.random() < self.chaos:
                self._held.clear()
                self._unsent.clear()
            self._outgoing = asyncio.Queue()
            stream = WorkStream(self._world.floor, self._requests(self._outgoing))
            receiving = asyncio.ensure_future(self._receive(stream))
            ending = asyncio.ensure_future(self._until_it_breaks())
            await asyncio.wait([receiving, ending], return_when=asyncio.FIRST_COMPLETED)
            for task in (receiving, ending):
                task.cancel()
            outcomes = await asyncio.gather(receiving, ending, return_exceptions=True)
            if defects := [each for each in outcomes if isinstance(each, Exception)]:
                raise defects[0]
            stream.abandon()
            await asyncio.sleep(self._random.uniform(0.1, 12) * self._world.times.scale)

    async def _until_it_breaks(self) -> None:
        """Heartbeats, with gaps, until the network, the machine or the server fails."""
        crashes = self._world.crashes
        while self._world.crashes == crashes:
            if self._random.random() > self.chaos:
                self._send(heartbeat=work_pb2.Heartbeat(held=list(self._held.values())))
            if self._random.random() < self.chaos / 4:
                return
            await asyncio.sleep(self._world.times.lease / 5)

    async def _requests(self, outgoing: asyncio.Queue[work_pb2.WorkRequest]) -> AsyncIterator[work_pb2.WorkRequest]:
        yield work_pb2.WorkRequest(
            hello=work_pb2.Hello(worker_id=self._name, kinds=KINDS, held=list(self._held.values()), slots=self.slots)
        )
        unsent, self._unsent = self._unsent, []
        for request in unsent:
            yield request
        if (free := self.slots - len(self._held)) > 0:
            yield work_pb2.WorkRequest(credit=work_pb2.Credit(jobs=free))
        while True:
            yield await outgoing.get()

    async def _receive(self, stream: WorkStream) -> None:
        try:
            async for response in stream.run():
                await asyncio.sleep(self._random.choice((0.0, 0.01)))
                self._hear(response)
        except (MezzotintError, StoreUnavailable):
            return

    def _hear(self, response: work_pb2.WorkResponse) -> None:
        match response.WhichOneof("message"):
            case "welcome":
                kept = {(ref.job_id, ref.fencing_token) for ref in response.welcome.held}
                self._held = {key: ref for key, ref in self._held.items() if key in kept}
            case "leases":
                for lease in response.leases.leases:
                    key = (lease.ref.job_id, lease.ref.fencing_token)
                    self._held[key] = lease.ref
                    self._spawn(self._work(key, lease))
            case "cancel":
                self._drop((response.cancel.lease.job_id, response.cancel.lease.fencing_token))
            case "settled":
                for each in response.settled.settlements:
                    if (each.lease.job_id, each.lease.fencing_token) in self._completed:
                        self._world.witness.told_settled(each.lease.job_id, each.lease.fencing_token, each.accepted)

    async def _work(self, key: tuple[str, int], lease: work_pb2.Lease) -> None:
        """Do a job for about as long as expected, and tell how it went: once, twice, late, or never."""
        await asyncio.sleep(lease.job.cost_ms / 1000 * self._random.uniform(0.5, 2))
        if self._random.random() < self.chaos / 3:
            self._drop(key)
            return
        request = self._ending(lease)
        for _ in range(1 + (self._random.random() < self.chaos)):
            if self._random.random() < self.chaos:
                await asyncio.sleep(self._random.uniform(0, 25) * self._world.times.scale)
            if self._random.random() < self.chaos / 3:
                self._unsent.append(request)
            else:
                self._outgoing.put_nowait(request)
        self._drop(key)

    def _ending(self, lease: work_pb2.Lease) -> work_pb2.WorkRequest:
        chance = self._random.random()
        if chance < self.chaos / 3:
            return work_pb2.WorkRequest(hand_back=work_pb2.HandBack(lease=lease.ref))
        if chance < self.chaos:
            kind = self._random.choice((job_pb2.FAILURE_CLASS_RETRYABLE, job_pb2.FAILURE_CLASS_PERMANENT))
            failure = job_pb2.Failure(failure_class=kind, reason="JOB_FAILED", message="it broke")
            return work_pb2.WorkRequest(fail=work_pb2.Fail(lease=lease.ref, failure=failure))
        self._completed.add((lease.ref.job_id, lease.ref.fencing_token))
        done = work_pb2.Complete(lease=lease.ref, result=b"x", cost_ms=round(lease.job.cost_ms * self._random.uniform(0.5, 2)))
        return work_pb2.WorkRequest(completions=work_pb2.Completions(completions=[done]))

    def _drop(self, key: tuple[str, int]) -> None:
        if self._held.pop(key, None) is not None:
            self._send(credit=work_pb2.Credit(jobs=1))

    def _send(self, **message: Any) -> None:
        self._outgoing.put_nowait(work_pb2.WorkRequest(**message))

    def _spawn(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
