"""Whose a credential is: asked of auth once, remembered while auth's stream of revocations is alive."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable
from contextvars import Context

from mezzotint.api.auth.v1 import identity_pb2
from mezzotint.gateway.principals import PrincipalCache
from mezzotint.gateway.refusals import Refusals
from mezzotint.runtime import calls, logging
from mezzotint.runtime.clock import Clock
from mezzotint.runtime.errors import CredentialExpired, CredentialInvalid, CredentialRevoked, MezzotintError
from mezzotint.runtime.interceptors.access import Principal

log = logging.get(__name__)
Authenticate = Callable[[identity_pb2.AuthenticateRequest], Awaitable[identity_pb2.AuthenticateResponse]]
# Without a message of the stream for this long, no remembered answer counts.
SILENCE_SECONDS_MAX = 3.0
# Whatever auth's clock says, an answer is not kept for longer.
KEEP_SECONDS_MAX = 300.0
CREDENTIAL_LENGTH_MAX = 4096
FINAL = (CredentialInvalid, CredentialExpired, CredentialRevoked)


class CachingVerifier:
    """The gateway's `Verifier`. `follow` in revocations.py tells it what the stream of revocations says."""

    def __init__(self, authenticate: Authenticate, clock: Clock, *, entries_max: int) -> None:
        self._authenticate = authenticate
        self._clock = clock
        self._cache = PrincipalCache(entries_max)
        self._refusals = Refusals(clock)
        self._asked: dict[bytes, asyncio.Task[Principal]] = {}
        # Keyed with a secret of this process, so that a dump of the cache tells nothing about credentials.
        self._secret = secrets.token_bytes(32)
        self._heard_at: float | None = None
        self._behind = True
        # Grows with every revocation: an answer that was asked for before one is not remembered after it.
        self._epoch = 0

    async def verify(self, credential: str) -> Principal:
        """The credential's holder. Raises CredentialInvalid, CredentialExpired, CredentialRevoked, DependencyUnavailable."""
        if not 0 < len(credential) <= CREDENTIAL_LENGTH_MAX:
            raise CredentialInvalid(f"a credential has 1 to {CREDENTIAL_LENGTH_MAX} characters; this one has {len(credential)}")
        fingerprint = hashlib.blake2b(credential.encode("utf-8", "replace"), key=self._secret, digest_size=32).digest()
        if self.fresh and (found := self._cache.get(fingerprint, self._clock.now())):
            return found
        self._refusals.check(fingerprint)
        # Shielded: whoever asked first may hang up while others wait for the same answer.
        return await asyncio.shield(self._ask_once(fingerprint, credential))

    @property
    def fresh(self) -> bool:
        """Remembered answers count: the stream is alive and has caught up."""
        if self._heard_at is None or self._behind:
            return False
        return self._clock.monotonic() - self._heard_at <= SILENCE_SECONDS_MAX

    def connected(self) -> None:
        """The stream begins anew. After a long gap, all that was missed comes before the first heartbeat."""
        self._behind = not self.fresh

    def hear(self, message: identity_pb2.WatchRevocationsResponse) -> None:
        """Act on one message of the stream."""
        if message.reset:
            self._cache.clear()
            self._forget_questions()
        if message.HasField("revocation"):
            self._cache.drop(message.revocation.credential_id or message.revocation.account_id)
            self._forget_questions()
        else:
            self._behind = False
        self._heard_at = self._clock.monotonic()

    def _forget_questions(self) -> None:
        self._epoch += 1
        self._asked.clear()

    def _ask_once(self, fingerprint: bytes, credential: str) -> asyncio.Task[Principal]:
        task = self._asked.get(fingerprint)
        if task is None:
            # In a context of its own: the first caller's deadline is not the others'.
            context = Context()
            context.run(calls.request_id.set, calls.request_id.get())
            task = asyncio.create_task(self._ask(fingerprint, credential, self._epoch), context=context)
            self._asked[fingerprint] = task
            task.add_done_callback(lambda done: self._answered(fingerprint, done))
        return task

    async def _ask(self, fingerprint: bytes, credential: str, epoch: int) -> Principal:
        try:
            answer = await self._authenticate(identity_pb2.AuthenticateRequest(credential=credential))
        except FINAL as error:
            self._refusals.add(fingerprint, error)
            raise
        principal = of(answer.principal)
        if epoch == self._epoch:
            until = min(answer.cache_until.ToNanoseconds() / 1e9, self._clock.now() + KEEP_SECONDS_MAX)
            self._cache.put(fingerprint, principal, until)
        return principal

    def _answered(self, fingerprint: bytes, task: asyncio.Task[Principal]) -> None:
        if self._asked.get(fingerprint) is task:
            del self._asked[fingerprint]
        # Looked at here: asyncio complains of an error that nobody waited for, and every caller may have hung up.
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, MezzotintError):
            log.error("authenticate failed", exc_info=error)


def of(principal: identity_pb2.Principal) -> Principal:
    """The contract's principal as the access rules know it."""
    return Principal(principal.account_id, principal.credential_id, principal.tier, frozenset(principal.scopes))
