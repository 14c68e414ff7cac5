"""One request for pictures: checked, reserved, queued, watched, settled; in a task of its own, which outlives its reader."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

from google.protobuf import duration_pb2

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.queue.v1 import job_pb2, queue_pb2
from mezzotint.api.ratelimit.v1 import ratelimit_pb2
from mezzotint.gateway import spec as specs
from mezzotint.gateway.asked import Asked
from mezzotint.gateway.catalogue import Catalogue
from mezzotint.gateway.events import failure_of, may_be_redriven, response_of
from mezzotint.gateway.jobs import FINAL, KIND, Jobs
from mezzotint.gateway.quota import Quota, Reservation, exceeded
from mezzotint.gateway.settings import GatewaySettings
from mezzotint.gateway.settlement import Outcome, give_back, settle
from mezzotint.gateway.uploads import Uploads
from mezzotint.runtime import errors, logging
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.clock import NewId
from mezzotint.runtime.errors import JobFinished, JobNotFound, MezzotintError

log = logging.get(__name__)
# A reader this far behind is not told of further steps until it has caught up.
BEHIND_EVENTS_MAX = 32
CANCEL_ATTEMPTS_MAX = 8
CANCEL_PAUSE_SECONDS = 1.0
Response = images_pb2.GenerateImagesResponse


@dataclass(frozen=True)
class Ports:
    """What a generation needs from the services behind the gateway."""

    catalogue: Catalogue
    quota: Quota
    jobs: Jobs
    blobs: Blobs
    settings: GatewaySettings
    new_id: NewId
    randbelow: specs.RandBelow = secrets.randbelow

    @property
    def uploads(self) -> Uploads:
        """The pictures that come with requests."""
        return Uploads(self.blobs)


class Generation:
    """One caller's request. `run` drives it; `events` is what its reader hears; `leave` is said when the reader is gone.

    `limits` tells where the caller's limits stood, and `job_id` the job, once `events` gave its first event or raised.
    """

    def __init__(self, asked: Asked, ports: Ports) -> None:
        self.job_id = ""
        self.limits: Sequence[ratelimit_pb2.LimitStatus] = ()
        self.key = asked.key
        self._caller = asked.caller
        self._ports = ports
        self._request_id = asked.request_id
        # Up to 16 MiB, let go of once they are in the store.
        self._inputs = asked.inputs
        self._spec = asked.spec
        self._events: asyncio.Queue[Response | job_pb2.Succeeded | Exception] = asyncio.Queue()
        self._read = True
        self._wanted = True
        self._over = False

    async def events(self) -> AsyncGenerator[Response, None]:
        """What happens, up to the last picture. Raises why there is none."""
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            if isinstance(event, job_pb2.Succeeded):
                break
            yield event
        result = generation_pb2.GenerationResult.FromString(event.result)
        for index, ref in enumerate(result.images):
            data = await self._ports.blobs.get(ref.key)
            yield Response(image=images_pb2.FinishedImage(image_index=index, ref=ref, data=data))
        yield Response(finished=images_pb2.Finished(model=result.model, steps=result.steps))

    def tell(self, event: Response | job_pb2.Succeeded | Exception) -> None:
        """Let the reader hear this next; pictures or an error are the last thing it hears."""
        self._over = self._over or not isinstance(event, Response)
        if self._read:
            self._events.put_nowait(event)

    def leave(self, *, cancel: bool) -> bool:
        """The reader is gone. True when there is a job to be cancelled; one that is not queued yet never will be."""
        self._read = False
        self._wanted = not cancel or self._over
        return bool(self.job_id) and not self._wanted

    async def run(self) -> None:
        """From the check to the settlement. Whatever ends it early is told to the reader."""
        try:
            await self._ports.catalogue.check(self._spec)
            reservation = await self._reserve()
        except Exception as error:  # noqa: BLE001  # handed to the reader, whose pipeline knows what to do with each kind
            self._failed(error)
            return
        outcome = await self._outcome(reservation)
        if outcome is not None:
            await settle(self._ports.quota, reservation, outcome)

    async def cancel(self) -> None:
        """Cancel the job, in spite of short outages of the queue."""
        for _ in range(CANCEL_ATTEMPTS_MAX):
            try:
                await self._ports.jobs.cancel(self.job_id, self._caller.account_id, "the caller hung up")
                return
            except (JobFinished, JobNotFound):
                return
            except MezzotintError as error:
                log.warning("cancelling failed", job_id=self.job_id, reason=error.reason)
            await asyncio.sleep(CANCEL_PAUSE_SECONDS)

    async def _reserve(self) -> Reservation:
        reservation = await self._ports.quota.reserve(self._caller, self.key, self._spec.images)
        self.limits = reservation.limits
        if not reservation.reservation_id:
            raise exceeded(reservation.limits)
        return reservation

    async def _outcome(self, reservation: Reservation) -> Outcome | None:
        """How it ended; None when that is not known, or an earlier call with this request id pays for it."""
        try:
            paid = await self._enqueue(reservation)
            outcome = await self._watch()
        except Exception as error:  # noqa: BLE001  # as in `run`
            self._failed(error)
            return None if self.job_id else Outcome(errors.Internal(str(error)), drawing=False, images=0)
        return None if paid else outcome

    async def _enqueue(self, reservation: Reservation) -> bool:
        """Put the job on the queue's disk. True when it was there and is paid for by an earlier reservation."""
        if not self._wanted:
            raise errors.Cancelled("the caller hung up")
        await self._ports.uploads.put(self._inputs)
        job, replayed = await self._ports.jobs.enqueue(self._new_job())
        self.job_id = job.job_id
        self.tell(Response(accepted=images_pb2.Accepted(generation_id=job.job_id, replayed=replayed)))
        if not self._wanted:
            await self.cancel()
        paid = replayed and reservation.is_later_than(job.created_at.ToNanoseconds() / 1e9)
        if paid:
            await give_back(self._ports.quota, reservation)
        return paid

    def _new_job(self) -> queue_pb2.NewJob:
        return queue_pb2.NewJob(
            request_id=self._request_id,
            account_id=self._caller.account_id,
            tier=self._caller.tier,
            kind=KIND,
            payload=specs.payload(self._spec),
            cost_ms=specs.cost_ms(self._spec, self._ports.settings),
            start_within=duration_pb2.Duration(seconds=self._ports.settings.start_within_seconds),
        )

    async def _watch(self) -> Outcome:
        drawing = False
        async for event in self._ports.jobs.watch(self.job_id, self._caller.account_id):
            drawing = drawing or event.HasField("started")
            if event.WhichOneof("event") in FINAL and not may_be_redriven(event):
                # Before the reader hears of it: who has the pictures knows that his own are gone.
                await self._ports.uploads.forget(self._spec)
            if event.HasField("succeeded"):
                self.tell(event.succeeded)
                result = generation_pb2.GenerationResult.FromString(event.succeeded.result)
                return Outcome(None, drawing=True, images=len(result.images))
            if failure := failure_of(event, self.job_id):
                self.tell(failure)
                return Outcome(failure, drawing=drawing, images=self._spec.images)
            response = response_of(event)
            if response and not (event.HasField("progress") and self._events.qsize() > BEHIND_EVENTS_MAX):
                self.tell(response)
        raise AssertionError("a watch ends with a final event or an error")

    def _failed(self, error: Exception) -> None:
        if not self._read:
            defect = None if isinstance(error, MezzotintError) else error
            log.warning("generation ended unheard", job_id=self.job_id, error=str(error), exc_info=defect)
        self.tell(error)
