"""The object store for pictures."""

from pathlib import Path

import pytest

from mezzotint.runtime.blobs import Blobs
from mezzotint.runtime.errors import ImageNotFound


async def test_what_was_put_comes_back(data: Path) -> None:
    """Ensures that a picture survives another process opening the folder."""
    await Blobs.open("", data).put("job_1/0.png", b"picture")
    assert await Blobs.open("", data).get("job_1/0.png") == b"picture"


@pytest.mark.parametrize("key", ["job_1/1.png", "../tls/ca.key", "/etc/passwd"])
async def test_what_was_not_put_is_not_found(data: Path, key: str) -> None:
    """Ensures that no key leads outside the store."""
    (data / "tls").mkdir(parents=True)
    (data / "tls" / "ca.key").write_bytes(b"secret")
    with pytest.raises(ImageNotFound):
        await Blobs.open("", data).get(key)
