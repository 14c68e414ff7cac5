"""Making, listing, replacing and withdrawing API keys, within what their owner may do."""

from collections.abc import Sequence
from dataclasses import replace

from mezzotint.auth import key_secrets, scopes
from mezzotint.auth.pages import Pages
from mezzotint.auth.pepper import Pepper
from mezzotint.auth.records import ApiKey
from mezzotint.auth.store import KeyStore
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import ApiKeyNotFound, FieldInvalid, LimitReached
from mezzotint.runtime.interceptors.access import Principal

# Keys of one account that work at the same time.
LIVE_MAX = 100
# The purpose that secrets are hashed for.
DIGEST = "api-key"


class ApiKeys:
    """The API keys in a store."""

    def __init__(self, store: KeyStore, pepper: Pepper, pages: Pages, clock: Clock, new_id: NewId) -> None:
        self._store = store
        self._pepper = pepper
        self._pages = pages
        self._clock = clock
        self._new_id = new_id

    async def create(
        self, caller: Principal, *, name: str, wanted: Sequence[str], expires_at: float | None
    ) -> tuple[ApiKey, str]:
        """A new key and its secret. Raises ScopeMissing, FieldInvalid, LimitReached."""
        now = self._clock.now()
        granted = tuple(wanted) or scopes.KEY_DEFAULT
        scopes.require(caller.scopes, granted)
        if expires_at is not None and expires_at <= now:
            raise FieldInvalid.of("expires_at", "must lie in the future")
        key = ApiKey(self._new_id("key"), caller.account_id, name, granted, now, expires_at)
        secret = key_secrets.mint(key.key_id)
        if not await self._store.add(key, self._digest(secret), live_max=LIVE_MAX, now=now):
            limit = {"limit": str(LIVE_MAX)}
            raise LimitReached(f"the account has {LIVE_MAX} keys that work, and may not have more; revoke one", metadata=limit)
        return key, secret

    async def page(self, account_id: str, *, size: int, token: str) -> tuple[list[ApiKey], str]:
        """A page of an account's keys, newest first, and the next page's token. Raises PageTokenInvalid."""
        query, size = f"keys {account_id}", self._pages.size(size)
        found = await self._store.page(account_id, before=self._pages.before(token, query), limit=size + 1)
        return found[:size], self._pages.next_token([key.position for key in found], size, query)

    async def rotate(self, caller: Principal, key_id: str) -> tuple[ApiKey, str]:
        """A new key in place of one of the caller's, and its secret. Raises ApiKeyNotFound, ScopeMissing."""
        holder = await self._store.find(key_id)
        if holder is None or holder.key.account_id != caller.account_id:
            raise missing(key_id)
        scopes.require(caller.scopes, holder.key.scopes)
        now = self._clock.now()
        key = replace(holder.key, key_id=self._new_id("key"), created_at=now, revoked_at=None)
        secret = key_secrets.mint(key.key_id)
        if not await self._store.replace(key_id, key, self._digest(secret), now=now):
            raise missing(key_id)
        return key, secret

    async def revoke(self, account_id: str, key_id: str) -> None:
        """Withdraw one of an account's keys. Raises ApiKeyNotFound."""
        if not await self._store.revoke(account_id, key_id, now=self._clock.now()):
            raise missing(key_id)

    def _digest(self, secret: str) -> bytes:
        return self._pepper.digest(DIGEST, secret)


def missing(key_id: str) -> ApiKeyNotFound:
    """The error for a key that is not the caller's, or does not work any more where it must."""
    return ApiKeyNotFound(f"the account has no API key {key_id} that works; list its keys")
