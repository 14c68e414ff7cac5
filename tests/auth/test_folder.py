"""Auth's folder: who may use it, and the secrets in it."""

from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from mezzotint.auth import folder


def test_secrets_are_made_once_and_for_their_owner_only(data: Path) -> None:
    """Ensures that the next start finds the same pepper and signing key, in files nobody else reads."""
    with folder.claim(data) as mine:
        pepper, keys = mine.pepper(), mine.signing_keys()
    with folder.claim(data) as mine:
        assert mine.pepper().digest("a", "b") == pepper.digest("a", "b")
        assert [key.thumbprint() for key in mine.signing_keys()] == [key.thumbprint() for key in keys]
    modes = {file.name: oct(file.stat().st_mode & 0o777) for file in (data / "auth").iterdir()}
    assert modes == {"pepper.key": "0o600", "signing.key": "0o600", "lock": "0o600"}
    assert (data / "auth").stat().st_mode & 0o777 == 0o700


def test_one_process_has_the_folder(data: Path) -> None:
    """Ensures that two processes never serve one database, and that the folder is free afterwards."""
    with folder.claim(data), pytest.raises(OSError, match="another process"), folder.claim(data):
        pass
    with folder.claim(data):
        pass


def test_a_lost_pepper_is_not_replaced(data: Path) -> None:
    """Ensures that keys do not silently stop working because a file was forgotten in a restore."""
    with folder.claim(data) as mine:
        mine.pepper()
        mine.database.touch()
        (data / "auth" / "pepper.key").unlink()
        with pytest.raises(OSError, match=r"pepper\.key is missing"):
            mine.pepper()


def test_a_short_pepper_is_refused(data: Path) -> None:
    """Ensures that a truncated file does not weaken every hash."""
    with folder.claim(data) as mine:
        (data / "auth" / "pepper.key").write_bytes(b"short")
        with pytest.raises(OSError, match="5 bytes"):
            mine.pepper()


def test_the_newest_key_signs_and_retired_ones_follow(data: Path) -> None:
    """Ensures that a key is changed by renaming a file, and that its tokens stay good."""
    with folder.claim(data) as mine:
        (old,) = mine.signing_keys()
        (data / "auth" / "signing.key").rename(data / "auth" / "signing-2026.key")
        new, retired = mine.signing_keys()
    assert retired.thumbprint() == old.thumbprint() != new.thumbprint()


@pytest.mark.parametrize(
    "content",
    [b"garbage", b"", ECKey.generate_key("P-384").as_pem(private=True), ECKey.generate_key("P-256").as_pem(private=False)],
)
def test_a_file_that_is_no_signing_key_is_named(data: Path, content: bytes) -> None:
    """Ensures that a wrong key stops the start with the file's name and not the first sign-in with a riddle."""
    with folder.claim(data) as mine:
        (data / "auth" / "signing.key").write_bytes(content)
        with pytest.raises(OSError, match=r"signing\.key"):
            mine.signing_keys()
