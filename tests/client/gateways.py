"""A gateway for tests of the client alone: real gRPC and TLS, and a generation that goes as the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from mezzotint.api.images.v1 import images_pb2 as pb
from mezzotint.api.images.v1 import images_pb2_grpc
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.api.queue.v1 import job_pb2
from mezzotint.runtime.errors import CredentialInvalid, MezzotintError
from mezzotint.runtime.interceptors.access import Principal
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority

SERVICE = "mezzotint.api.images.v1.ImageService"
CREDENTIAL = "mzt_good"
ACCEPTED = pb.GenerateImagesResponse(accepted=pb.Accepted(generation_id="job_1"))
WAITING = pb.GenerateImagesResponse(waiting=pb.Waiting(position=2))
DRAWING = pb.GenerateImagesResponse(drawing=pb.Drawing(attempt=1))
PROGRESS = pb.GenerateImagesResponse(progress=job_pb2.Progress(attempt=1, step=3, steps=9, preview=b"p"))
FINISHED = pb.GenerateImagesResponse(finished=pb.Finished(model="aquatint@1", steps=9))
# What ends a part of a script: an error to raise, or None to wait until the call is cancelled.
Part = list[pb.GenerateImagesResponse | MezzotintError | None]


def image(index: int) -> pb.GenerateImagesResponse:
    """A finished picture."""
    ref = generation_pb2.ImageRef(format=generation_pb2.IMAGE_FORMAT_WEBP, width=64, height=64, seed=7 + index)
    return pb.GenerateImagesResponse(image=pb.FinishedImage(image_index=index, ref=ref, data=b"bytes"))


class ScriptedImages(images_pb2_grpc.ImageServiceServicer):
    """Answers the first call of GenerateImages with the first part of a script, the second call with the second, and so on."""

    def __init__(self) -> None:
        self.script: list[Part] = []
        self.requests: list[pb.GenerateImagesRequest] = []
        self.cancelled = asyncio.Event()

    async def GenerateImages(self, request: pb.GenerateImagesRequest, context: Any) -> AsyncIterator[pb.GenerateImagesResponse]:
        part = self.script[len(self.requests)]
        self.requests.append(request)
        for step in part:
            if isinstance(step, MezzotintError):
                raise step
            if step is None:
                await self._until_cancelled()
            else:
                yield step

    async def _until_cancelled(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.set()


class OneCredential:
    """Knows one credential."""

    async def verify(self, credential: str) -> Principal:
        if credential != CREDENTIAL:
            raise CredentialInvalid("no such key")
        return Principal("acc_1", "key_1", "free", frozenset({"images:generate", "images:read"}))


class ScriptedGateway:
    """A server with `images` behind it, which can be stopped and started again on its port."""

    def __init__(self, authority: Authority, settings: ServiceSettings) -> None:
        self.images = ScriptedImages()  # type: ignore[abstract]  # one method is enough here
        self._authority = authority
        self._settings = settings
        self._server: Server | None = None

    @property
    def address(self) -> str:
        assert self._server is not None
        return f"127.0.0.1:{self._server.port}"

    async def start(self) -> None:
        identity = self._authority.identity("gateway")
        self._server = Server(self._settings, identity, [SERVICE], verifier=OneCredential(), public=True)
        self._server.add(images_pb2_grpc.add_ImageServiceServicer_to_server, self.images)
        await self._server.start()
        self._settings = self._settings.model_copy(update={"port": self._server.port})
        await self._server.ready()

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.stop()
