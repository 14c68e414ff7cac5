"""Generating over the wire: events as they come, errors as the server's classes, and a gateway that goes away on the way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from mezzotint.runtime.errors import (
    CredentialInvalid,
    CredentialMissing,
    DeadlineExceeded,
    DependencyUnavailable,
    JobFailed,
    QuotaExceeded,
    ServerDraining,
)
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from mezzotint_client import Accepted, Client, Event, Finished, Picture, Progress, Started, Waiting, rejoining
from tests.client.gateways import ACCEPTED, CREDENTIAL, DRAWING, FINISHED, PROGRESS, WAITING, ScriptedGateway, image

LOST = ServerDraining("restarting")


@pytest.fixture
async def gateway(data: Path, authority: Authority) -> AsyncIterator[ScriptedGateway]:
    """A gateway that runs."""
    server = ScriptedGateway(authority, ServiceSettings(data=data, drain_seconds=0))
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
async def client(gateway: ScriptedGateway, data: Path) -> AsyncIterator[Client]:
    """A client of the gateway with a good credential."""
    authority_pem = (data / "tls" / "ca.pem").read_bytes()
    async with Client.connect(gateway.address, authority_pem=authority_pem, credential=CREDENTIAL) as connected:
        yield connected


async def events_of(client: Client, **options: object) -> list[Event]:
    return [event async for event in client.generate("a red heart", **options)]  # type: ignore[arg-type]  # any options


async def test_events_come_in_the_clients_own_types(gateway: ScriptedGateway, client: Client) -> None:
    """Every event of the contract arrives, in order, as a small record."""
    gateway.images.script = [[ACCEPTED, WAITING, DRAWING, PROGRESS, image(0), FINISHED]]
    assert await events_of(client) == [
        Accepted("job_1", replayed=False),
        Waiting(2, None, deferred=False, retrying=False),
        Started(1),
        Progress(1, 3, 9, 0, b"p"),
        Picture(0, "webp", 64, 64, 7, b"bytes"),
        Finished("aquatint@1", 9),
    ]


async def test_draw_gives_the_pictures_in_order(gateway: ScriptedGateway, client: Client) -> None:
    """Pictures that were finished in another order come in the order of the request."""
    gateway.images.script = [[ACCEPTED, image(1), image(0), FINISHED]]
    assert [picture.index for picture in await client.draw("a red heart", images=2)] == [0, 1]


async def test_every_generation_has_a_request_id_of_its_own(gateway: ScriptedGateway, client: Client) -> None:
    """Without one from the caller, each call gets a fresh request id, so that a retry cannot draw twice."""
    gateway.images.script = [[ACCEPTED, FINISHED], [ACCEPTED, FINISHED], [ACCEPTED, FINISHED]]
    await events_of(client)
    await events_of(client)
    await events_of(client, request_id="mine", keep_on_disconnect=True)
    first, second, third = gateway.images.requests
    assert first.request_id.startswith("req_")
    assert first.request_id != second.request_id
    assert (third.request_id, third.keep_on_disconnect) == ("mine", True)


async def test_a_generation_is_joined_again_when_the_gateway_drains(gateway: ScriptedGateway, client: Client) -> None:
    """The stream goes on with the same request id, and neither the acceptance nor a picture is told twice."""
    gateway.images.script = [[ACCEPTED, DRAWING, image(0), LOST], [LOST], [ACCEPTED, DRAWING, image(0), image(1), FINISHED]]
    events = await events_of(client)
    assert [type(event) for event in events] == [Accepted, Started, Picture, Started, Picture, Finished]
    assert len({request.request_id for request in gateway.images.requests}) == 1


async def test_a_generation_survives_a_gateway_that_stops_and_starts(gateway: ScriptedGateway, client: Client) -> None:
    """A gateway that is gone for a while is waited for on the same address."""
    gateway.images.script = [[ACCEPTED, None], [ACCEPTED, image(0), FINISHED]]
    seen: list[Event] = []
    async for event in client.generate("a red heart"):
        seen.append(event)
        if isinstance(event, Accepted):
            await gateway.stop()
            await gateway.start()
    assert [type(event) for event in seen] == [Accepted, Picture, Finished]


async def test_a_generation_that_cannot_be_joined_is_given_up(
    gateway: ScriptedGateway, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that accepts and breaks off every time is asked less and less often, and in the end no more."""
    monkeypatch.setattr(rejoining, "REJOIN_SECONDS_MAX", 1.0)
    gateway.images.script = [[ACCEPTED, WAITING, LOST]] * 100
    with pytest.raises(ServerDraining):
        await asyncio.wait_for(events_of(client), 10)
    assert 3 <= len(gateway.images.requests) <= 8


async def test_a_call_that_was_never_accepted_is_not_joined(gateway: ScriptedGateway, client: Client) -> None:
    """What the channel's own retries end with is raised at once."""
    gateway.images.script = [[LOST]] * 10
    with pytest.raises(ServerDraining):
        await events_of(client)
    assert len(gateway.images.requests) <= 5


async def test_the_servers_errors_arrive_as_their_classes(gateway: ScriptedGateway, client: Client) -> None:
    """The reason, the message and the time to come back are what the server said."""
    gateway.images.script = [[QuotaExceeded("too many", retry_after=12)], [ACCEPTED, JobFailed("three attempts failed")]]
    with pytest.raises(QuotaExceeded, match="too many") as refused:
        await events_of(client)
    assert refused.value.retry_after == 12
    with pytest.raises(JobFailed):
        await events_of(client)


async def test_a_wrong_and_a_missing_credential_are_told_apart(gateway: ScriptedGateway, client: Client) -> None:
    """Each is refused with its own class, over the same connection."""
    with pytest.raises(CredentialInvalid):
        await events_of(client.with_credential("mzt_bad"))
    with pytest.raises(CredentialMissing):
        await events_of(client.with_credential(""))


async def test_closing_the_iterator_cancels_the_call(gateway: ScriptedGateway, client: Client) -> None:
    """A caller that stops listening is seen by the server at once."""
    gateway.images.script = [[ACCEPTED, None]]
    async with aclosing(client.generate("a red heart")) as events:
        async for _ in events:
            break
    await asyncio.wait_for(gateway.images.cancelled.wait(), 5)


async def test_a_timeout_ends_the_whole_generation(gateway: ScriptedGateway, client: Client) -> None:
    """The deadline counts from the first call, also when the stream breaks and is joined again and again."""
    gateway.images.script = [[ACCEPTED, WAITING, LOST]] * 100
    with pytest.raises(DeadlineExceeded):
        await asyncio.wait_for(events_of(client, timeout=0.5), 5)


async def test_a_gateway_that_is_not_there_is_named_unavailable(data: Path, authority: Authority) -> None:
    """No server at the address is an error that says so, after a short while."""
    authority_pem = (data / "tls" / "ca.pem").read_bytes()
    async with Client.connect("127.0.0.1:1", authority_pem=authority_pem, credential=CREDENTIAL) as nobody:
        with pytest.raises(DependencyUnavailable):
            await asyncio.wait_for(events_of(nobody), 20)
