"""Keeps auth's stream of revocations open and tells the verifier what it says."""

import asyncio
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from mezzotint.api.auth.v1 import identity_pb2
from mezzotint.gateway.verified import SILENCE_SECONDS_MAX, CachingVerifier
from mezzotint.runtime import logging
from mezzotint.runtime.errors import MezzotintError

log = logging.get(__name__)
Messages = AsyncGenerator[identity_pb2.WatchRevocationsResponse, None]
Watch = Callable[[identity_pb2.WatchRevocationsRequest], Messages]
BACKOFF_SECONDS_MIN, BACKOFF_SECONDS_MAX = 0.05, 1.0


async def follow(watch: Watch, verifier: CachingVerifier) -> None:
    """Run until cancelled: each break is followed by a new stream from the last sequence seen."""
    sequence, backoff = 0, BACKOFF_SECONDS_MIN
    while True:
        verifier.connected()
        try:
            request = identity_pb2.WatchRevocationsRequest(after_sequence=sequence)
            async with aclosing(heard(watch(request))) as messages:
                async for message in messages:
                    verifier.hear(message)
                    sequence, backoff = message.sequence, BACKOFF_SECONDS_MIN
        except (MezzotintError, TimeoutError) as error:
            log.warning("revocations: stream broke", reason=str(error) or "no heartbeat", after_sequence=sequence)
        await asyncio.sleep(backoff * random.uniform(0.8, 1.2))  # noqa: S311  # jitter, not a secret
        backoff = min(backoff * 2, BACKOFF_SECONDS_MAX)


async def heard(messages: Messages) -> Messages:
    """The messages. Raises TimeoutError after a silence: a connection can be dead without a word."""
    async with aclosing(messages) as open_messages:
        while True:
            async with asyncio.timeout(SILENCE_SECONDS_MAX):
                message = await anext(open_messages, None)
            if message is None:
                return
            yield message
