"""A stream of GenerateImages that survives the gateway's restart: broken off, it is joined again by its request id."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing

from mezzotint.api.images.v1 import images_pb2 as pb
from mezzotint.runtime.calls import Metadata, StreamMethod, stream
from mezzotint.runtime.errors import DependencyUnavailable, ServerDraining

# From the break to the last attempt to join again.
REJOIN_SECONDS_MAX = 60.0
BACKOFF_SECONDS_MIN = 0.1
BACKOFF_SECONDS_MAX = 2.0

Response = pb.GenerateImagesResponse
Method = StreamMethod[pb.GenerateImagesRequest, Response]


async def responses(
    method: Method, request: pb.GenerateImagesRequest, metadata: Metadata, timeout: float | None
) -> AsyncGenerator[Response, None]:
    """The messages of the call and of those that join it again, without a second Accepted and second copies of pictures.

    Before the request is accepted the channel's own retries are enough; what they end with is raised at once.
    """
    clock = asyncio.get_running_loop().time
    end = None if timeout is None else clock() + timeout
    told: set[tuple[str, int]] = set()
    broken_at, failures = 0.0, 0
    while True:
        joined_at = clock()
        try:
            left = None if end is None else end - joined_at
            async with aclosing(stream(method, request, timeout=left, metadata=metadata)) as messages:
                async for message in messages:
                    if is_news(message, told):
                        yield message
            return
        except (ServerDraining, DependencyUnavailable):
            # A stream that held for a while was well; one that breaks at once is no end of the trouble.
            if failures == 0 or clock() - joined_at > BACKOFF_SECONDS_MAX:
                broken_at, failures = clock(), 0
            if not told or clock() - broken_at > REJOIN_SECONDS_MAX:
                raise
        failures += 1
        await asyncio.sleep(backoff(failures))


def is_news(message: Response, told: set[tuple[str, int]]) -> bool:
    """Whether a message says something new. `told` holds what must not be said twice, and is added to."""
    kind = message.WhichOneof("event")
    if kind not in {"accepted", "image"}:
        return True
    key = (str(kind), message.image.image_index)
    if key in told:
        return False
    told.add(key)
    return True


def backoff(failures: int) -> float:
    """Seconds until the next attempt after so many failed in a row, with jitter."""
    longest = min(BACKOFF_SECONDS_MAX, BACKOFF_SECONDS_MIN * 2.0 ** min(failures, 10))
    return longest * (1 + random.random()) / 2  # noqa: S311  # jitter is no secret
