"""What is kept: accounts, API keys and sessions. Times are seconds since the epoch. No digest or hash is in a repr."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Account:
    """One person or organisation."""

    account_id: str
    email: str
    tier: str
    created_at: float


@dataclass(frozen=True)
class Login:
    """An account with what its password is checked against."""

    account: Account
    password_hash: str = field(repr=False)


@dataclass(frozen=True)
class ApiKey:
    """An API key without its secret. `position` orders keys by when they were stored; the store gives it."""

    key_id: str
    account_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    position: int = 0

    def live(self, now: float) -> bool:
        """Whether it works."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True)
class KeyHolder:
    """An API key as it is verified: with the keyed hash of its secret and its account's tier."""

    key: ApiKey
    tier: str
    digest: bytes = field(repr=False)


@dataclass(frozen=True)
class Session:
    """One signed-in device. `position` orders sessions by when they were stored; the store gives it."""

    session_id: str
    account_id: str
    created_at: float
    expires_at: float
    revoked_at: float | None = None
    position: int = 0

    def live(self, now: float) -> bool:
        """Whether it works."""
        return self.revoked_at is None and now < self.expires_at


@dataclass(frozen=True)
class SessionHolder:
    """A session as it is verified: with the keyed hash of its latest refresh token and its account's tier."""

    session: Session
    tier: str
    digest: bytes = field(repr=False)
