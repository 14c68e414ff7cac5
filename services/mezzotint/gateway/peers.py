"""Calling the services behind the gateway, so that silence of one becomes an error its caller can act on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TypeVar

from mezzotint.runtime import calls, logging
from mezzotint.runtime.calls import Metadata, StreamMethod, UnaryMethod
from mezzotint.runtime.channel import Channel, connected
from mezzotint.runtime.errors import DeadlineExceeded, DependencyUnavailable, MezzotintError, ServerDraining

log = logging.get(__name__)
Request = TypeVar("Request")
Response = TypeVar("Response")
RETRY_AFTER_SECONDS = 1.0
# A service that is connected and has not answered by then is not going to.
CALL_SECONDS_MAX = 10.0
# One that is not connected may come back from its restart within this; the caller is not kept waiting for longer.
RECONNECT_SECONDS_MAX = 2.0
# What a service raises when it is not there to answer, rather than when it answers no.
SILENCE = (DependencyUnavailable, ServerDraining, DeadlineExceeded)


class Peer:
    """One service behind the gateway, by its name and the channel to it."""

    def __init__(self, name: str, channel: Channel) -> None:
        self._name = name
        self._channel = channel

    async def call(
        self,
        method: UnaryMethod[Request, Response],
        request: Request,
        *,
        timeout: float = CALL_SECONDS_MAX,
        metadata: Metadata = (),
    ) -> Response:
        """The response. Raises what the service raised; DependencyUnavailable, saying when to come back, if it is silent."""
        try:
            return await calls.call(method, request, timeout=self._patience(timeout), metadata=metadata)
        except SILENCE as error:
            raise self._unavailable(error) from error

    async def stream(self, method: StreamMethod[Request, Response], request: Request) -> AsyncGenerator[Response, None]:
        """The responses; closing the iterator cancels the call. Raises as `call` does."""
        try:
            async with aclosing(calls.stream(method, request)) as responses:
                async for response in responses:
                    yield response
        except SILENCE as error:
            raise self._unavailable(error) from error

    def _patience(self, timeout: float) -> float:
        return timeout if connected(self._channel) else min(timeout, RECONNECT_SECONDS_MAX)

    def _unavailable(self, error: MezzotintError) -> MezzotintError:
        if isinstance(error, DeadlineExceeded) and _over(calls.deadline.get()):
            return error
        # The text of gRPC names addresses, which are not for the public.
        log.warning("no answer", peer=self._name, reason=error.reason, message=error.message)
        return DependencyUnavailable(
            f"{self._name} does not answer; try again in {RETRY_AFTER_SECONDS:g} s",
            retry_after=RETRY_AFTER_SECONDS,
            metadata={"service": self._name},
        )


def _over(deadline: float | None) -> bool:
    """It is the deadline of the call being served that passed, not the service's own time for answering."""
    return deadline is not None and asyncio.get_running_loop().time() >= deadline - 2 * calls.MARGIN_SECONDS
