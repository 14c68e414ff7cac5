"""Whose a credential is, as of this moment: each answer comes from the store, so what was withdrawn is refused at once."""

from dataclasses import dataclass

from mezzotint.auth import api_keys, key_secrets
from mezzotint.auth.pepper import Pepper
from mezzotint.auth.store import Store
from mezzotint.auth.tokens import AccessTokens
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import CredentialExpired, CredentialInvalid, CredentialRevoked
from mezzotint.runtime.interceptors.access import Principal

# Verifiers keep an answer no longer, even while they follow the revocations.
CACHE_SECONDS_MAX = 300
# As on AuthenticateRequest.credential; the authorization metadata passes no validation.
CREDENTIAL_LENGTH_MAX = 4096
# Compared with in place of the digest of a key that does not exist.
NO_DIGEST = bytes(32)


@dataclass(frozen=True)
class Answer:
    """A verified caller, and until when the answer may be cached, in seconds since the epoch."""

    principal: Principal
    cache_until: float


class Authenticator:
    """Verifies API keys and access tokens. A Verifier for the access rules of this very service."""

    def __init__(self, store: Store, access: AccessTokens, pepper: Pepper, clock: Clock) -> None:
        self._store = store
        self._access = access
        self._pepper = pepper
        self._clock = clock

    async def verify(self, credential: str) -> Principal:
        """The credential's holder. Raises CredentialInvalid, CredentialExpired, CredentialRevoked."""
        return (await self.authenticate(credential)).principal

    async def authenticate(self, credential: str) -> Answer:
        """The credential's holder and until when to remember it. Raises as `verify` does."""
        if len(credential) > CREDENTIAL_LENGTH_MAX:
            raise CredentialInvalid(f"a credential has at most {CREDENTIAL_LENGTH_MAX} characters")
        if credential.startswith(key_secrets.PREFIX):
            return await self._api_key(credential)
        return await self._access_token(credential)

    async def _api_key(self, secret: str) -> Answer:
        key_id = key_secrets.parse(secret)
        holder = await self._store.keys.find(key_id)
        matches = self._pepper.matches(api_keys.DIGEST, secret, holder.digest if holder else NO_DIGEST)
        if holder is None or not matches:
            raise CredentialInvalid("no such API key")
        key = holder.key
        if key.revoked_at is not None:
            raise CredentialRevoked("this API key was withdrawn; use another")
        if not key.live(self._clock.now()):
            raise CredentialExpired("this API key's time is over; make another")
        return self._answer(Principal(key.account_id, key.key_id, holder.tier, frozenset(key.scopes)), key.expires_at)

    async def _access_token(self, token: str) -> Answer:
        claims = self._access.verify(token)
        holder = await self._store.sessions.find(claims.session_id)
        if holder is None or holder.session.account_id != claims.account_id:
            raise CredentialInvalid("the session of this access token is gone; sign in again")
        if holder.session.revoked_at is not None:
            raise CredentialRevoked("the session of this access token was ended; sign in again")
        principal = Principal(claims.account_id, claims.session_id, holder.tier, claims.scopes)
        return self._answer(principal, claims.expires_at)

    def _answer(self, principal: Principal, ends_at: float | None) -> Answer:
        latest = self._clock.now() + CACHE_SECONDS_MAX
        return Answer(principal, latest if ends_at is None else min(ends_at, latest))
