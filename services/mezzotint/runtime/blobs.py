"""The object store for pictures: a folder by default, S3 and friends by URL."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from mezzotint.runtime.errors import ImageNotFound, StorageFull


class Blobs:
    """Named byte strings. Keys are paths with slashes; what is put is whole or not there."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    @classmethod
    def open(cls, url: str, data: Path) -> "Blobs":
        """The store at `url` ("s3://bucket/prefix"), or the folder `images` of the data folder when it is empty."""
        if url:
            return cls(from_url(url))
        folder = data / "images"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(LocalStore(folder, automatic_cleanup=True))

    async def put(self, key: str, content: bytes) -> None:
        """Store `content` under `key`, replacing what was there. Raises StorageFull."""
        try:
            await obstore.put_async(self._store, key, content)
        except Exception as error:
            if "No space left" in str(error) or "os error 28" in str(error):
                raise StorageFull("the store for pictures is full; free space and try again", retry_after=30) from error
            raise

    async def get(self, key: str) -> bytes:
        """What lies under `key`. Raises ImageNotFound."""
        try:
            result = await obstore.get_async(self._store, key)
            return bytes(await result.bytes_async())
        except (FileNotFoundError, ValueError) as error:  # a key that leads outside the store is a ValueError
            raise ImageNotFound(f"no picture is stored as {key!r}") from error

    async def delete(self, key: str) -> None:
        """Delete what lies under `key`, if anything does."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def delete_older(self, prefix: str, seconds: float) -> int:
        """Delete what was put under a prefix longer than so many seconds ago, by the store's own clock. Returns how many."""
        before, deleted = datetime.now(UTC) - timedelta(seconds=seconds), 0
        async for found in obstore.list(self._store, prefix):
            for each in found:
                if each["last_modified"] < before:
                    await self.delete(each["path"])
                    deleted += 1
        return deleted
