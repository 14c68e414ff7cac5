"""The auth service put together: the only place that constructs its parts."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

from mezzotint.api.auth.v1 import account_pb2_grpc, identity_pb2_grpc
from mezzotint.auth import folder, tiers
from mezzotint.auth.accounts import Accounts
from mezzotint.auth.api_keys import ApiKeys
from mezzotint.auth.authentication import Authenticator
from mezzotint.auth.identity_service import IdentityService
from mezzotint.auth.pages import Pages
from mezzotint.auth.passwords import Passwords
from mezzotint.auth.revocations import RevocationLog
from mezzotint.auth.service import AccountService
from mezzotint.auth.sessions import Sessions
from mezzotint.auth.settings import AuthSettings
from mezzotint.auth.sqlite_store import open_sqlite
from mezzotint.auth.tokens import AccessTokens
from mezzotint.runtime.clock import Clock, NewId, SystemClock, new_id
from mezzotint.runtime.server import Server
from mezzotint.runtime.tls import open_identity

SERVICES = ["mezzotint.api.auth.v1.AccountService", "mezzotint.api.auth.v1.IdentityService"]


async def run(
    settings: AuthSettings,
    stop: asyncio.Event,
    started: Callable[[int], None] = lambda port: None,
    *,
    clock: Clock | None = None,
    ids: NewId = new_id,
) -> None:
    """Serve until `stop` is set; `started` is told the port.

    Raises OSError or FieldInvalid when it cannot start, Internal when its database fails.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        names = await asyncio.to_thread(tiers.load, settings.tiers_file)
        mine = stack.enter_context(folder.claim(settings.data))
        pepper, keys = mine.pepper(), mine.signing_keys()
        revocations = RevocationLog()
        store, database = await stack.enter_async_context(open_sqlite(mine.database, revocations))
        passwords = Passwords(
            threads=settings.hashing_threads,
            waiting_max=settings.hashing_waiting_max,
            wait_seconds_max=settings.hashing_wait_seconds_max,
            memory_kib=settings.hashing_memory_kib,
            passes=settings.hashing_passes,
        )
        stack.push_async_callback(passwords.close)
        access, pages = AccessTokens(keys, clock, ids), Pages(pepper)
        authenticator = Authenticator(store, access, pepper, clock)
        server = Server(settings, open_identity(settings.data, "auth", settings.hosts), SERVICES, verifier=authenticator)
        accounts = Accounts(store.accounts, passwords, names, clock, ids)
        sessions = Sessions(store, passwords, access, pepper, pages, clock, ids)
        account_service = AccountService(accounts, sessions, ApiKeys(store.keys, pepper, pages, clock, ids))
        identity_service = IdentityService(authenticator, access, revocations, server.draining)
        server.add(account_pb2_grpc.add_AccountServiceServicer_to_server, account_service)
        server.add(identity_pb2_grpc.add_IdentityServiceServicer_to_server, identity_service)
        await server.start()
        stack.push_async_callback(server.stop)
        await server.ready()
        started(server.port)
        stopping = asyncio.ensure_future(stop.wait())
        ends: list[asyncio.Future[Any]] = [stopping, database.failure]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if database.failure.done():
            database.failure.result()
