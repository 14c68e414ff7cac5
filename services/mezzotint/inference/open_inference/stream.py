"""ModelStreamInfer: requests of one stream side by side, their responses in the requests' order."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from mezzotint.inference.open_inference.infer import Answer
from mezzotint.inference.open_inference.stream_room import StreamRoom, wire_size
from mezzotint.inference.tensors.request import ID_CHARACTERS_MAX
from mezzotint.inference.tensors.telling import cut
from mezzotint.inference.tensors.under_way import Place
from mezzotint.runtime import logging
from mezzotint.runtime.errors import MezzotintError, ServerDraining

log = logging.get(__name__)
Infer = Callable[[ModelInferRequest], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class _Unsent:
    """An answer, what it holds until it is sent (None: it tells a failure), and the bytes it has in the stream's room."""

    response: ModelStreamInferResponse
    place: Place | None
    size: int


# An answer to come, or why there are no more of them; None: the client has no more requests.
Item = asyncio.Task[_Unsent] | Exception | None


async def answers(
    requests: AsyncIterator[ModelInferRequest], infer: Infer, draining: asyncio.Event
) -> AsyncGenerator[ModelStreamInferResponse, None]:
    """A response a request, in order. Ends when the requests end; raises ServerDraining, and what reading requests raises."""
    room, items = StreamRoom(), asyncio.Queue[Item]()
    reader = asyncio.create_task(_read(requests, infer, room, items))
    watcher = asyncio.create_task(_watch(draining, reader, items))
    item: Item = None
    try:
        while isinstance(item := await items.get(), asyncio.Task):
            unsent = await item
            yield unsent.response
            room.leave(unsent.size)
            _give_back(item)
        if item is not None:
            raise item
    finally:
        for task in (reader, watcher):
            task.cancel()
        for each in (item, *_rest(items)):
            if isinstance(each, asyncio.Task):
                each.cancel()
                each.add_done_callback(_give_back)


async def _read(requests: AsyncIterator[ModelInferRequest], infer: Infer, room: StreamRoom, items: asyncio.Queue[Item]) -> None:
    """Begin an answer for each request."""
    try:
        async for request in requests:
            size = wire_size(request)
            await room.enter(size)
            items.put_nowait(asyncio.create_task(_answer(request, infer, room, size)))
    except Exception as error:  # noqa: BLE001  # raised again where the stream is answered
        items.put_nowait(error)
    else:
        items.put_nowait(None)


async def _watch(draining: asyncio.Event, reader: asyncio.Task[None], items: asyncio.Queue[Item]) -> None:
    """Read no more requests once the server stops; those that were read are answered."""
    await draining.wait()
    reader.cancel()
    items.put_nowait(ServerDraining("the server is stopping; send the unanswered requests to another one"))


async def _answer(request: ModelInferRequest, infer: Infer, room: StreamRoom, size: int) -> _Unsent:
    """The response, or the error as one."""
    try:
        answer = await infer(request)
        room.answered(answer.place.size)
        return _Unsent(ModelStreamInferResponse(infer_response=answer.response), answer.place, size + answer.place.size)
    except MezzotintError as error:
        message = error.message
    except Exception as error:  # a defect ends this request, not the stream
        log.error("internal error", exc_info=error)
        message = "internal error; the server's log holds the report"
    # Cut: what was refused for its length would be an answer that cannot be sent.
    name, version, id_ = (cut(each, ID_CHARACTERS_MAX) for each in (request.model_name, request.model_version, request.id))
    failed = ModelInferResponse(model_name=name, model_version=version, id=id_)
    return _Unsent(ModelStreamInferResponse(error_message=message, infer_response=failed), None, size)


def _give_back(answer: "asyncio.Task[_Unsent]") -> None:
    """An answer was sent, or nobody will send it."""
    if not answer.cancelled() and (place := answer.result().place) is not None:
        place.give_back()


def _rest(items: asyncio.Queue[Item]) -> list[Item]:
    """What nobody will wait for any more."""
    return [items.get_nowait() for _ in range(items.qsize())]
