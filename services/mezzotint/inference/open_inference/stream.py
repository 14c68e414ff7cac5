"""ModelStreamInfer: requests of one stream side by side, their responses in the requests' order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from mezzotint.runtime import logging
from mezzotint.runtime.errors import MezzotintError, ServerDraining

log = logging.get(__name__)
# Requests of one stream under way at once; the next one is read when the first of them is answered.
UNDER_WAY_MAX = 64
Infer = Callable[[ModelInferRequest], Awaitable[ModelInferResponse]]
# An answer to come, or why there are no more of them; None: the client has no more requests.
Item = asyncio.Task[ModelStreamInferResponse] | Exception | None


async def answers(
    requests: AsyncIterator[ModelInferRequest], infer: Infer, draining: asyncio.Event
) -> AsyncIterator[ModelStreamInferResponse]:
    """A response a request, in order. Ends when the requests end; raises ServerDraining, and what reading requests raises."""
    room, items = asyncio.Semaphore(UNDER_WAY_MAX), asyncio.Queue[Item]()
    reader = asyncio.create_task(_read(requests, infer, room, items))
    watcher = asyncio.create_task(_watch(draining, reader, items))
    item: Item = None
    try:
        while isinstance(item := await items.get(), asyncio.Task):
            yield await item
            room.release()
        if item is not None:
            raise item
    finally:
        for task in (reader, watcher, item, *_rest(items)):
            if isinstance(task, asyncio.Task):
                task.cancel()


async def _read(
    requests: AsyncIterator[ModelInferRequest], infer: Infer, room: asyncio.Semaphore, items: asyncio.Queue[Item]
) -> None:
    """Begin an answer for each request."""
    try:
        async for request in requests:
            await room.acquire()
            items.put_nowait(asyncio.create_task(_answer(request, infer)))
    except Exception as error:  # noqa: BLE001  # raised again where the stream is answered
        items.put_nowait(error)
    else:
        items.put_nowait(None)


async def _watch(draining: asyncio.Event, reader: asyncio.Task[None], items: asyncio.Queue[Item]) -> None:
    """Read no more requests once the server stops; those that were read are answered."""
    await draining.wait()
    reader.cancel()
    items.put_nowait(ServerDraining("the server is stopping; send the unanswered requests to another one"))


async def _answer(request: ModelInferRequest, infer: Infer) -> ModelStreamInferResponse:
    """The response, or the error as one."""
    try:
        return ModelStreamInferResponse(infer_response=await infer(request))
    except MezzotintError as error:
        message = error.message
    except Exception as error:  # a defect ends this request, not the stream
        log.error("internal error", exc_info=error)
        message = "internal error; the server's log holds the report"
    failed = ModelInferResponse(model_name=request.model_name, model_version=request.model_version, id=request.id)
    return ModelStreamInferResponse(error_message=message, infer_response=failed)


def _rest(items: asyncio.Queue[Item]) -> list[Item]:
    """What nobody will wait for any more."""
    return [items.get_nowait() for _ in range(items.qsize())]
