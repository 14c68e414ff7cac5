"""The whole service: restarts, overload, and that no secret is written anywhere it should not be."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.api.auth.v1 import account_pb2 as pb
from mezzotint.auth import app
from mezzotint.auth.settings import AuthSettings
from mezzotint.runtime import calls, errors
from mezzotint.runtime.tls import Authority
from tests.auth.serving import EMAIL, PASSWORD, Auth, bearer, serving_auth, speaking
from tests.support.clock import ManualClock

START_SECONDS_MAX = 30


async def test_a_restart_keeps_everything(settings: AuthSettings, authority: Authority, clock: ManualClock) -> None:
    """Ensures that accounts, sessions, keys, revocations and what tokens are signed with outlive the process."""
    async with serving_auth(settings, authority, clock) as auth:
        tokens = await auth.member()
        good, bad = await auth.create_key(tokens.access_token), await auth.create_key(tokens.access_token)
        await auth.revoke_key(tokens.access_token, bad.api_key.key_id)
        before = await auth.authenticate(good.secret)
    async with serving_auth(settings, authority, clock) as auth:
        assert await auth.authenticate(good.secret) == before
        with pytest.raises(errors.CredentialRevoked):
            await auth.authenticate(bad.secret)
        assert (await auth.authenticate(tokens.access_token)).principal.account_id == before.principal.account_id
        assert (await auth.refresh(tokens)).session == tokens.session
        assert (await auth.sign_in()).access_token
        assert (await auth.sign_up()).account_id == before.principal.account_id


async def test_stronger_hashing_reaches_an_account_when_it_signs_in(
    settings: AuthSettings, authority: Authority, clock: ManualClock
) -> None:
    """Ensures that a change of parameters signs nobody out and replaces the old hash on disk."""
    async with serving_auth(settings, authority, clock) as auth:
        await auth.sign_up()
    async with serving_auth(settings.model_copy(update={"hashing_passes": 2}), authority, clock) as auth:
        assert (await auth.sign_in()).access_token
        assert (await auth.sign_in()).access_token
    content = b"".join(file.read_bytes() for file in (settings.data / "auth").glob("auth.sqlite3*"))
    assert b"$argon2id$v=19$m=7168,t=2,p=1$" in content


async def test_too_many_passwords_at_once_are_refused_quickly(
    settings: AuthSettings, authority: Authority, clock: ManualClock
) -> None:
    """Ensures that overload refuses before it works, says when to come back, and leaves everything else responsive."""
    slow = settings.model_copy(update={"hashing_memory_kib": 32 * 1024, "hashing_passes": 4, "hashing_waiting_max": 2})
    async with serving_auth(slow, authority, clock) as auth:
        calls_ = [asyncio.ensure_future(auth.sign_in(f"{number}@example.org")) for number in range(20)]
        health = health_pb2_grpc.HealthStub(auth.channel)
        order: list[object] = []
        for call in calls_:
            call.add_done_callback(lambda done: order.append(type(done.exception())))
        while not order:
            answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=5)
            assert answer.status == health_pb2.HealthCheckResponse.SERVING
        results = await asyncio.gather(*calls_, return_exceptions=True)
        refused = [result for result in results if isinstance(result, errors.ServerOverloaded)]
        assert len(refused) == 17
        assert order == [errors.ServerOverloaded] * 17 + [errors.CredentialInvalid] * 3
        assert all(1 <= (each.retry_after or 0) <= 60 for each in refused)


async def test_a_second_process_on_the_same_data_is_refused(auth: Auth, settings: AuthSettings) -> None:
    """Ensures that two processes cannot each believe in their own revocations."""
    with pytest.raises(OSError, match="another process uses"):
        await app.run(settings, asyncio.Event())


async def test_a_bad_tiers_file_stops_the_start(settings: AuthSettings, tmp_path: Path) -> None:
    """Ensures that the mistake is told by file and line before anything is served."""
    file = tmp_path / "tiers.yaml"
    file.write_text("tiers:\n  - name: plus\n")
    with pytest.raises(errors.FieldInvalid, match=r"tiers\.yaml, line 2"):
        await app.run(settings.model_copy(update={"tiers_file": file}), asyncio.Event())


async def test_no_secret_is_written(data: Path, authority: Authority) -> None:
    """Ensures that no password, key or token stands in a log line, an error or the database, whatever happens to it."""
    secrets = [PASSWORD, "wrong password"]
    process, port = await start(data)
    async with speaking(authority, port) as auth:
        tokens = await auth.member()
        key = await auth.create_key(tokens.access_token, scopes=["keys:manage"])
        renewed = await auth.refresh(tokens)
        secrets += [key.secret, tokens.access_token, tokens.refresh_token, renewed.refresh_token, renewed.access_token]
        failures: list[Awaitable[object]] = [
            auth.sign_in(EMAIL, "wrong password"),
            auth.authenticate(key.secret[:-1] + "!"),
            auth.authenticate(tokens.access_token[:-8]),
            auth.refresh(tokens),
            auth.create_key(key.secret, scopes=["images:read"]),
            auth.create_key(PASSWORD),
            calls.call(auth.accounts.ListApiKeys, pb.ListApiKeysRequest(page_token="x"), metadata=bearer(key.secret)),
            auth.sign_up("wrong password", password="wrong password"),
        ]
        for failure in failures:
            with pytest.raises(errors.MezzotintError) as refused:
                await failure
            assert not [secret for secret in secrets if secret in f"{refused.value.message} {refused.value.metadata}"]
    lines = await terminate(process)
    assert lines.count(b'"event": "call"') >= 10
    parts = [secret[-24:].encode() for secret in secrets]
    assert not [part for part in parts if part in lines]
    for file in (data / "auth").glob("auth.sqlite3*"):
        assert not [part for part in parts if part in file.read_bytes()], "secrets are stored as hashes only"


async def test_a_second_process_ends_with_an_error(data: Path) -> None:
    """Ensures that a process which cannot start says why and ends with 1, and that the first ends with 0 on SIGTERM."""
    first, _ = await start(data)
    second = await spawn(data)
    assert second.stderr
    assert b"another process uses" in await asyncio.wait_for(second.stderr.read(), START_SECONDS_MAX)
    assert await second.wait() == 1
    await terminate(first)


async def test_what_was_acknowledged_survives_a_kill(data: Path, authority: Authority) -> None:
    """Ensures that a process killed at once after an answer has kept what it answered, revocations included."""
    process, port = await start(data)
    async with speaking(authority, port) as auth:
        tokens = await auth.member()
        good, bad = await auth.create_key(tokens.access_token), await auth.create_key(tokens.access_token)
        await auth.revoke_key(tokens.access_token, bad.api_key.key_id)
        process.kill()
        await process.wait()
    process, port = await start(data)
    async with speaking(authority, port) as auth:
        assert (await auth.authenticate(good.secret)).principal.credential_id == good.api_key.key_id
        with pytest.raises(errors.CredentialRevoked):
            await auth.authenticate(bad.secret)
        assert (await anext(auth.watch())).revocation.credential_id == bad.api_key.key_id
    await terminate(process)


async def spawn(data: Path) -> asyncio.subprocess.Process:
    """Begin `python -m mezzotint.auth` on a free port."""
    own = {"PORT": "0", "METRICS_PORT": "0", "LOG_LEVEL": "debug", "HASHING_MEMORY_KIB": "7168", "HASHING_PASSES": "1"}
    environment = {
        **os.environ,
        "MEZZOTINT_DATA": str(data),
        **{f"MEZZOTINT_AUTH_{name}": value for name, value in own.items()},
    }
    command = (sys.executable, "-m", "mezzotint.auth")
    return await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)


async def start(data: Path) -> tuple[asyncio.subprocess.Process, int]:
    """A process that listens, and its port."""
    process = await spawn(data)
    assert process.stderr
    async with asyncio.timeout(START_SECONDS_MAX):
        async for line in process.stderr:
            if b'"event": "listening"' in line:
                return process, int(json.loads(line)["address"].rpartition(":")[2])
    raise AssertionError("the process ended before it listened")


async def terminate(process: asyncio.subprocess.Process) -> bytes:
    """Stop a process with SIGTERM, which must end it with 0; gives the rest of its log."""
    assert process.stderr
    process.send_signal(signal.SIGTERM)
    rest = await asyncio.wait_for(process.stderr.read(), START_SECONDS_MAX)
    assert await process.wait() == 0
    return rest
