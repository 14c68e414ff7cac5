"""The services behind the gateway come and go; callers hear the truth, and what was accepted goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mezzotint.api.auth.v1 import account_pb2
from mezzotint.api.images.v1 import images_pb2, images_pb2_grpc
from mezzotint.gateway import dependencies
from mezzotint.runtime import calls, errors
from tests.gateway.suite import impatient, public, running, to_end, until
from tests.support.people import PASSWORD, Person, sign_up

SLOW: dict[str, Any] = {"steps": 100, "images": 2, "guidance": 3.0}


async def list_own(person: Person) -> None:
    """A cheap call with the person's key."""
    await calls.call(person.images.ListGenerations, images_pb2.ListGenerationsRequest(), metadata=person.metadata)


async def refused(person: Person) -> None:
    """Call until the call is refused, and raise why."""
    while True:
        await list_own(person)


async def test_a_restart_of_the_queue_is_not_noticed(data: Path) -> None:
    """Ensures that a stream goes on from where it was when the queue comes back, to the same pictures."""
    async with running(data, work=40) as suite, public(suite) as channel:
        person = await sign_up(channel)
        call = person.generate("a cat", **SLOW)
        events = await until(call, "progress")
        await suite.stop("queue")
        await suite.start("queue")
        events += await to_end(call)
        kinds = [event.WhichOneof("event") for event in events]
        assert kinds[-3:] == ["image", "image", "finished"]
        assert kinds.count("accepted") == 1


async def test_a_revoked_key_is_refused_within_a_second(data: Path) -> None:
    """Ensures that a key that the gateway remembers stops working when auth says so, and at once after that."""
    async with running(data) as suite, public(suite) as channel:
        person = await sign_up(channel)
        await list_own(person)
        signed = await calls.call(person.accounts.SignIn, account_pb2.SignInRequest(email=person.email, password=PASSWORD))
        session = (("authorization", f"Bearer {signed.tokens.access_token}"),)
        await calls.call(person.accounts.RevokeApiKey, account_pb2.RevokeApiKeyRequest(key_id=person.key_id), metadata=session)
        with pytest.raises(errors.CredentialRevoked):
            await asyncio.wait_for(refused(person), 1)


async def persistent(person: Person) -> list[Any]:
    """A picture of somebody who asks again when told to: the gateway notices a service's return within a second or two."""
    async with asyncio.timeout(30):
        while True:
            try:
                return await to_end(person.generate("a cat", steps=1))
            except errors.DependencyUnavailable:
                continue


@pytest.mark.parametrize("service", ["queue", "ratelimit"])
async def test_a_service_that_is_gone_is_named(data: Path, service: str) -> None:
    """Ensures that a call fails soon, with what is missing and when to come back, and works again afterwards."""
    async with running(data) as suite, impatient(suite) as channel:
        person = await sign_up(channel)
        await to_end(person.generate("a cat", steps=1))
        await suite.stop(service)
        with pytest.raises(errors.DependencyUnavailable) as caught:
            await to_end(person.generate("a cat", steps=1))
        assert (caught.value.metadata["service"], caught.value.retry_after) == (service, 1.0)
        assert "127.0.0.1" not in caught.value.message
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {person.secret}"}, timeout=20) as http:
            answer = await http.post(f"{suite.url}/v1/images/generations", json={"prompt": "a cat"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["error"]["reason"] == "DEPENDENCY_UNAVAILABLE"
        await suite.start(service)
        async with public(suite) as patient:
            back = replace(person, images=images_pb2_grpc.ImageServiceStub(patient))
            assert (await persistent(back))[-1].WhichOneof("event") == "finished"


async def test_without_auth_remembered_keys_work_for_seconds_only(data: Path) -> None:
    """Ensures that with auth gone nobody new gets in, and those known before only until the cache is stale."""
    async with running(data) as suite, impatient(suite) as channel:
        person = await sign_up(channel)
        await list_own(person)
        await suite.stop("auth")
        await list_own(person)
        with pytest.raises(errors.DependencyUnavailable) as caught:
            await asyncio.wait_for(refused(person), 10)
        assert caught.value.metadata["service"] == "auth"


async def test_it_is_ready_when_the_others_are(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ensures that health over gRPC and HTTP tells the truth: not before the queue answers, and not long after it is gone."""
    monkeypatch.setattr(dependencies, "GONE_SECONDS_MAX", 0.5)
    async with running(data, without=("queue", "inference", "gateway")) as suite:
        starting = asyncio.ensure_future(suite.start("gateway"))
        await suite.http_listens.wait()
        async with httpx.AsyncClient(base_url=suite.url) as http:
            async with asyncio.timeout(5):
                while (missing := await http.get("/health/ready")).json()["missing"] != ["queue"]:
                    assert missing.status_code == 503
            assert (await http.get("/health/live")).status_code == 200
            await suite.start("queue")
            await starting
            assert (await http.get("/health/ready")).json() == {"status": "ready"}
            async with public(suite) as channel:
                health = health_pb2_grpc.HealthStub(channel)
                watch = health.Watch(health_pb2.HealthCheckRequest(service="mezzotint.api.images.v1.ImageService"))
                assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
                await suite.stop("queue")
                assert (await asyncio.wait_for(watch.read(), 15)).status == health_pb2.HealthCheckResponse.NOT_SERVING
                watch.cancel()
            assert (await http.get("/health/ready")).json()["missing"] == ["queue"]


async def test_stopping_lets_a_generation_end(data: Path) -> None:
    """Ensures that a reader whose pictures are near hears of them before the gateway is gone."""
    async with running(data, work=60, gateway={"drain_seconds": 20.0}) as suite, public(suite) as channel:
        call = (await sign_up(channel)).generate("a cat", steps=30)
        await until(call, "drawing")
        stopping = asyncio.ensure_future(suite.stop("gateway"))
        assert (await to_end(call))[-1].WhichOneof("event") == "finished"
        await stopping


async def test_stopping_loses_no_generation(data: Path) -> None:
    """Ensures that a reader whose pictures are far is told to come back, and that a retry after the restart goes on."""
    async with running(data, without=("inference",), gateway={"drain_seconds": 0.5}) as suite:
        async with public(suite) as channel:
            person = await sign_up(channel)
            call = person.generate("a dog", request_id="far")
            await until(call, "waiting")
            stopping = asyncio.ensure_future(suite.stop("gateway"))
            with pytest.raises(errors.ServerDraining):
                await to_end(call)
            await stopping
        await suite.start("inference")
        await suite.start("gateway")
        async with public(suite) as channel:
            again = replace(person, images=images_pb2_grpc.ImageServiceStub(channel))
            events = await to_end(again.generate("a dog", request_id="far"))
        assert events[0].accepted.replayed
        assert events[-1].WhichOneof("event") == "finished"


async def test_who_waits_hears_that_the_connection_lives(data: Path) -> None:
    """Ensures that a stream of a generation that waits is not silent, and tells its place."""
    async with running(data, without=("inference",), gateway={"heartbeat_seconds": 0.05}) as suite, public(suite) as channel:
        headers = {"authorization": f"Bearer {(await sign_up(channel)).secret}"}
        body = {"prompt": "a cat", "stream": True}
        async with (
            httpx.AsyncClient(headers=headers) as http,
            http.stream("POST", f"{suite.url}/v1/images/generations", json=body) as answer,
        ):
            missing = {": waiting position=0", ": keep-alive"}
            async with asyncio.timeout(10):
                async for line in answer.aiter_lines():
                    missing.discard(line)
                    if not missing:
                        break


async def test_what_nobody_begins_in_time_expires(data: Path) -> None:
    """Ensures that a caller is not kept for ever, and is told so at both doors."""
    async with running(data, without=("inference",), gateway={"start_within_seconds": 1}) as suite, public(suite) as channel:
        person = await sign_up(channel)
        with pytest.raises(errors.JobExpired):
            await to_end(person.generate("a cat"))
        async with httpx.AsyncClient(headers={"authorization": f"Bearer {person.secret}"}, timeout=20) as http:
            answer = await http.post(f"{suite.url}/v1/images/generations", json={"prompt": "a cat"})
        assert (answer.status_code, answer.json()["error"]["reason"]) == (504, "JOB_EXPIRED")
        assert answer.headers["x-should-retry"] == "false"
