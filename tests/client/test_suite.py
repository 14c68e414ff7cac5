"""The five services as child processes, and the command line against them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
import pytest_asyncio
from click.testing import CliRunner, Result

from mezzotint_client import Client, Event, Finished, Picture
from mezzotint_client.cli import main
from mezzotint_client.local_account import local_account
from mezzotint_client.plan import SERVICES, WITHHELD
from mezzotint_client.process import ServiceFailed
from mezzotint_client.profile import Profile, authority_pem
from mezzotint_client.suite import DataInUse, Suite
from tests.client.programs import ENVIRONMENT, MEZZOTINT, SECONDS_MAX

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """A suite on free ports; it leaves no process behind."""
    async with Suite.start(tmp_path_factory.mktemp("suite") / "data", ports="free") as running:
        processes = [psutil.Process(running.pid(name)) for name in SERVICES]
        yield running
    assert not any(process.is_running() for process in processes)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def profile(suite: Suite) -> Profile:
    """The account of this machine."""
    return await local_account(suite.data, suite.addresses["gateway"])


def client_of(suite: Suite, credential: str) -> Client:
    pem = authority_pem(suite.data / "tls" / "ca.pem")
    return Client.connect(suite.addresses["gateway"], authority_pem=pem, credential=credential)


async def run(*arguments: object, **environment: str) -> Result:
    """A command in this process, in the data folder of the suite: starting Python for each takes its time."""
    runner = CliRunner(env=dict.fromkeys(WITHHELD) | environment)
    return await asyncio.to_thread(runner.invoke, main, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def in_data_folder(suite: Suite, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the suite by its data folder and write their files there."""
    monkeypatch.setenv("MEZZOTINT_DATA", str(suite.data))
    monkeypatch.chdir(suite.data)


async def test_every_service_answers(suite: Suite) -> None:
    """Each process is a service of its own; both doors of the gateway are open."""
    assert len({suite.pid(name) for name in SERVICES}) == len(SERVICES)
    with await asyncio.to_thread(urllib.request.urlopen, f"{suite.http_url}/health/ready") as response:
        assert response.status == 200


async def test_a_data_folder_serves_one_suite(suite: Suite) -> None:
    """A second suite on the same folder is refused before it starts anything."""
    with pytest.raises(DataInUse, match="already running"):
        async with Suite.start(suite.data, ports="free"):
            pass


async def test_the_local_account_is_made_once(suite: Suite, profile: Profile) -> None:
    """The same key is given again as long as it works, and another of the same account once it was revoked."""
    assert await local_account(suite.data, suite.addresses["gateway"]) == profile
    listed = await run("keys", "list")
    assert (await run("keys", "revoke", re.findall(r"key_\w+", listed.stdout)[0])).exit_code == 0
    renewed = await local_account(suite.data, suite.addresses["gateway"])
    assert (renewed.email, renewed.api_key != profile.api_key) == (profile.email, True)


async def test_a_service_that_was_killed_comes_back_on_its_port(suite: Suite, profile: Profile) -> None:
    """kill and restart act on one service; what was told to auth before is known after."""
    before = suite.pid("auth")
    suite.kill("auth")
    await suite.restart("auth")
    assert suite.pid("auth") != before
    await suite.stop("gateway")
    await suite.restart("gateway")
    async with client_of(suite, (await local_account(suite.data, suite.addresses["gateway"])).api_key) as client:
        assert (await client.accounts.get_account()).email == profile.email


async def test_a_service_that_dies_is_reported(suite: Suite) -> None:
    """Waiting ends with the name, the signal and the end of the log; a service that was killed on purpose is no death."""
    waiting = asyncio.ensure_future(suite.wait())
    suite.kill("ratelimit")
    await suite.restart("ratelimit")
    assert not waiting.done()
    os.kill(suite.pid("ratelimit"), signal.SIGKILL)
    with pytest.raises(ServiceFailed, match=r"ratelimit service ended by SIGKILL(.|\n)*listening"):
        await asyncio.wait_for(waiting, 10)
    await suite.restart("ratelimit")


async def test_a_service_that_cannot_start_is_reported(tmp_path: Path) -> None:
    """The report comes at once, names the service and shows why; nothing is left running."""
    environment = {"queue": {"MEZZOTINT_QUEUE_LOG_LEVEL": "loud"}}
    children = set(psutil.Process().children())
    with pytest.raises(ServiceFailed, match=r"queue service ended with exit code 1 before it was ready(.|\n)*log_level"):
        async with Suite.start(tmp_path / "data", ports="free", environment=environment):
            pass
    assert set(psutil.Process().children()) == children


async def test_generating_prints_the_file(suite: Suite, profile: Profile) -> None:
    """Standard output is the file's name and nothing else; how it went is on standard error."""
    done = await run("generate", "a red heart", "--steps", "2", "--seed", "7", "--out", "heart.png")
    assert (done.exit_code, done.stdout) == (0, "heart.png\n")
    assert "drawn by aquatint" in done.stderr
    assert "▀" not in done.stderr
    assert (suite.data / "heart.png").read_bytes().startswith(b"\x89PNG")


async def test_in_a_terminal_the_picture_is_shown(suite: Suite, profile: Profile) -> None:
    """With a terminal on standard error, the picture appears in blocks of colour."""
    ours, theirs = os.openpty()
    command = [MEZZOTINT, "generate", "a red heart", "--steps", "2", "--data", str(suite.data)]
    environment = {name: value for name, value in ENVIRONMENT.items() if name != "NO_COLOR"}
    with subprocess.Popen(  # noqa: ASYNC220  # it is waited for in a thread
        command, cwd=suite.data, stderr=theirs, stdout=subprocess.DEVNULL, env=environment | {"TERM": "xterm-256color"}
    ) as process:
        os.close(theirs)
        screen = await asyncio.to_thread(read_terminal, ours)
        assert process.wait(SECONDS_MAX) == 0
    assert "▀" in screen
    assert "100%" in screen


def read_terminal(descriptor: int) -> str:
    """All that is written to a terminal until it is closed."""
    parts: list[bytes] = []
    with os.fdopen(descriptor, "rb", buffering=0) as terminal:
        while True:
            try:
                part = terminal.read(4096)
            except OSError:
                return b"".join(parts).decode(errors="replace")
            parts.append(part)


async def test_ctrl_c_cancels_the_generation(suite: Suite, profile: Profile) -> None:
    """Interrupted, the command exits with 130 and its generation ends at the server."""
    command = [MEZZOTINT, "generate", "a red heart", "--steps", "100", "--images", "10", "--data", str(suite.data)]
    with subprocess.Popen(command, cwd=suite.data, stderr=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220  # waited for in a thread
        assert process.stderr is not None
        accepted = await asyncio.to_thread(process.stderr.readline)
        process.send_signal(signal.SIGINT)
        assert await asyncio.to_thread(process.wait, SECONDS_MAX) == 130
    job = accepted.split()[1]
    while (state := (await run("jobs", "show", job)).stdout.splitlines()[1].split()[1]) in {"queued", "running"}:
        pass
    assert state == "cancelled"


async def test_jobs_are_listed_shown_and_fetched(suite: Suite, profile: Profile) -> None:
    """What was drawn can be found and fetched later; identifiers are printed whole."""
    drawn = await run("generate", "two red hearts", "--steps", "2", "--images", "2", "--format", "webp")
    first = (await run("jobs", "list", "--count", "1")).stdout.splitlines()[1]
    job, state = first.split()[:2]
    assert (len(job), state) == (30, "succeeded")
    assert "image 1   256x256 webp" in (await run("jobs", "show", job)).stdout
    fetched = await run("jobs", "fetch", job)
    assert fetched.stdout.split() == [f"out/{job}-0.webp", f"out/{job}-1.webp"]
    original = suite.data / drawn.stdout.split()[1]
    assert (suite.data / fetched.stdout.split()[1]).read_bytes() == original.read_bytes()
    refused = await run("jobs", "cancel", job)
    assert (refused.exit_code, "JOB_FINISHED" in refused.stderr) == (1, True)


async def test_keys_are_made_rotated_and_revoked(suite: Suite, profile: Profile) -> None:
    """A secret is all that standard output holds; a revoked key stops, and the error says what to do."""
    secret = (await run("keys", "create", "[b]ci", "--scope", "keys:manage")).stdout.strip()
    listed = (await run("keys", "list", MEZZOTINT_API_KEY=secret)).stdout
    assert "[b]ci" in listed
    key_id = next(line.split()[0] for line in listed.splitlines() if "[b]ci" in line)
    rotated = (await run("keys", "rotate", key_id)).stdout.strip()
    refused = await run("keys", "list", MEZZOTINT_API_KEY=secret)
    assert (refused.exit_code, "keys create" in refused.stderr) == (1, True)
    assert (await run("keys", "list", MEZZOTINT_API_KEY=rotated)).exit_code == 0


async def test_accounts_are_opened_shown_and_moved(suite: Suite, tmp_path: Path) -> None:
    """A person on another machine needs only the address and the authority's certificate; an operator moves them to a tier."""
    remote = ("--address", suite.addresses["gateway"], "--authority", suite.data / "tls" / "ca.pem", "--data", tmp_path)
    create = ["account", "create", "--email", "Ada@example.org", "--password-stdin", *map(str, remote)]
    done = await asyncio.to_thread(CliRunner().invoke, main, create, input="correct horse\n")
    assert "ada@example.org" in done.stdout
    moved = await run("account", "set-tier", "ada@example.org", "pro", "--auth-address", suite.addresses["auth"])
    assert moved.exit_code == 0
    authority = str(suite.data / "tls" / "ca.pem")
    shown = await run("account", "show", "--data", tmp_path, MEZZOTINT_AUTHORITY=authority)
    assert "tier     pro" in shown.stdout
    unknown = await run("account", "set-tier", "ada@example.org", "gold", "--auth-address", suite.addresses["auth"])
    assert (unknown.exit_code, "TIER_UNKNOWN" in unknown.stderr) == (1, True)


async def test_a_generation_outlives_the_gateway(suite: Suite, profile: Profile) -> None:
    """Killed while it streams, the gateway comes back and the client's stream goes on; one generation was made."""
    seen: list[Event] = []
    async with client_of(suite, (await local_account(suite.data, suite.addresses["gateway"])).api_key) as client:
        before = len(await client.list_generations())
        async for event in client.generate("a red heart", steps=60, timeout=60):
            seen.append(event)
            if len(seen) == 3:
                suite.kill("gateway")
                await suite.restart("gateway")
        after = await client.list_generations()
    assert [type(event) for event in seen].count(Picture) == 1
    assert isinstance(seen[-1], Finished)
    assert (len(after), after[0].state) == (before + 1, "succeeded")
