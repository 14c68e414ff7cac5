"""The contract of the store, held by every adapter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from mezzotint.auth import store as ports
from mezzotint.auth.memory_store import open_memory
from mezzotint.auth.records import Account, ApiKey, Login, Session
from mezzotint.auth.revocations import Revocation, RevocationLog, Target
from mezzotint.auth.sqlite_store import open_sqlite
from mezzotint.auth.store import Store
from mezzotint.runtime.errors import AccountExists, RequestIdReused

ADA = Login(Account("acc_1", "ada@example.org", "free", 100.0), "hash 1")
KEY = ApiKey("key_1", "acc_1", "laptop", ("images:read", "account:read"), 100.0)
SESSION = Session("ses_1", "acc_1", 100.0, 1000.0)


@pytest.fixture
def log() -> RevocationLog:
    """Where the store publishes revocations."""
    return RevocationLog()


@pytest.fixture(params=["sqlite", "memory"])
async def store(request: pytest.FixtureRequest, tmp_path: Path, log: RevocationLog) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    if request.param == "memory":
        yield open_memory(log)
        return
    async with open_sqlite(tmp_path / "auth.sqlite3", log) as (opened, _):
        yield opened


@pytest.fixture
async def ada(store: Store) -> Login:
    """An account that is in the store."""
    await store.accounts.add(ADA, "r1")
    return ADA


def published(log: RevocationLog) -> list[tuple[Target, str]]:
    """Everything published so far, which must be numbered from 1."""
    found: list[Revocation] = log.since(0) or []
    assert [each.sequence for each in found] == list(range(1, len(found) + 1))
    return [(each.target, each.target_id) for each in found]


async def open_session(store: Store, session: Session = SESSION, *, open_max: int = 9, digest: bytes = b"d1") -> bool:
    """Open a session after the right password."""
    return await store.sessions.open(session, digest, ADA, rehashed=None, open_max=open_max)


async def test_an_account_is_found_by_all_its_names(store: Store, ada: Login) -> None:
    """Ensures that an account comes back as it was added, and that nothing else does."""
    assert await store.accounts.find("acc_1") == ada.account
    assert await store.accounts.find_login(email="ada@example.org") == ada
    assert await store.accounts.find_login_by_id("acc_1") == ada
    assert await store.accounts.find_sign_up("r1") == ada
    assert await store.accounts.find("acc_2") is None
    assert await store.accounts.find_login(email="eve@example.org") is None
    assert await store.accounts.find_login_by_id("acc_2") is None
    assert await store.accounts.find_sign_up("r2") is None


async def test_an_address_and_a_request_have_one_account(store: Store, ada: Login) -> None:
    """Ensures that a second account of either is refused, the request id first, and changes nothing."""
    other = Login(replace(ada.account, account_id="acc_2"), "hash 2")
    with pytest.raises(RequestIdReused):
        await store.accounts.add(other, "r1")
    with pytest.raises(AccountExists):
        await store.accounts.add(other, "r2")
    assert await store.accounts.find("acc_2") is None
    assert await store.accounts.find_sign_up("r2") is None


async def test_a_new_password_ends_all_sessions_but_one(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that the hash changes, the other sessions end, and verifiers forget the account."""
    for name in ("ses_1", "ses_2", "ses_3"):
        await open_session(store, replace(SESSION, session_id=name))
    assert await store.accounts.change_password(ada, "hash 2", keep_session="ses_2", now=200.0)
    assert await store.accounts.find_login_by_id("acc_1") == replace(ada, password_hash="hash 2")
    assert [each.session_id for each in await store.sessions.page("acc_1", before=None, limit=9, now=200.0)] == ["ses_2"]
    assert published(log) == [(Target.ACCOUNT, "acc_1")]


async def test_a_password_that_changed_meanwhile_is_not_changed_again(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that whoever checked an old hash can neither set a new one nor open a session."""
    await open_session(store)
    assert await store.accounts.change_password(ada, "hash 2", keep_session="ses_1", now=200.0)
    assert not await store.accounts.change_password(ada, "hash 3", keep_session="", now=200.0)
    assert not await open_session(store, replace(SESSION, session_id="ses_2"))
    assert await store.sessions.find("ses_2") is None
    assert await store.accounts.find_login_by_id("acc_1") == replace(ada, password_hash="hash 2")
    assert published(log) == []


async def test_a_tier_changes_once(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that a new tier is recorded for verifiers, the same tier is not, and an unknown address is told."""
    for _ in range(2):
        moved = await store.accounts.set_tier("ada@example.org", "pro")
        assert moved == replace(ada.account, tier="pro")
    assert await store.accounts.find("acc_1") == moved
    assert await store.accounts.set_tier("eve@example.org", "pro") is None
    assert published(log) == [(Target.ACCOUNT, "acc_1")]


async def test_a_key_comes_back_with_its_accounts_tier(store: Store, ada: Login) -> None:
    """Ensures that verifying a key needs one look-up and sees the tier as of now."""
    assert await store.keys.add(KEY, b"d1", live_max=1, now=100.0)
    await store.accounts.set_tier("ada@example.org", "pro")
    holder = await store.keys.find("key_1")
    assert holder is not None
    assert (replace(holder.key, position=0), holder.digest, holder.tier) == (KEY, b"d1", "pro")
    assert await store.keys.find("key_2") is None
    assert "d1" not in repr(holder)


async def test_only_keys_that_work_count_against_the_limit(store: Store, ada: Login) -> None:
    """Ensures that revoked and expired keys make room."""
    assert await store.keys.add(replace(KEY, expires_at=200.0), b"d1", live_max=2, now=100.0)
    assert await store.keys.add(replace(KEY, key_id="key_2"), b"d2", live_max=2, now=100.0)
    third = replace(KEY, key_id="key_3")
    assert not await store.keys.add(third, b"d3", live_max=2, now=199.0)
    assert await store.keys.find("key_3") is None
    assert await store.keys.add(third, b"d3", live_max=2, now=200.0)
    assert await store.keys.revoke("acc_1", "key_2", now=200.0)
    assert await store.keys.add(replace(KEY, key_id="key_4"), b"d4", live_max=2, now=200.0)


async def test_keys_are_revoked_once_and_by_their_owner(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that the first revocation's time stays, repeating it is no news, and others find nothing."""
    await store.keys.add(KEY, b"d1", live_max=1, now=100.0)
    assert not await store.keys.revoke("acc_2", "key_1", now=200.0)
    assert not await store.keys.revoke("acc_1", "key_2", now=200.0)
    assert await store.keys.revoke("acc_1", "key_1", now=200.0)
    assert await store.keys.revoke("acc_1", "key_1", now=300.0)
    holder = await store.keys.find("key_1")
    assert holder is not None
    assert holder.key.revoked_at == 200.0
    assert published(log) == [(Target.CREDENTIAL, "key_1")]


async def test_a_key_is_replaced_once(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that of two replacements one takes place, and that a key which does not work has no successor."""
    await store.keys.add(KEY, b"d1", live_max=1, now=100.0)
    assert await store.keys.replace("key_1", replace(KEY, key_id="key_2", expires_at=300.0), b"d2", now=200.0)
    assert not await store.keys.replace("key_1", replace(KEY, key_id="key_3"), b"d3", now=200.0)
    assert not await store.keys.replace("key_2", replace(KEY, key_id="key_3"), b"d3", now=300.0)
    assert await store.keys.find("key_3") is None
    assert [key.key_id for key in await store.keys.page("acc_1", before=None, limit=9)] == ["key_2", "key_1"]
    assert published(log) == [(Target.CREDENTIAL, "key_1")]


async def test_pages_of_keys_follow_each_other(store: Store, ada: Login) -> None:
    """Ensures that the newest come first, cut at a position, of one account only."""
    await store.accounts.add(Login(Account("acc_2", "eve@example.org", "free", 1.0), "hash"), "r2")
    for number in range(5):
        await store.keys.add(replace(KEY, key_id=f"key_{number}"), b"d", live_max=9, now=100.0)
        await store.keys.add(replace(KEY, key_id=f"other_{number}", account_id="acc_2"), b"d", live_max=9, now=100.0)
    first = await store.keys.page("acc_1", before=None, limit=3)
    rest = await store.keys.page("acc_1", before=first[-1].position, limit=3)
    assert [key.key_id for key in first + rest] == ["key_4", "key_3", "key_2", "key_1", "key_0"]


async def test_the_oldest_keys_that_do_not_work_are_forgotten(
    store: Store, ada: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ensures that making and revoking keys in a loop does not fill the disk, and forgets no key that works."""
    for module in ("sqlite_keys", "memory_store"):
        monkeypatch.setattr(f"mezzotint.auth.{module}.KEYS_KEPT_MAX", 3)
    for number in range(6):
        await store.keys.add(replace(KEY, key_id=f"key_{number}"), b"d", live_max=9, now=100.0)
        if number not in (1, 5):
            await store.keys.revoke("acc_1", f"key_{number}", now=100.0)
    assert [key.key_id for key in await store.keys.page("acc_1", before=None, limit=9)] == ["key_5", "key_4", "key_3", "key_1"]
    assert ports.KEYS_KEPT_MAX > 100


async def test_a_session_comes_back_with_its_accounts_tier(store: Store, ada: Login) -> None:
    """Ensures that verifying a session needs one look-up, and that a better hash is kept with it."""
    assert await store.sessions.open(SESSION, b"d1", ada, rehashed="hash 2", open_max=9)
    holder = await store.sessions.find("ses_1")
    assert holder is not None
    assert (replace(holder.session, position=0), holder.digest, holder.tier) == (SESSION, b"d1", "free")
    assert await store.accounts.find_login_by_id("acc_1") == replace(ada, password_hash="hash 2")


async def test_of_too_many_sessions_the_oldest_end(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that the newest stay, and that ended and expired sessions do not count."""
    await open_session(store, replace(SESSION, session_id="expired", expires_at=150.0))
    for number in range(3):
        await open_session(store, replace(SESSION, session_id=f"ses_{number}", created_at=200.0), open_max=2)
    live = await store.sessions.page("acc_1", before=None, limit=9, now=200.0)
    assert [session.session_id for session in live] == ["ses_2", "ses_1"]
    assert published(log) == [(Target.CREDENTIAL, "ses_0")]


async def test_sessions_long_over_are_forgotten(store: Store, ada: Login) -> None:
    """Ensures that the store does not gather sessions for ever, and still knows one that has just expired."""
    await open_session(store)
    later = SESSION.expires_at + ports.SESSION_FORGOTTEN_SECONDS
    await open_session(store, replace(SESSION, session_id="ses_2", created_at=later, expires_at=later + 9))
    assert await store.sessions.find("ses_1")
    await open_session(store, replace(SESSION, session_id="ses_3", created_at=later + 1, expires_at=later + 9))
    assert await store.sessions.find("ses_1") is None


async def test_renewing_uses_a_digest_up(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that a used digest ends the session, and that then no digest renews it."""
    await open_session(store)
    assert await store.sessions.renew("ses_1", b"d1", b"d2", now=200.0)
    assert await store.sessions.renew("ses_1", b"d2", b"d3", now=200.0)
    assert published(log) == []
    assert not await store.sessions.renew("ses_1", b"d2", b"d4", now=300.0)
    assert not await store.sessions.renew("ses_1", b"d3", b"d4", now=300.0)
    holder = await store.sessions.find("ses_1")
    assert holder is not None
    assert holder.session.revoked_at == 300.0
    assert published(log) == [(Target.CREDENTIAL, "ses_1")]


async def test_a_session_that_is_over_is_not_renewed(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that neither an expired, a revoked nor an unknown session comes back to life."""
    await open_session(store)
    assert not await store.sessions.renew("ses_1", b"d1", b"d2", now=1000.0)
    assert published(log) == []
    assert await store.sessions.revoke("acc_1", "ses_1", now=200.0)
    assert not await store.sessions.renew("ses_1", b"d1", b"d2", now=200.0)
    assert not await store.sessions.renew("ses_9", b"d1", b"d2", now=200.0)


async def test_sessions_are_revoked_once_and_by_their_owner(store: Store, ada: Login, log: RevocationLog) -> None:
    """Ensures that the first revocation's time stays, repeating it is no news, and others find nothing."""
    await open_session(store)
    assert not await store.sessions.revoke("acc_2", "ses_1", now=200.0)
    assert not await store.sessions.revoke("acc_1", "ses_2", now=200.0)
    for now in (200.0, 300.0):
        assert await store.sessions.revoke("acc_1", "ses_1", now=now)
    holder = await store.sessions.find("ses_1")
    assert holder is not None
    assert holder.session.revoked_at == 200.0
    assert published(log) == [(Target.CREDENTIAL, "ses_1")]


async def test_pages_of_sessions_follow_each_other(store: Store, ada: Login) -> None:
    """Ensures that the newest open sessions come first, cut at a position."""
    for number in range(5):
        await open_session(store, replace(SESSION, session_id=f"ses_{number}"))
    await store.sessions.revoke("acc_1", "ses_3", now=150.0)
    first = await store.sessions.page("acc_1", before=None, limit=2, now=200.0)
    rest = await store.sessions.page("acc_1", before=first[-1].position, limit=9, now=200.0)
    assert [session.session_id for session in first + rest] == ["ses_4", "ses_2", "ses_1", "ses_0"]
    assert await store.sessions.page("acc_1", before=None, limit=9, now=1000.0) == []
