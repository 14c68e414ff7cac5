"""Reading a generation's stream."""

from __future__ import annotations

from typing import Any

import grpc

from mezzotint.api.images.v1 import images_pb2
from mezzotint.runtime import statuses

Response = images_pb2.GenerateImagesResponse


async def until(call: Any, *wanted: str) -> list[Response]:
    """The events up to and with the first of a `wanted` kind; the call stays open. Raises the error that ended it before."""
    events: list[Response] = []
    while not events or events[-1].WhichOneof("event") not in wanted:
        try:
            event = await call.read()
        except grpc.RpcError as error:
            raise statuses.from_call(error) from error
        assert isinstance(event, Response), f"the stream ended after {kinds(events)}, without {wanted}"
        events.append(event)
    return events


async def to_end(call: Any) -> list[Response]:
    """All remaining events. Raises the error that ended the stream."""
    events: list[Response] = []
    try:
        while isinstance(event := await call.read(), Response):
            events.append(event)
    except grpc.RpcError as error:
        raise statuses.from_call(error) from error
    return events


def kinds(events: list[Response]) -> list[str]:
    """The kind of each event, repetitions folded."""
    names = [str(event.WhichOneof("event")) for event in events]
    return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]
