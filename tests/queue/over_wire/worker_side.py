"""The worker's side of a running queue: each thing it says, and everything that it must hear then."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc
from msgspec.structs import replace

from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.encoding import job_message
from mezzotint.queue.job import Failure
from tests.queue.operating import Operator
from tests.queue.over_wire.messages import name, ref, ref_message, result_of, until_it_ends
from tests.queue.over_wire.model import BACKOFF_SECONDS, WORKER, Model, Ref
from tests.queue.wire import Caller, Worker, completing, refusal, within
from tests.support.clock import ManualClock

# A lease that nobody has: the queue says so, and has then done all that the worker said before.
NOBODYS = ("job_nobodys", 1)


class WorkerSide:
    """One worker in one life of the queue."""

    def __init__(self, queue: Caller, operator: Operator, model: Model, clock: ManualClock) -> None:
        self.model = model
        self.clock = clock
        self._queue = queue
        self._operator = operator
        self._worker: Worker | None = None

    @property
    def streams(self) -> list[Any]:
        """The stream that is open, if there is one."""
        return [self._worker.call] if self._worker else []

    async def connect(self, held: Iterable[str]) -> None:
        """The worker opens a stream, if need be in place of the one it had, and still works on these jobs."""
        earlier, self._worker = self._worker, self._queue.worker(WORKER)
        named = [ref_message(ref(self.model.jobs[job_id])) for job_id in held]
        lost = self.model.leases.keys() - set(held)
        welcome = await self._worker.hello(*named)
        assert [name(each) for each in welcome.held] == self.model.join(set(held))
        await self.reach(lost)
        if earlier:
            assert await refusal(until_it_ends(earlier.call)) == "PROTOCOL_VIOLATION"

    async def vanish(self) -> None:
        """The worker's stream breaks, and the queue has noticed."""
        assert self._worker
        await self._worker.vanish()
        self._worker = None
        while (await self._operator.workers()).workers:
            pass
        self.model.leave()

    async def credit(self, jobs: int) -> None:
        """The worker can take more."""
        assert self._worker
        await self._worker.send(credit=work_pb2.Credit(jobs=jobs))
        self.model.credits += jobs
        self.model.silent = False
        await self.hear()

    async def beat(self, left_out: str = "") -> None:
        """The worker names all that it holds but for one job."""
        assert self._worker
        named = [ref(self.model.jobs[job_id]) for job_id in self.model.leases if job_id != left_out]
        await self._worker.beat(*map(ref_message, [*named, NOBODYS]))
        self.model.beat(left_out)
        await self.hear([NOBODYS])
        await self.reach([left_out] if left_out else [])

    async def complete(self, job_id: str) -> None:
        """The worker has done a job."""
        job = self.model.jobs[job_id]
        await self._say(completions=completing(work_pb2.Complete(lease=ref_message(ref(job)), result=result_of(job))))
        self.model.apply(transitions.succeed(job, WORKER, job.token, result_of(job), self.clock.now()))
        await self._settled((ref(job), ""))

    async def fail(self, job_id: str, failure: Failure) -> None:
        """The worker has failed in a job."""
        job, now = self.model.jobs[job_id], self.clock.now()
        message = job_pb2.Failure(
            failure_class=int(failure.failure_class),  # type: ignore[arg-type]  # the contract's numbers
            reason=failure.reason,
            message=failure.message,
        )
        await self._say(fail=work_pb2.Fail(lease=ref_message(ref(job)), failure=message))
        change = transitions.fail(job, WORKER, job.token, failure, now, BACKOFF_SECONDS)
        if change.job.not_before > now:  # how long it waits is the queue's affair, within bounds
            await self.reach([job_id], job.sequence + 1)
            shown = (await self._queue.get(job_id)).not_before
            waits = replace(change.job, not_before=shown.seconds + shown.nanos / 1e9)
            longest = BACKOFF_SECONDS * 2 ** (job.attempt - 1)
            assert longest / 2 <= waits.not_before - now <= longest + 1e-6
            change = replace(change, job=waits)
        self.model.apply(change)
        await self._settled((ref(job), ""))

    async def hand_back(self, job_id: str) -> None:
        """The worker gives a job back untouched."""
        job = self.model.jobs[job_id]
        await self._say(hand_back=work_pb2.HandBack(lease=ref_message(ref(job))))
        self.model.apply(transitions.hand_back(job, WORKER, job.token, self.clock.now()))
        await self._settled((ref(job), ""))

    async def say_late(self, lease: Ref) -> None:
        """The worker ends a lease that is over: after a cancellation, a retry, a restart, or once more."""
        late = work_pb2.Complete(lease=ref_message(lease), result=b"late")
        await self._say(completions=completing(late))
        await self._settled((lease, self.model.settlement(*lease)))

    async def steal(self, job_id: str) -> None:
        """Another worker ends a lease that is not its own."""
        thief = self._queue.worker("thief")
        await thief.hello()
        stolen = work_pb2.Complete(lease=ref_message(ref(self.model.jobs[job_id])), result=b"stolen")
        await thief.send(completions=completing(stolen))
        answer = await thief.settled()
        assert (answer.accepted, answer.reason) == (False, "LEASE_STALE")
        await thief.leave()

    async def _say(self, **message: Any) -> None:
        assert self._worker
        await self._worker.send(**message)
        self.model.silent = False

    async def _settled(self, *answers: tuple[Ref, str]) -> None:
        """The ends of leases are answered so: by a reason, or "" for those that count."""
        await self.hear(answers=answers)

    async def hear(self, withdrawn: Iterable[Ref] = (), answers: Iterable[tuple[Ref, str]] = ()) -> None:
        """Everything that the worker must be told now, in whatever order, and nothing else."""
        withdrawn, answers = sorted(withdrawn), list(answers)
        while withdrawn or answers or self.model.due():
            assert self._worker
            response = await within(self._worker.call.read())
            assert response is not grpc.aio.EOF, "the worker's stream ended"
            if response.WhichOneof("message") == "cancel":
                withdrawn.remove(name(response.cancel.lease))
            for each in response.settled.settlements:
                assert each.accepted == (not each.reason)
                answers.remove((name(each.lease), each.reason))
            for lease in response.leases.leases:
                self._take(lease)

    def _take(self, lease: work_pb2.Lease) -> None:
        """The worker got a job: one that could start, with the next token."""
        job_id = lease.ref.job_id
        assert self.model.due(), f"{job_id} was not asked for"
        assert job_id in self.model.ready(), f"{self.model.jobs[job_id]} was handed out"
        job = self.model.apply(transitions.start(self.model.jobs[job_id], WORKER, self.clock.now()))
        assert (name(lease.ref), lease.job, lease.payload) == (ref(job), job_message(job), self.model.payloads[job_id])

    async def reach(self, job_ids: Iterable[str], sequence: int = 0) -> None:
        """Wait until jobs have come to the sequence that they must come to."""
        for job_id in job_ids:
            wanted = sequence or self.model.jobs[job_id].sequence
            watch = self._queue.watch(job_id, after=wanted - 1)
            while (await within(watch.read())).event.sequence < wanted:
                pass
            watch.cancel()
