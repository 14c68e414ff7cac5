"""The stream of one worker: what it says is done in order, and what the queue says goes out as it can take it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.encoding import PREVIEW_BYTES_MAX, duration, failure_of, job_message, progress_of
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseRef, LeaseTable
from mezzotint.queue.ledger import Decide, Ledger
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.worker import LEASES_MAX, DrainOrder, Leased, Message, Settlement, Withdrawn, Worker
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import FieldInvalid, ProtocolViolation

# A message with leases is closed when its payloads come to this; one may be 64 KiB.
LEASES_BYTES_MAX = 1024 * 1024
# Ends of leases that are being kept at once; a worker cannot have more to tell.
ENDS_MAX = LEASES_MAX
# The contract's greatest expected cost; what really was cannot be told to be more.
COST_MS_MAX = 86_400_000


@dataclass(frozen=True, slots=True)
class Floor:
    """What a worker's stream acts on."""

    ledger: Ledger
    keeper: LeaseKeeper
    endings: LeaseEndings
    dispatcher: Dispatcher
    hub: WatchHub
    background: Background
    clock: Clock
    backoff: Backoff
    leases: LeaseTable
    heartbeat_seconds: float


class WorkStream:
    """One worker's stream from Hello to its end."""

    def __init__(self, floor: Floor, requests: AsyncIterator[work_pb2.WorkRequest]) -> None:
        self._floor = floor
        self._requests = requests
        self._ends: set[asyncio.Task[None]] = set()
        self._worker: Worker | None = None

    def abandon(self) -> None:
        """The call is over, which a stream that stands between two responses would not notice by itself."""
        if self._worker:
            self._floor.keeper.depart(self._worker)

    async def run(self) -> AsyncGenerator[work_pb2.WorkResponse, None]:
        """The queue's messages. Raises ProtocolViolation, FieldInvalid, ServerDraining."""
        hello = await self._hello()
        worker = self._worker = Worker(hello.worker_id, hello.kinds)
        kept = self._floor.keeper.join(worker, [ref_of(ref) for ref in hello.held])
        reading = self._floor.background.spawn(self._read(worker))
        try:
            yield self._welcome(kept)
            if self._floor.dispatcher.draining:
                worker.send(DrainOrder())
            while (message := await worker.next()) is not None:
                for response in encode(message):
                    yield response
        finally:
            reading.cancel()
            self.abandon()

    async def _hello(self) -> work_pb2.Hello:
        async for request in self._requests:
            if request.WhichOneof("message") == "hello":
                return request.hello
            raise ProtocolViolation("the first message must be Hello")
        raise ProtocolViolation("the stream ended before Hello")

    def _welcome(self, kept: Iterable[LeaseRef]) -> work_pb2.WorkResponse:
        return work_pb2.WorkResponse(
            welcome=work_pb2.Welcome(
                heartbeat_interval=duration(self._floor.heartbeat_seconds),
                lease_duration=duration(self._floor.leases.duration),
                held=[ref_message(ref) for ref in kept],
            )
        )

    async def _read(self, worker: Worker) -> None:
        """Do what the worker says until it says no more; then its open ends are settled and the stream is over."""
        try:
            async for request in self._requests:
                self._take(worker, request)
                if len(self._ends) >= ENDS_MAX:
                    await asyncio.wait(self._ends, return_when=asyncio.FIRST_COMPLETED)
                await worker.room()
            if self._ends:
                await asyncio.wait(self._ends)
            worker.close()
        except Exception as error:  # noqa: BLE001  # whatever it is, the stream ends with it
            worker.close(error)

    def _take(self, worker: Worker, request: work_pb2.WorkRequest) -> None:
        match request.WhichOneof("message"):
            case "hello":
                raise ProtocolViolation("Hello may be sent only once")
            case "credit":
                worker.grant(request.credit.jobs)
                self._floor.dispatcher.wake()
            case "heartbeat":
                self._floor.keeper.beat(worker, [ref_of(ref) for ref in request.heartbeat.held])
            case "progress":
                self._progress(worker, request.progress)
            case "complete" | "fail" | "hand_back":
                self._end(worker, request)

    def _progress(self, worker: Worker, report: work_pb2.ProgressReport) -> None:
        if len(report.progress.preview) > PREVIEW_BYTES_MAX:
            raise FieldInvalid.of("progress.preview", f"must have at most {PREVIEW_BYTES_MAX} bytes")
        ref = ref_of(report.lease)
        if ref in worker.settling:
            return
        if self._floor.keeper.holds(worker, ref) and (job := self._floor.ledger.hot(ref.job_id)):
            self._floor.hub.report(job, progress_of(report.progress))

    def _end(self, worker: Worker, request: work_pb2.WorkRequest) -> None:
        ref, decide = self._ending(worker, request)
        self._floor.endings.begin(worker, ref)
        task = self._floor.background.spawn(self._floor.endings.end(worker, ref, decide))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)

    def _ending(self, worker: Worker, request: work_pb2.WorkRequest) -> tuple[LeaseRef, Decide]:
        """The lease that ends and what then becomes of the job."""
        now, holder = self._floor.clock.now(), worker.worker_id
        match request.WhichOneof("message"):
            case "complete":
                done = request.complete
                ref, cost = ref_of(done.lease), min(done.cost_ms, COST_MS_MAX) or None
                return ref, lambda job: transitions.succeed(job, holder, ref.token, done.result, now, cost)
            case "fail":
                ref, failure = ref_of(request.fail.lease), failure_of(request.fail.failure)
                backoff = self._floor.backoff
                return ref, lambda job: transitions.fail(
                    job, holder, ref.token, failure, now, backoff.delay(max(1, job.attempt))
                )
            case _:
                ref = ref_of(request.hand_back.lease)
                return ref, lambda job: transitions.hand_back(job, holder, ref.token, now)


def encode(message: Message) -> Iterator[work_pb2.WorkResponse]:
    """A message for the worker, in as many of the contract's as it takes."""
    match message:
        case Leased():
            yield from encode_leases(message)
        case Withdrawn(ref, reason):
            yield work_pb2.WorkResponse(cancel=work_pb2.CancelLease(lease=ref_message(ref), reason=reason))
        case Settlement(ref, accepted, reason):
            yield work_pb2.WorkResponse(settled=work_pb2.Settled(lease=ref_message(ref), accepted=accepted, reason=reason))
        case DrainOrder():
            yield work_pb2.WorkResponse(drain=work_pb2.Drain())


def encode_leases(message: Leased) -> Iterator[work_pb2.WorkResponse]:
    """Leases, no message much larger than LEASES_BYTES_MAX."""
    response, size = work_pb2.WorkResponse(), 0
    for job, payload in message.jobs:
        if size and size + len(payload) > LEASES_BYTES_MAX:
            yield response
            response, size = work_pb2.WorkResponse(), 0
        ref = work_pb2.LeaseRef(job_id=job.job_id, fencing_token=job.token)
        response.leases.leases.add(ref=ref, job=job_message(job), payload=payload)
        size += len(payload) + 512
    yield response


def ref_of(message: work_pb2.LeaseRef) -> LeaseRef:
    """A lease's name."""
    return LeaseRef(message.job_id, message.fencing_token)


def ref_message(ref: LeaseRef) -> work_pb2.LeaseRef:
    """A lease's name as a message."""
    return work_pb2.LeaseRef(job_id=ref.job_id, fencing_token=ref.token)
