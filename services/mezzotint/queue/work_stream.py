"""The stream of one worker: what it says is done in order, and what the queue says goes out as it can take it."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from dataclasses import dataclass

from mezzotint.api.queue.v1 import work_pb2
from mezzotint.queue import transitions
from mezzotint.queue.background import Background
from mezzotint.queue.backoff import Backoff
from mezzotint.queue.dispatcher import Dispatcher
from mezzotint.queue.encoding import PREVIEW_BYTES_MAX, duration, failure_of, progress_of
from mezzotint.queue.intake import Intake
from mezzotint.queue.lease_endings import LeaseEndings
from mezzotint.queue.lease_keeper import LeaseKeeper
from mezzotint.queue.leases import LeaseRef
from mezzotint.queue.ledger import Ledger
from mezzotint.queue.watching import WatchHub
from mezzotint.queue.work_messages import encode, ref_message, ref_of
from mezzotint.queue.worker import LEASES_MAX, Worker
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import FieldInvalid, ProtocolViolation

# Ends of leases that are being kept at once; a worker cannot have more to tell.
ENDS_MAX = LEASES_MAX
# The contract's greatest expected cost; what really was cannot be told to be more.
COST_MS_MAX = 86_400_000


@dataclass(frozen=True, slots=True)
class Floor:
    """What a worker's stream acts on."""

    intake: Intake
    ledger: Ledger
    keeper: LeaseKeeper
    endings: LeaseEndings
    dispatcher: Dispatcher
    hub: WatchHub
    background: Background
    clock: Clock
    backoff: Backoff
    heartbeat_seconds: float


class WorkStream:
    """One worker's stream from Hello to its end."""

    def __init__(self, floor: Floor, requests: AsyncIterator[work_pb2.WorkRequest]) -> None:
        self._floor = floor
        self._requests = requests
        self._worker: Worker | None = None

    def abandon(self) -> None:
        """The call is over, which a stream that stands between two responses would not notice by itself."""
        if self._worker:
            self._floor.keeper.depart(self._worker)

    async def run(self) -> AsyncGenerator[work_pb2.WorkResponse, None]:
        """The queue's messages. Raises ProtocolViolation, FieldInvalid, ServerDraining."""
        hello = await self._hello()
        worker = self._worker = Worker(hello.worker_id, hello.kinds, hello.slots)
        kept = self._floor.keeper.join(worker, [ref_of(ref) for ref in hello.held])
        reading = self._floor.background.spawn(self._read(worker))
        try:
            yield self._welcome(kept)
            if self._floor.dispatcher.draining:
                worker.drain()
            while messages := await worker.take():
                for response in encode(messages):
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
                lease_duration=duration(self._floor.keeper.lease_seconds),
                held=[ref_message(ref) for ref in kept],
                takes_urgent=True,
            )
        )

    async def _read(self, worker: Worker) -> None:
        """Do what the worker says until it says no more; then its open ends are settled and the stream is over."""
        try:
            async for request in self._requests:
                self._take(worker, request)
                await worker.settled(ENDS_MAX)
                await worker.room()
            await worker.settled(0)
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
            case "urgent":
                worker.urge(request.urgent.jobs, request.urgent.tiers)
                self._floor.dispatcher.wake()
            case "heartbeat":
                self._floor.keeper.beat(worker, [ref_of(ref) for ref in request.heartbeat.held])
            case "progress":
                self._progress(worker, request.progress)
            case "completions":
                for done in request.completions.completions:
                    self._complete(worker, done)
            case "fail":
                self._fail(worker, request.fail)
            case "hand_back":
                self._hand_back(worker, request.hand_back)

    def _progress(self, worker: Worker, report: work_pb2.ProgressReport) -> None:
        if len(report.progress.preview) > PREVIEW_BYTES_MAX:
            raise FieldInvalid.of("progress.preview", f"must have at most {PREVIEW_BYTES_MAX} bytes")
        ref = ref_of(report.lease)
        if ref in worker.settling:
            return
        if self._floor.keeper.holds(worker, ref) and (job := self._floor.ledger.hot(ref.job_id)):
            self._floor.hub.report(job, progress_of(report.progress))

    def _complete(self, worker: Worker, done: work_pb2.Complete) -> None:
        ref, cost, now = ref_of(done.lease), min(done.cost_ms, COST_MS_MAX) or None, self._floor.clock.now()
        self._floor.endings.end(
            worker, ref, lambda job: transitions.succeed(job, worker.worker_id, ref.token, done.result, now, cost), done=True
        )

    def _fail(self, worker: Worker, failed: work_pb2.Fail) -> None:
        ref, failure, now = ref_of(failed.lease), failure_of(failed.failure), self._floor.clock.now()
        delay = self._floor.backoff.delay
        self._floor.endings.end(
            worker,
            ref,
            lambda job: transitions.fail(job, worker.worker_id, ref.token, failure, now, delay(max(1, job.attempt))),
        )

    def _hand_back(self, worker: Worker, back: work_pb2.HandBack) -> None:
        ref, now = ref_of(back.lease), self._floor.clock.now()
        self._floor.endings.end(worker, ref, lambda job: transitions.hand_back(job, worker.worker_id, ref.token, now))
