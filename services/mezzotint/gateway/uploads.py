"""Pictures that come with requests, in the object store while their generations are not final.

A job's payload is too small for them, so it names them. They are deleted when the gateway that follows the generation hears of
its end; those of gateways that did not live to hear it, and of jobs that the queue refused, when they are two days old, by any
gateway.
"""

from typing import Literal

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.gateway.spec import digest
from mezzotint.runtime import logging
from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import FieldInvalid

log = logging.get(__name__)
PREFIX = "inputs"
# Longer than any generation waits and is drawn: one that no worker began within a day is over.
KEPT_SECONDS = 48 * 3600.0
FIELDS: tuple[Literal["image", "mask"], ...] = ("image", "mask")


class Uploads:
    """Stores and deletes pictures by their keys."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs

    async def put(self, inputs: dict[str, bytes]) -> None:
        """Store pictures by key; they are let go of here. Raises StorageFull."""
        while inputs:
            key, content = inputs.popitem()
            await self._blobs.put(key, content)

    async def forget(self, spec: GenerationSpec) -> None:
        """Delete the pictures that a final generation named. What cannot be deleted now is swept later."""
        for key in keys_of(spec):
            try:
                await self._blobs.delete(key)
            except Exception as error:  # noqa: BLE001  # whatever the store says, the generation is over and well
                log.warning("a picture that came with a request was not deleted", key=key, error=str(error))

    async def sweep(self) -> None:
        """Delete what is too old."""
        try:
            swept = await self._blobs.delete_older(PREFIX, KEPT_SECONDS)
            log.debug("swept", deleted=swept)
        except Exception as error:  # noqa: BLE001  # as above
            log.warning("pictures that came with requests were not swept", error=str(error))


def keys_of(spec: GenerationSpec) -> list[str]:
    """The keys of the pictures that a spec names."""
    return [getattr(spec, field).key for field in FIELDS if spec.HasField(field)]


def moved_out(spec: GenerationSpec, account_id: str, request_id: str) -> dict[str, bytes]:
    """Take the pictures out of `spec`, which names them from now on: by key, the same for a call and its retries.

    Raises FieldInvalid when it names any: only pictures that came with the request are the caller's.
    """
    for field in FIELDS:
        if getattr(spec, field).HasField("key"):
            raise FieldInvalid.of(f"spec.{field}.key", "send the picture itself as data")
    contents = {field: getattr(spec, field).data for field in FIELDS if spec.HasField(field)}
    if not contents:
        return {}
    name = digest("upload", account_id, request_id, *contents.values()).hex()[:48]
    for field in contents:
        getattr(spec, field).key = f"{PREFIX}/{name}/{field}"
    return {getattr(spec, field).key: content for field, content in contents.items()}
