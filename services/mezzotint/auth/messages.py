"""Our records as the contract's messages."""

from mezzotint.api.auth.v1 import account_pb2, identity_pb2
from mezzotint.auth.authentication import Answer
from mezzotint.auth.records import Account, ApiKey, Session
from mezzotint.auth.revocations import Target, Update
from mezzotint.auth.sessions import Tokens
from mezzotint.auth.times import timestamp


def account_message(account: Account) -> account_pb2.Account:
    """An account."""
    return account_pb2.Account(
        account_id=account.account_id, email=account.email, tier=account.tier, created_at=timestamp(account.created_at)
    )


def api_key_message(key: ApiKey) -> account_pb2.ApiKey:
    """An API key."""
    return account_pb2.ApiKey(
        key_id=key.key_id,
        name=key.name,
        scopes=key.scopes,
        created_at=timestamp(key.created_at),
        expires_at=None if key.expires_at is None else timestamp(key.expires_at),
        revoked_at=None if key.revoked_at is None else timestamp(key.revoked_at),
    )


def session_message(session: Session) -> account_pb2.Session:
    """A session."""
    return account_pb2.Session(
        session_id=session.session_id, created_at=timestamp(session.created_at), expires_at=timestamp(session.expires_at)
    )


def tokens_message(tokens: Tokens) -> account_pb2.SessionTokens:
    """What a signed-in client holds."""
    return account_pb2.SessionTokens(
        session=session_message(tokens.session),
        access_token=tokens.access_token,
        access_expires_at=timestamp(tokens.access_expires_at),
        refresh_token=tokens.refresh_token,
    )


def answer_message(answer: Answer) -> identity_pb2.AuthenticateResponse:
    """A verified caller."""
    found = answer.principal
    principal = identity_pb2.Principal(
        account_id=found.account_id, credential_id=found.credential_id, tier=found.tier, scopes=sorted(found.scopes)
    )
    return identity_pb2.AuthenticateResponse(principal=principal, cache_until=timestamp(answer.cache_until))


def update_message(update: Update) -> identity_pb2.WatchRevocationsResponse:
    """What a watcher is told."""
    message = identity_pb2.WatchRevocationsResponse(sequence=update.sequence, reset=update.reset)
    if update.revocation is None:
        return message
    if update.revocation.target is Target.CREDENTIAL:
        message.revocation.credential_id = update.revocation.target_id
    else:
        message.revocation.account_id = update.revocation.target_id
    return message
