"""What the database does when something is wrong with it."""

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.api.auth.v1 import account_pb2_grpc
from mezzotint.auth import app
from mezzotint.auth.records import Account, Login
from mezzotint.auth.revocations import RevocationLog, Target
from mezzotint.auth.settings import AuthSettings
from mezzotint.auth.sqlite_database import Transaction
from mezzotint.auth.sqlite_store import open_sqlite
from mezzotint.runtime import calls, errors
from mezzotint.runtime.tls import Authority
from tests.support.serving import connect


async def test_a_full_disk_refuses_and_recovers(tmp_path: Path) -> None:
    """Ensures that a full database changes nothing, says so with a time to come back, and works again once there is room."""
    log = RevocationLog()
    async with open_sqlite(tmp_path / "auth.sqlite3", log) as (store, database):

        async def fill() -> int:
            for number in range(10_000):
                login = Login(Account(f"acc_{number}", f"{number}@example.org", "free", 1.0), "hash" * 100)
                try:
                    await store.accounts.add(login, f"r{number}")
                except errors.StorageFull:
                    return number
            raise AssertionError("the database never was full")

        # At its limit of pages SQLite fails exactly as on a full disk.
        await database.run(lambda transaction: transaction.one("PRAGMA max_page_count = 40"))
        refused = await fill()
        assert await store.accounts.find(f"acc_{refused}") is None
        with pytest.raises(errors.StorageFull) as full:
            await store.accounts.add(Login(Account("acc_y", "y@example.org", "free", 1.0), "hash" * 2000), "ry")
        assert full.value.retry_after
        assert await store.accounts.find(f"acc_{refused - 1}")
        assert not database.failure.done()
        await database.run(lambda transaction: transaction.one("PRAGMA max_page_count = 4000"))
        await store.accounts.add(Login(Account("acc_x", "x@example.org", "free", 1.0), "hash"), "rx")


async def test_a_failed_step_changes_and_publishes_nothing(tmp_path: Path) -> None:
    """Ensures that a step is whole or not there, its revocations included."""
    log = RevocationLog()
    async with open_sqlite(tmp_path / "auth.sqlite3", log) as (_, database):

        def work(transaction: Transaction) -> None:
            transaction.revoke(Target.ACCOUNT, "acc_1")
            raise errors.TierUnknown("half way")

        with pytest.raises(errors.TierUnknown):
            await database.run(work)
        assert await database.history() == (0, [])
        assert log.last == 0
        await database.run(lambda transaction: transaction.revoke(Target.ACCOUNT, "acc_2"))
        assert [(each.sequence, each.target_id) for each in log.since(0) or []] == [(1, "acc_2")]


async def test_a_caller_who_gives_up_takes_no_revocation_with_him(tmp_path: Path) -> None:
    """Ensures that what was committed reaches the verifiers though nobody waits for the answer."""
    log = RevocationLog()
    async with open_sqlite(tmp_path / "auth.sqlite3", log) as (_, database):
        begun, told = asyncio.Event(), asyncio.get_running_loop()

        def work(transaction: Transaction) -> None:
            transaction.revoke(Target.ACCOUNT, "acc_1")
            told.call_soon_threadsafe(begun.set)

        call = asyncio.ensure_future(database.run(work))
        await begun.wait()
        call.cancel()
        await database.run(lambda transaction: None)
        assert log.last == 1


async def test_a_failure_is_noticed_though_its_caller_gave_up(tmp_path: Path) -> None:
    """Ensures that a database which fails for nobody takes no more work, and tells the process."""
    async with open_sqlite(tmp_path / "auth.sqlite3", RevocationLog()) as (store, database):
        begun, loop, go_on = asyncio.Event(), asyncio.get_running_loop(), threading.Event()

        def work(transaction: Transaction) -> None:
            loop.call_soon_threadsafe(begun.set)
            go_on.wait()
            transaction.one("SELECT broken")

        call = asyncio.ensure_future(database.run(work))
        await begun.wait()
        call.cancel()
        go_on.set()
        with pytest.raises(errors.Internal, match="is stopping"):
            await store.accounts.find("acc_1")
        with pytest.raises(errors.Internal, match="no such column: broken"):
            await asyncio.wait_for(asyncio.shield(database.failure), 1)


async def test_a_path_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    """Ensures that the error says which file, whatever is wrong with it."""
    with pytest.raises(OSError, match="cannot open the database"):
        async with open_sqlite(tmp_path, RevocationLog()):
            pass


async def test_the_history_is_bounded_and_its_numbers_go_on(tmp_path: Path) -> None:
    """Ensures that old revocations are forgotten on disk too, and that a restart never gives a number twice."""
    for opened in range(3):
        log = RevocationLog(history_max=4)
        async with open_sqlite(tmp_path / "auth.sqlite3", log) as (_, database):
            assert log.last == 3 * opened
            for _ in range(3):
                await database.run(lambda transaction: transaction.revoke(Target.ACCOUNT, "acc_1"))
            last, entries = await database.history()
            assert last == 3 * (opened + 1)
            assert [each.sequence for each in entries] == list(range(max(1, last - 3), last + 1))
            assert log.since(last - len(entries)) == entries


async def test_a_file_that_is_no_database_is_named(settings: AuthSettings, authority: Authority) -> None:
    """Ensures that a broken file stops the start with its name, and is not overwritten."""
    folder = settings.data / "auth"
    folder.mkdir()
    (folder / "pepper.key").write_bytes(bytes(32))
    (folder / "auth.sqlite3").write_bytes(b"garbage " * 1000)
    with pytest.raises(OSError, match=r"auth\.sqlite3.*not a database"):
        await app.run(settings, asyncio.Event())
    assert (folder / "auth.sqlite3").read_bytes() == b"garbage " * 1000


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """Ensures that an older release does not write into a database it does not understand."""
    path = tmp_path / "auth.sqlite3"
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(OSError, match="newer version"):
        async with open_sqlite(path, RevocationLog()):
            pass


async def test_a_database_that_fails_stops_the_process(settings: AuthSettings, authority: Authority) -> None:
    """Ensures that after a failure nothing is acknowledged any more, and that the service ends with an error."""
    stop, started = asyncio.Event(), asyncio.get_running_loop().create_future()
    running = asyncio.ensure_future(app.run(settings, stop, started.set_result))
    async with connect(authority, await started, "auth", identity="gateway") as channel:
        intruder = apsw.Connection(str(settings.data / "auth" / "auth.sqlite3"))
        intruder.execute("DROP TABLE sessions; DROP TABLE api_keys; DROP TABLE accounts")
        intruder.close()
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        with pytest.raises(errors.Internal, match="database failed"):
            await calls.call(accounts.SignIn, pb.SignInRequest(email="a@b.org", password="password"))
        with pytest.raises(errors.Internal, match="no such table"):
            await asyncio.wait_for(running, 10)
