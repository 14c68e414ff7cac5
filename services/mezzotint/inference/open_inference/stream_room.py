"""How much of one stream may be under way: its next request is read when there is room again."""

import asyncio

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest

REQUESTS_MAX, BYTES_MAX = 64, 32 * 1024 * 1024
# More tensors are counted by having the whole message written, which takes longer than looking at each.
TENSORS_MAX = 64


class StreamRoom:
    """What one stream has under way, from the reading of a request until its answer is sent. One request at a time may wait."""

    def __init__(self) -> None:
        self._requests = self._bytes = 0
        self._left = asyncio.Event()

    async def enter(self, size: int) -> None:
        """Wait until a request of so many bytes may begin. One that is alone always may."""
        while self._requests >= REQUESTS_MAX or (self._requests and self._bytes + size > BYTES_MAX):
            self._left.clear()
            await self._left.wait()
        self._requests += 1
        self._bytes += size

    def answered(self, size: int) -> None:
        """An answer of so many bytes waits to be sent."""
        self._bytes += size

    def leave(self, size: int) -> None:
        """An answer was sent; it and its request had so many bytes."""
        self._requests -= 1
        self._bytes -= size
        self._left.set()


def wire_size(request: ModelInferRequest) -> int:
    """About how many bytes a request came with."""
    raw = request.raw_input_contents
    return sum(map(len, raw)) if 0 < len(raw) <= TENSORS_MAX else request.ByteSize()
