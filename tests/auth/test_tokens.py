"""Access tokens against everything that attackers try with JSON Web Tokens."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import ECKey

from mezzotint.auth.tokens import AccessTokens
from mezzotint.runtime.errors import CredentialExpired, CredentialInvalid
from tests.support.clock import ManualClock, counting_ids

KEY, OLD_KEY, FOREIGN_KEY = (ECKey.generate_key("P-256") for _ in range(3))
CLOCK = ManualClock()
NOW = int(CLOCK.now())
TOKENS = AccessTokens([KEY, OLD_KEY], CLOCK, counting_ids())
HEADER = {"alg": "ES256", "typ": "at+jwt", "kid": KEY.thumbprint()}
CLAIMS = {
    "iss": "mezzotint-auth",
    "aud": "mezzotint",
    "sub": "acc_1",
    "sid": "ses_1",
    "scope": "images:read",
    "iat": NOW,
    "exp": NOW + 900,
    "jti": "tok_1",
}


def part(value: object) -> str:
    """A header or payload as it stands in a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None, key: ECKey = KEY) -> str:
    """A token with a right signature; None removes a header or claim."""
    own_header = {name: value for name, value in {**HEADER, **(header or {})}.items() if value is not None}
    own_claims = {name: value for name, value in {**CLAIMS, **(claims or {})}.items() if value is not None}
    return jwt.encode(own_header, own_claims, key, algorithms=["ES256"], default_type=None)


def hs256(secret: bytes) -> str:
    """A token signed with the public key as if it were a shared secret."""
    body = f"{part({**HEADER, 'alg': 'HS256'})}.{part(CLAIMS)}"
    signature = base64.urlsafe_b64encode(hmac.digest(secret, body.encode(), hashlib.sha256)).rstrip(b"=").decode()
    return f"{body}.{signature}"


def tampered(change: Callable[[list[str]], None]) -> str:
    """A good token with something changed after signing."""
    parts = signed().split(".")
    change(parts)
    return ".".join(parts)


def test_what_is_issued_verifies() -> None:
    """Ensures that a token says what it was issued for, until its end or its session's."""
    token, expires_at = TOKENS.issue(account_id="acc_1", session_id="ses_1", tier="free", ends_at=NOW + 1e6)
    claims = TOKENS.verify(token)
    assert (claims.account_id, claims.session_id, claims.expires_at) == ("acc_1", "ses_1", expires_at)
    assert expires_at == NOW + 900
    assert TOKENS.issue(account_id="a", session_id="s", tier="free", ends_at=NOW + 60)[1] == NOW + 60


def test_a_key_that_no_longer_signs_still_verifies() -> None:
    """Ensures that changing the signing key signs nobody out."""
    assert TOKENS.verify(signed({"kid": OLD_KEY.thumbprint()}, key=OLD_KEY)).account_id == "acc_1"
    assert list(TOKENS.public_keys()) == [KEY.thumbprint(), OLD_KEY.thumbprint()]


ATTACKS = {
    "no algorithm": f"{part({**HEADER, 'alg': 'none'})}.{part(CLAIMS)}.",
    "no algorithm, odd case": f"{part({**HEADER, 'alg': 'nOnE'})}.{part(CLAIMS)}.",
    "no algorithm, a signature": tampered(lambda parts: parts.__setitem__(0, part({**HEADER, "alg": "none"}))),
    "the public key as a shared secret": hs256(KEY.as_pem(private=False)),
    "the public JWK as a shared secret": hs256(json.dumps(KEY.as_dict(private=False)).encode()),
    "a foreign key under our kid": signed(key=FOREIGN_KEY),
    "an unknown kid": signed({"kid": FOREIGN_KEY.thumbprint()}, key=FOREIGN_KEY),
    "another of our kids": signed({"kid": OLD_KEY.thumbprint()}),
    "no kid": signed({"kid": None}),
    "a kid that is a path": signed({"kid": "../../dev/null"}),
    "a key of its own in the header": signed(
        {"kid": FOREIGN_KEY.thumbprint(), "jwk": FOREIGN_KEY.as_dict(private=False)}, key=FOREIGN_KEY
    ),
    "another type": signed({"typ": "JWT"}),
    "no type": signed({"typ": None}),
    "another audience": signed(claims={"aud": "somebody"}),
    "no audience": signed(claims={"aud": None}),
    "several audiences": signed(claims={"aud": ["mezzotint", "somebody"]}),
    "another issuer": signed(claims={"iss": "somebody"}),
    "no issuer": signed(claims={"iss": None}),
    "no subject": signed(claims={"sub": None}),
    "a subject that is no text": signed(claims={"sub": ["acc_1"]}),
    "no session": signed(claims={"sid": None}),
    "no scope": signed(claims={"scope": None}),
    "no end": signed(claims={"exp": None}),
    "an end that is text": signed(claims={"exp": str(NOW + 900)}),
    "an end that is true": signed(claims={"exp": True}),
    "an endless end": signed(claims={"exp": float("inf")}),
    "no beginning": signed(claims={"iat": None}),
    "a beginning in the future": signed(claims={"iat": NOW + 61}),
    "a changed payload": tampered(lambda parts: parts.__setitem__(1, part({**CLAIMS, "sub": "acc_2"}))),
    "a changed header": tampered(lambda parts: parts.__setitem__(0, part({**HEADER, "x": 1}))),
    "no signature": tampered(lambda parts: parts.__setitem__(2, "")),
    "a zero signature": tampered(lambda parts: parts.__setitem__(2, base64.urlsafe_b64encode(bytes(64)).decode())),
    "a short signature": tampered(lambda parts: parts.__setitem__(2, parts[2][:40])),
    "a fourth part": signed() + ".e30",
    "two parts": ".".join(signed().split(".")[:2]),
    "a payload that is a list": f"{part(HEADER)}.{part([])}.{signed().split('.')[2]}",
    "a header that is a list": f"{part(['alg'])}.{part(CLAIMS)}.AAAA",
    "a header with a list as kid": f"{part({**HEADER, 'kid': ['x']})}.{part(CLAIMS)}.AAAA",
    "a header with a number as algorithm": f"{part({**HEADER, 'alg': 1})}.{part(CLAIMS)}.AAAA",
    "a header with a map as algorithm": f"{part({**HEADER, 'alg': {}})}.{part(CLAIMS)}.AAAA",
    "a deep header": base64.urlsafe_b64encode(b'{"alg":' + b"[" * 200 + b"]" * 200 + b"}").decode() + ".e30.AAAA",
    "an unknown critical extension": f"{part({**HEADER, 'crit': ['x'], 'x': 1})}.{part(CLAIMS)}.AAAA",
    "an encrypted token": "a.b.c.d.e",
    "not ASCII": signed() + "é",
}


@pytest.mark.parametrize("token", ATTACKS.values(), ids=ATTACKS.keys())
def test_attacks_are_refused(token: str) -> None:
    """Ensures that whatever is not exactly a token of ours is refused as invalid, without repeating it."""
    with pytest.raises(CredentialInvalid) as refused:
        TOKENS.verify(token)
    assert token not in refused.value.message


def test_a_critical_extension_is_refused_though_signed() -> None:
    """Ensures that a token which demands what we do not do is not accepted halfway."""
    body = {**HEADER, "crit": ["b64"], "b64": True}
    with pytest.raises(CredentialInvalid):
        TOKENS.verify(_sign_by_hand(body))


def _sign_by_hand(header: dict[str, Any]) -> str:
    body = f"{part(header)}.{part(CLAIMS)}"
    private = KEY.private_key
    assert private is not None
    r, s = utils.decode_dss_signature(private.sign(body.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{body}.{base64.urlsafe_b64encode(r.to_bytes(32) + s.to_bytes(32)).rstrip(b'=').decode()}"


def test_signing_by_hand_is_signing() -> None:
    """Ensures that the test above fails for its extension and not for its signature."""
    assert TOKENS.verify(_sign_by_hand(HEADER)).account_id == "acc_1"


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0, -1])
def test_expired_is_told_apart_from_invalid(exp: int) -> None:
    """Ensures that a client knows when to refresh instead of signing in."""
    with pytest.raises(CredentialExpired):
        TOKENS.verify(signed(claims={"exp": exp}))


def test_an_expired_forgery_is_only_invalid() -> None:
    """Ensures that the time is not looked at before the signature."""
    with pytest.raises(CredentialInvalid):
        TOKENS.verify(signed(claims={"exp": NOW - 1}, key=FOREIGN_KEY))


@given(st.text(max_size=200) | st.lists(st.text(max_size=60), min_size=3, max_size=3).map(".".join))
def test_garbage_is_invalid(token: str) -> None:
    """Ensures that no text whatsoever makes verifying fail in another way."""
    with pytest.raises(CredentialInvalid):
        TOKENS.verify(token)


def test_shared_secrets_are_no_keys() -> None:
    """Ensures that the published keys are public keys on a curve, nothing a token could be signed with."""
    for jwk in TOKENS.public_keys().values():
        published = json.loads(jwk)
        assert (published["kty"], published["crv"], published["alg"], published["use"]) == ("EC", "P-256", "ES256", "sig")
        assert "d" not in published
