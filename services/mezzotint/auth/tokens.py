"""Access tokens: signed with ES256, typed at+jwt (RFC 9068), checked against everything RFC 8725 warns of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, GuestProtocol

from mezzotint.auth import scopes
from mezzotint.runtime.clock import Clock, NewId
from mezzotint.runtime.errors import CredentialExpired, CredentialInvalid

ISSUER = "mezzotint-auth"
AUDIENCE = "mezzotint"
ALGORITHM = "ES256"
TYPE = "at+jwt"
LIFE_SECONDS = 15 * 60
# How far ahead the clock that a token was issued by may be.
SKEW_SECONDS = 60


@dataclass(frozen=True)
class Claims:
    """What a valid access token says. `expires_at` is in seconds since the epoch."""

    account_id: str
    session_id: str
    scopes: frozenset[str]
    expires_at: float


class AccessTokens:
    """Issues and verifies access tokens. The first key signs; all of them verify."""

    def __init__(self, keys: Sequence[ECKey], clock: Clock, new_id: NewId) -> None:
        self._signing = keys[0]
        self._keys = {key.thumbprint(): key for key in keys}
        self._clock = clock
        self._new_id = new_id

    def issue(self, *, account_id: str, session_id: str, tier: str, ends_at: float) -> tuple[str, float]:
        """A token with every scope, and when it ends: after 15 minutes, or with its session if that is sooner."""
        now = int(self._clock.now())
        expires_at = min(now + LIFE_SECONDS, int(ends_at))
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signing.thumbprint()}
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": account_id,
            "sid": session_id,
            "tier": tier,
            "scope": " ".join(scopes.ALL),
            "iat": now,
            "exp": expires_at,
            "jti": self._new_id("tok"),
        }
        return jwt.encode(header, claims, self._signing, algorithms=[ALGORITHM]), float(expires_at)

    def verify(self, token: str) -> Claims:
        """What a token says. Raises CredentialInvalid, CredentialExpired. Whether its session still lives, the store knows."""
        try:
            decoded = jwt.decode(token, self._key_of, algorithms=[ALGORITHM])
        # The library also lets plain errors through for headers of unexpected types. None names the token.
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise CredentialInvalid(
                "this is neither an API key nor an access token of this server: its form or signature is wrong"
            ) from error
        return self._checked(decoded.header, decoded.claims)

    def public_keys(self) -> dict[str, str]:
        """The public keys as JSON Web Keys by their kid, the one in use first."""
        marks = {"alg": ALGORITHM, "use": "sig"}
        return {
            kid: json.dumps({**key.as_dict(private=False), **marks, "kid": kid}, sort_keys=True)
            for kid, key in self._keys.items()
        }

    def _key_of(self, signature: GuestProtocol) -> ECKey:
        """The key that the header names by its kid; keys, or addresses of keys, in the header are never looked at."""
        return self._keys[signature.headers()["kid"]]

    def _checked(self, header: dict[str, Any], claims: dict[str, Any]) -> Claims:
        now = self._clock.now()
        if header.get("typ") != TYPE or "crit" in header:
            raise CredentialInvalid(f"an access token has the type {TYPE} and no critical extensions")
        if claims.get("iss") != ISSUER or claims.get("aud") != AUDIENCE:
            raise CredentialInvalid("the access token was issued by or for somebody else")
        account_id, session_id, scope = (claims.get(name) for name in ("sub", "sid", "scope"))
        issued_at, expires_at = claims.get("iat"), claims.get("exp")
        if not (isinstance(account_id, str) and isinstance(session_id, str) and isinstance(scope, str)):
            raise CredentialInvalid("the access token lacks sub, sid or scope")
        if type(issued_at) is not int or type(expires_at) is not int or issued_at > now + SKEW_SECONDS:
            raise CredentialInvalid("the access token's times are missing or lie in the future")
        if now >= expires_at:
            raise CredentialExpired("the access token's time is over; refresh the session")
        return Claims(account_id, session_id, frozenset(scope.split()), float(expires_at))
