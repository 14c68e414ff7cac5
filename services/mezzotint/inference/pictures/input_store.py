"""Where the pictures that come with a request are: in the request itself, or, as jobs have them, in the object store."""

import asyncio
from collections.abc import Awaitable, Callable

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, InputImage
from mezzotint.inference.pictures.image_input import ImageInput, read
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid, ImageNotFound

# Requests whose pictures are fetched and decoded at once; the others wait, so that no more than these lie in memory.
READING_MAX = 4
PICTURES = ("image", "mask")
InPool = Callable[[Callable[[], ImageInput]], Awaitable[ImageInput]]


class InputStore:
    """Finds the pictures of requests; without `blobs` only those in the request itself."""

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._blobs = blobs
        self._reading = asyncio.Semaphore(READING_MAX)

    async def read(self, asked: GenerationSpec, resolved: GenerationSpec, in_pool: InPool) -> ImageInput:
        """The picture of a request that has one, with its mask, decoded in the pool.

        `resolved` says at which size. Raises FieldInvalid saying which of them is wrong and how.
        """
        async with self._reading:
            image = await self._content(asked.image, "spec.image")
            mask = await self._content(asked.mask, "spec.mask") if asked.HasField("mask") else b""
            return await in_pool(lambda: read(resolved, image, mask))

    async def _content(self, source: InputImage, field: str) -> bytes:
        if not source.HasField("key"):
            return source.data
        if self._blobs is None:
            raise FieldInvalid.of(f"{field}.key", "there is no object store here; send the picture itself")
        try:
            return await self._blobs.get(source.key)
        except ImageNotFound as error:
            raise FieldInvalid.of(f"{field}.key", "the picture is not in the object store any more; send it again") from error


def without_pictures(spec: GenerationSpec) -> GenerationSpec:
    """A request without the bytes of the pictures that came with it: what its reader knows, and what may be kept for long."""
    # Not a copy with the bytes taken out: a message keeps the memory of what was once in it.
    told = GenerationSpec()
    for field, value in spec.ListFields():
        if field.name in PICTURES:
            getattr(told, field.name).data = b""
        else:
            setattr(told, field.name, value)
    return told
