"""A generation as server-sent events, exactly those of the OpenAI Images API."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from mezzotint.api.images.v1 import images_pb2
from mezzotint.gateway.asked import Asked
from mezzotint.gateway.generation import Generation
from mezzotint.gateway.http import wire
from mezzotint.gateway.http.connection import while_connected
from mezzotint.gateway.http.errors import body_of
from mezzotint.gateway.http.limits import headers_of
from mezzotint.gateway.http.parts import Parts
from mezzotint.gateway.http.schema import ImageRequest
from mezzotint.gateway.http.waiting import too_slow
from mezzotint.runtime import logging
from mezzotint.runtime.errors import Internal, MezzotintError

log = logging.get(__name__)
# A client that takes nothing for this long is gone.
SEND_SECONDS_MAX = 60.0
Events = AsyncGenerator[images_pb2.GenerateImagesResponse, None]


class EventStream(Response):
    """What fails before the first event fails with a status of its own; later, with an event `error`."""

    media_type = "text/event-stream"

    def __init__(self, parts: Parts, asked: ImageRequest, wanted: Asked) -> None:
        super().__init__()
        self._parts = parts
        self._asked = asked
        self._wanted = wanted
        self._seconds = parts.settings.http_stream_seconds_max
        self._sending = asyncio.Lock()
        self._previews: Counter[int] = Counter()
        self._begun = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the response; a client that hangs up cancels the generation."""
        try:
            await while_connected(receive, self._serve(scope, send))
        except ClientDisconnect:
            if not self._begun:
                raise

    async def _serve(self, scope: Scope, send: Send) -> None:
        with self._parts.generations.open(self._wanted) as generation:
            async with aclosing(generation.events()) as events:
                try:
                    async with asyncio.timeout(self._seconds):
                        await anext(events)
                except TimeoutError:
                    raise too_slow(self._seconds) from None
                finally:
                    Request(scope).state.limits = generation.limits
                await self._begin(send, generation)
                beating = asyncio.create_task(self._beat(send))
                try:
                    await self._pass_on(send, events)
                finally:
                    beating.cancel()
                    with suppress(asyncio.CancelledError, ClientDisconnect):
                        await beating
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, send: Send, generation: Generation) -> None:
        headers = {"content-type": self.media_type, "cache-control": "no-cache", "x-accel-buffering": "no"}
        headers.update(headers_of(generation.limits))
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        self._begun = True
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        await self._send(send, wire.comment(f"generation {generation.job_id}"))

    async def _pass_on(self, send: Send, events: Events) -> None:
        try:
            async with asyncio.timeout(self._seconds):
                await self._each(send, events)
        except TimeoutError:
            await self._fail(send, too_slow(self._seconds))
        except MezzotintError as error:
            await self._fail(send, error)
        except (ClientDisconnect, OSError):
            raise
        except Exception:
            log.exception("internal error in a stream")
            await self._fail(send, Internal("internal error; the server's log holds the report under this request's id"))

    async def _each(self, send: Send, events: Events) -> None:
        images: list[images_pb2.FinishedImage] = []
        async for event in events:
            match event.WhichOneof("event"):
                case "waiting":
                    await self._send(send, wire.comment(waiting_text(event.waiting)))
                case "progress" if event.progress.preview:
                    await self._preview(send, event.progress.image_index, event.progress.preview)
                case "image":
                    images.append(event.image)
                case "finished":
                    for image in images:
                        data = wire.completed(self._asked, image, event.finished.steps, created=self._now())
                        await self._send(send, wire.event(data, data["type"]))

    async def _preview(self, send: Send, image_index: int, preview: bytes) -> None:
        # After a lost attempt the worker begins again; what the client has seen is not shown a second time.
        if (index := self._previews[image_index]) >= (self._asked.partial_images or 0):
            return
        self._previews[image_index] += 1
        data = wire.partial(self._asked, preview, index, created=self._now())
        await self._send(send, wire.event(data, data["type"]))

    async def _beat(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._parts.settings.heartbeat_seconds)
            await self._send(send, wire.comment("keep-alive"))

    async def _fail(self, send: Send, error: MezzotintError) -> None:
        await self._send(send, wire.event(body_of(error), "error"))

    async def _send(self, send: Send, chunk: bytes) -> None:
        try:
            async with self._sending, asyncio.timeout(SEND_SECONDS_MAX):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        except TimeoutError:
            raise ClientDisconnect from None

    def _now(self) -> int:
        return int(self._parts.clock.now())


def waiting_text(waiting: images_pb2.Waiting) -> str:
    """Where a generation stands in the queue, for people who look at the raw stream."""
    eta = f" eta_seconds={waiting.eta.seconds}" if waiting.HasField("eta") else ""
    return f"{'deferred' if waiting.deferred else 'waiting'} position={waiting.position}{eta}"
