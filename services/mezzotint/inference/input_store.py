"""Where the pictures that come with a request are: in the request itself, or, as jobs have them, in the object store."""

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec, InputImage
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid, ImageNotFound


class InputStore:
    """Finds the pictures of requests; without `blobs` only those in the request itself."""

    def __init__(self, blobs: Blobs | None = None) -> None:
        self._blobs = blobs

    async def fetch(self, spec: GenerationSpec) -> tuple[bytes, bytes]:
        """The encoded image and mask of a request; b"" for what it has not. Raises FieldInvalid when one is not there."""
        image = await self._content(spec.image, "spec.image") if spec.HasField("image") else b""
        mask = await self._content(spec.mask, "spec.mask") if spec.HasField("mask") else b""
        return image, mask

    async def _content(self, source: InputImage, field: str) -> bytes:
        if not source.HasField("key"):
            return source.data
        if self._blobs is None:
            raise FieldInvalid.of(f"{field}.key", "there is no object store here; send the picture itself")
        try:
            return await self._blobs.get(source.key)
        except ImageNotFound as error:
            raise FieldInvalid.of(f"{field}.key", "the picture is not in the object store any more; send it again") from error
