"""What a client is told about accounts, keys and past generations."""

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Account:
    """An account; its tier decides limits and the place in the queue."""

    account_id: str
    email: str
    tier: str
    created_at: datetime


@dataclass(frozen=True)
class ApiKey:
    """An API key without its secret. `expires_at` and `revoked_at` are None when they do not apply."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class NewApiKey:
    """A key just made, and its secret, which is shown this once."""

    api_key: ApiKey
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Session:
    """A signed-in session. `access_token` is a credential until `access_expires_at`; `refresh_token` buys the next, once."""

    session_id: str
    access_expires_at: datetime
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True)
class ImageInfo:
    """A finished picture that can be fetched: size in pixels and bytes."""

    format: str
    width: int
    height: int
    seed: int
    size_bytes: int


@dataclass(frozen=True)
class Generation:
    """A request and what became of it.

    `state` is "queued", "deferred", "running", "succeeded", "failed", "cancelled" or "expired". `failure` is a reason of the
    contract, and `message` explains it; both are empty unless it ended without pictures.
    """

    generation_id: str
    state: str
    created_at: datetime
    finished_at: datetime | None
    failure: str
    message: str
    images: tuple[ImageInfo, ...]
