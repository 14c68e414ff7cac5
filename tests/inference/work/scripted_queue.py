"""A queue that says what a test tells it to, over the real wire: for what a healthy queue does not do on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf.duration_pb2 import Duration

from mezzotint.api.queue.v1 import job_pb2, queue_pb2_grpc, work_pb2
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority

GUARD_SECONDS = 10


class Conversation:
    """One stream of a worker, from the queue's side. With `settles`, every ending is accepted at once."""

    def __init__(self) -> None:
        self.settles = True
        self.said: asyncio.Queue[work_pb2.WorkRequest | None] = asyncio.Queue()
        self._answers: asyncio.Queue[work_pb2.WorkResponse | None] = asyncio.Queue()

    async def hear(self, kind: str) -> Any:
        """The next message of a kind, all others passed over; fails the test when none comes."""
        async with asyncio.timeout(GUARD_SECONDS):
            while True:
                message = await self.said.get()
                assert message is not None, f"the worker ended the stream before it sent {kind}"
                if message.WhichOneof("message") == kind:
                    return getattr(message, kind)

    async def completion(self) -> work_pb2.Complete:
        """The next job that is done; this worker tells of one at a time."""
        completions: work_pb2.Completions = await self.hear("completions")
        assert len(completions.completions) == 1
        return completions.completions[0]

    async def ended(self) -> None:
        """Wait until the worker says nothing more."""
        async with asyncio.timeout(GUARD_SECONDS):
            while await self.said.get() is not None:
                pass

    def say(self, **message: Any) -> None:
        """Send a message, named by its field of WorkResponse."""
        self._answers.put_nowait(work_pb2.WorkResponse(**message))

    def welcome(self, *held: work_pb2.LeaseRef, heartbeat_seconds: float = 5, takes_urgent: bool = False) -> None:
        """Answer Hello."""
        interval = Duration(nanos=round(heartbeat_seconds % 1 * 1e9), seconds=int(heartbeat_seconds))
        welcome = work_pb2.Welcome(heartbeat_interval=interval, lease_duration=Duration(seconds=30), held=held)
        welcome.takes_urgent = takes_urgent
        self.say(welcome=welcome)

    def lease(
        self, job_id: str, payload: bytes, token: int = 1, tier: str = "free", *, urgent: bool = False
    ) -> work_pb2.LeaseRef:
        """Hand out a job."""
        ref = work_pb2.LeaseRef(job_id=job_id, fencing_token=token)
        job = job_pb2.Job(job_id=job_id, account_id="account", tier=tier, kind="image.generate", attempt=token)
        self.say(leases=work_pb2.Leases(leases=[work_pb2.Lease(ref=ref, job=job, payload=payload, urgent=urgent)]))
        return ref

    def settle(self, *ended: work_pb2.LeaseRef, accepted: bool = True, reason: str = "") -> None:
        """Answer the ends of leases."""
        settlements = [work_pb2.Settlement(lease=ref, accepted=accepted, reason=reason) for ref in ended]
        self.say(settled=work_pb2.Settled(settlements=settlements))

    def hang_up(self) -> None:
        """End the stream."""
        self._answers.put_nowait(None)

    async def answers(self, requests: AsyncIterator[work_pb2.WorkRequest]) -> AsyncIterator[work_pb2.WorkResponse]:
        """The stream's responses, while its requests are kept for `hear`."""
        listening = asyncio.create_task(self._listen(requests))
        try:
            while (answer := await self._answers.get()) is not None:
                yield answer
        finally:
            listening.cancel()

    async def _listen(self, requests: AsyncIterator[work_pb2.WorkRequest]) -> None:
        try:
            async for request in requests:
                self.said.put_nowait(request)
                ended = [each.lease for each in endings_of(request)]
                if self.settles and ended:
                    self.settle(*ended)
        finally:
            self.said.put_nowait(None)
            self.hang_up()


def endings_of(request: work_pb2.WorkRequest) -> Sequence[work_pb2.Complete | work_pb2.Fail | work_pb2.HandBack]:
    """The ends of leases that a message tells of."""
    match request.WhichOneof("message"):
        case "completions":
            return request.completions.completions
        case "fail":
            return [request.fail]
        case "hand_back":
            return [request.hand_back]
    return []


class ScriptedQueue(queue_pb2_grpc.QueueServiceServicer):
    """The queue's side of Work; every other RPC is unimplemented."""

    def __init__(self) -> None:
        self._conversations: asyncio.Queue[Conversation] = asyncio.Queue()

    async def conversation(self) -> Conversation:
        """The next stream that a worker opens."""
        return await asyncio.wait_for(self._conversations.get(), GUARD_SECONDS)

    async def Work(
        self, request_iterator: AsyncIterator[work_pb2.WorkRequest], context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[work_pb2.WorkResponse]:
        conversation = Conversation()
        self._conversations.put_nowait(conversation)
        async for answer in conversation.answers(request_iterator):
            yield answer


@asynccontextmanager
async def scripted_queue(authority: Authority, settings: ServiceSettings) -> AsyncIterator[tuple[ScriptedQueue, int]]:
    """The queue, serving until the block ends, and its port."""
    server = Server(settings, authority.identity("queue"), ["mezzotint.api.queue.v1.QueueService"])
    queue = ScriptedQueue()  # type: ignore[abstract]  # the other RPCs are unimplemented on purpose
    server.add(queue_pb2_grpc.add_QueueServiceServicer_to_server, queue)
    await server.start()
    await server.ready()
    try:
        yield queue, server.port
    finally:
        await server.stop()
