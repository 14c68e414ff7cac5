"""Where accounts, keys and sessions are kept.

Every verb is atomic, and what it changed is on disk when it returns. What makes a verifier's cached answer wrong is recorded in
the same step, numbered without gaps, and published to the revocation log before the verb returns, also when the caller has
given up. Any verb can raise StorageFull (nothing changed) or Internal (the store is broken; the process stops).
"""

from dataclasses import dataclass
from typing import Protocol

from mezzotint.auth.records import Account, ApiKey, KeyHolder, Login, Session, SessionHolder

# Keys of one account that are kept. Beyond it the oldest that no longer work are forgotten.
KEYS_KEPT_MAX = 1000
# A session is forgotten this long after its end.
SESSION_FORGOTTEN_SECONDS = 30 * 24 * 3600


class AccountStore(Protocol):
    """Accounts, found by id, address or the request that opened them."""

    async def add(self, login: Login, request_id: str) -> None:
        """Keep a new account. Raises AccountExists when its address is taken, RequestIdReused when the request id is."""
        ...

    async def find(self, account_id: str) -> Account | None:
        """The account of an id."""
        ...

    async def find_login(self, *, email: str) -> Login | None:
        """The account of an address, which must be in its normal form."""
        ...

    async def find_login_by_id(self, account_id: str) -> Login | None:
        """The account of an id, with its password's hash."""
        ...

    async def find_sign_up(self, request_id: str) -> Login | None:
        """The account that a request opened."""
        ...

    async def change_password(self, login: Login, new_hash: str, *, keep_session: str, now: float) -> bool:
        """Set a new hash and end every session but `keep_session`; False, and nothing, if the hash is no longer `login`'s."""
        ...

    async def set_tier(self, email: str, tier: str) -> Account | None:
        """Move the account of an address to a tier, recording a revocation if it was in another; None when there is none."""
        ...


class KeyStore(Protocol):
    """API keys, revoked ones included; of more than KEYS_KEPT_MAX of an account the oldest that do not work are forgotten."""

    async def add(self, key: ApiKey, digest: bytes, *, live_max: int, now: float) -> bool:
        """Keep a new key; False, and nothing, if the account has `live_max` keys that work."""
        ...

    async def find(self, key_id: str) -> KeyHolder | None:
        """The key of an id."""
        ...

    async def page(self, account_id: str, *, before: int | None, limit: int) -> list[ApiKey]:
        """An account's keys with a position below `before`, newest first."""
        ...

    async def replace(self, old_id: str, key: ApiKey, digest: bytes, *, now: float) -> bool:
        """Revoke the key `old_id` and keep `key` in its stead; False, and nothing, if the old one no longer works."""
        ...

    async def revoke(self, account_id: str, key_id: str, *, now: float) -> bool:
        """Revoke an account's key, if it is not yet; False when the account has no such key."""
        ...


class SessionStore(Protocol):
    """Sessions. One whose end lies SESSION_FORGOTTEN_SECONDS back is forgotten when its account opens the next."""

    async def open(self, session: Session, digest: bytes, login: Login, *, rehashed: str | None, open_max: int) -> bool:
        """Keep a new session, and the account's `rehashed` password hash if there is one.

        False, and nothing, if the hash is no longer `login`'s: the password that was checked is no longer right. Of more than
        `open_max` sessions the oldest end.
        """
        ...

    async def find(self, session_id: str) -> SessionHolder | None:
        """The session of an id."""
        ...

    async def page(self, account_id: str, *, before: int | None, limit: int, now: float) -> list[Session]:
        """An account's sessions that work, with a position below `before`, newest first."""
        ...

    async def renew(self, session_id: str, old: bytes, new: bytes, *, now: float) -> bool:
        """Replace the refresh token's digest `old` by `new`.

        If the digest is another, `old` was used before: the session is revoked. False, then and whenever it does not work.
        """
        ...

    async def revoke(self, account_id: str, session_id: str, *, now: float) -> bool:
        """Revoke an account's session, if it is not yet; False when the account has no such session."""
        ...


@dataclass(frozen=True)
class Store:
    """The three together, over one database."""

    accounts: AccountStore
    keys: KeyStore
    sessions: SessionStore
