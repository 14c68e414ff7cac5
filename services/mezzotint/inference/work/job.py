"""One leased job: from its payload to what the queue is told at its end."""

import asyncio
from collections.abc import Callable
from contextlib import closing

from google.protobuf.message import DecodeError

from mezzotint.api.inference.v1.generation_pb2 import GenerationResult, GenerationSpec, ImageRef
from mezzotint.api.queue.v1 import job_pb2, work_pb2
from mezzotint.inference import metrics
from mezzotint.inference.pictures.events import Drawn, Progress
from mezzotint.inference.pictures.painter import Painter
from mezzotint.inference.pictures.painting import Painting
from mezzotint.inference.pictures.pixels import EXTENSIONS
from mezzotint.runtime import logging
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid, Internal, MezzotintError, ModelNotFound, ServerOverloaded, SizeUnsupported
from mezzotint.runtime.interceptors.validation import validate

log = logging.get(__name__)
# No further attempt mends these.
PERMANENT = (FieldInvalid, ModelNotFound, SizeUnsupported)


class HeldJob:
    """A job this worker holds. `outcome` is the message that tells the queue of its end; `ended` is called once it is there."""

    def __init__(
        self,
        lease: work_pb2.Lease,
        blobs: Blobs,
        report: Callable[[work_pb2.ProgressReport], None],
        ended: Callable[["HeldJob"], None],
    ) -> None:
        self.ref = lease.ref
        self.outcome: work_pb2.WorkRequest | None = None
        self._attempt = lease.job.attempt
        self._payload = lease.payload
        self._tier = lease.job.tier
        self._blobs = blobs
        self._report = report
        self._ended = ended
        self._painting: Painting | None = None
        self._task: asyncio.Task[None] | None = None
        self._log = log.bind(job_id=lease.ref.job_id, fencing_token=lease.ref.fencing_token, account_id=lease.job.account_id)

    def start(self, painter: Painter) -> None:
        """Begin to draw; a payload that cannot work fails the job for good."""
        try:
            self._painting = painter.paint(spec_of(self._payload), self._tier)
        except MezzotintError as error:
            self._fail(error)
        else:
            self._task = asyncio.create_task(self._follow(self._painting))

    @property
    def standing(self) -> tuple[int, int]:
        """See Painting; (0, 0) once it has ended."""
        return self._painting.standing if self._painting is not None and self.outcome is None else (0, 0)

    @property
    def touched(self) -> bool:
        """Whether a step was made or is about to be."""
        return self._painting is not None and self._painting.has_slot

    def cancel(self) -> None:
        """Stop, and tell nobody; the slots are free for the next call of the denoiser."""
        if self._task is not None and self.outcome is None:
            self._task.cancel()
        if self._painting is not None:
            self._painting.close()

    def hand_back(self) -> None:
        """Stop and give the job back to the queue. Does nothing once the job has ended."""
        if self.outcome is None:
            self.cancel()
            self._end("handed back", work_pb2.WorkRequest(hand_back=work_pb2.HandBack(lease=self.ref)))

    async def _follow(self, painting: Painting) -> None:
        """Pass progress on, store the pictures, and end the job."""
        self._log.info("job begins", model=painting.model, pictures=painting.spec.images, steps=painting.steps)
        images: dict[int, ImageRef] = {}
        try:
            with closing(painting):
                async for event in painting:
                    if isinstance(event, Progress):
                        self._report(self._progress(event))
                    elif isinstance(event, Drawn):
                        images[event.image_index] = await self._store(event)
        except MezzotintError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  # whatever it is, the queue must hear of it
            self._log.error("a job met a defect", exc_info=error)
            self._fail(Internal("internal error; the worker's log holds the report under the job's id"))
        else:
            self._complete(painting, [images[index] for index in sorted(images)])

    def _progress(self, event: Progress) -> work_pb2.ProgressReport:
        progress = job_pb2.Progress(
            attempt=self._attempt, step=event.step, steps=event.steps, preview=event.preview, image_index=event.image_index
        )
        return work_pb2.ProgressReport(lease=self.ref, progress=progress)

    async def _store(self, drawn: Drawn) -> ImageRef:
        """Put a picture into the store, under a name of this lease alone. Raises StorageFull."""
        extension = EXTENSIONS[drawn.ref.format]
        drawn.ref.key = f"{self.ref.job_id}/{self.ref.fencing_token}/{drawn.image_index}.{extension}"
        await self._blobs.put(drawn.ref.key, drawn.data)
        return drawn.ref

    def _complete(self, painting: Painting, images: list[ImageRef]) -> None:
        result = GenerationResult(
            images=images, model=painting.model, steps=painting.steps, model_ms=round(painting.bill.model_ms)
        )
        complete = work_pb2.Complete(
            lease=self.ref, result=result.SerializeToString(), cost_ms=max(1, round(painting.bill.cost_ms))
        )
        self._end("succeeded", work_pb2.WorkRequest(completions=work_pb2.Completions(completions=[complete])))

    def _fail(self, error: MezzotintError) -> None:
        """End the job with an error: for good, for another attempt, or, when this worker is too full, as if never leased."""
        if isinstance(error, ServerOverloaded):
            self._end("handed back", work_pb2.WorkRequest(hand_back=work_pb2.HandBack(lease=self.ref)))
            return
        permanent = isinstance(error, PERMANENT)
        failure = job_pb2.Failure(
            failure_class=job_pb2.FAILURE_CLASS_PERMANENT if permanent else job_pb2.FAILURE_CLASS_RETRYABLE,
            reason=error.reason,
            message=error.message,
        )
        self._log.warning("job failed", reason=error.reason, message=error.message, permanent=permanent)
        self._end("failed", work_pb2.WorkRequest(fail=work_pb2.Fail(lease=self.ref, failure=failure)))

    def _end(self, how: str, outcome: work_pb2.WorkRequest) -> None:
        metrics.JOBS.labels(how).inc()
        self._log.info("job ends", how=how)
        self.outcome = outcome
        self._ended(self)


def spec_of(payload: bytes) -> GenerationSpec:
    """The request in a job's payload. Raises FieldInvalid when it is not one or breaks a rule of the contract."""
    try:
        spec = GenerationSpec.FromString(payload)
    except DecodeError as error:
        raise FieldInvalid.of("payload", "it is not a serialized mezzotint.api.inference.v1.GenerationSpec") from error
    validate(spec)
    return spec
