"""A caller who leaves: his picture is not drawn on, unless he said so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openai
import pytest
import pytest_asyncio

from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.queue.v1 import job_pb2, queue_pb2, queue_pb2_grpc
from mezzotint.runtime import calls
from tests.gateway.suite import Suite, public, running, to_end, until
from tests.support.people import Person, sign_up

pytestmark = pytest.mark.asyncio(loop_scope="module")
# Seconds of work, so that a test acts in the middle of it.
SLOW: dict[str, Any] = {"steps": 100, "images": 4, "guidance": 3.0}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def suite(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Suite]:
    """The five services over a model that takes its time."""
    async with running(tmp_path_factory.mktemp("suite") / "data", work=60) as started:
        yield started


@pytest_asyncio.fixture(loop_scope="module")
async def person(suite: Suite) -> AsyncIterator[Person]:
    """A new account with a channel of its own."""
    async with public(suite) as channel:
        yield await sign_up(channel)


async def final_state(suite: Suite, job_id: str) -> str:
    """Wait for a job's last event; its kind."""
    last = job_pb2.JobEvent()
    async with suite.connect("queue") as channel:
        stub = queue_pb2_grpc.QueueServiceStub(channel)
        async for response in calls.stream(stub.WatchJob, queue_pb2.WatchJobRequest(job_id=job_id), timeout=20):
            last = response.event
    return last.WhichOneof("event") or ""


async def newest_job(suite: Suite, person: Person) -> str:
    """Wait for a job of the person's; its id."""
    async with suite.connect("queue") as channel:
        stub = queue_pb2_grpc.QueueServiceStub(channel)
        request = queue_pb2.ListJobsRequest(account_id=person.account_id)
        async with asyncio.timeout(10):
            while not (jobs := (await calls.call(stub.ListJobs, request)).jobs):
                continue
    return jobs[0].job_id


async def test_hanging_up_cancels(suite: Suite, person: Person) -> None:
    """Ensures that the end of a gRPC call is the end of its job."""
    call = person.generate("a cat", **SLOW)
    identifier = (await until(call, "progress"))[0].accepted.generation_id
    call.cancel()
    assert await final_state(suite, identifier) == "cancelled"


async def test_a_passed_deadline_cancels(suite: Suite, person: Person) -> None:
    """Ensures that a caller's deadline is the end of his job too."""
    request = images_pb2.GenerateImagesRequest()
    request.spec.prompt, request.spec.steps, request.spec.images = "a cat", 100, 4
    call = person.images.GenerateImages(request, metadata=person.metadata, timeout=1.0)
    identifier = (await until(call, "accepted"))[0].accepted.generation_id
    assert await final_state(suite, identifier) == "cancelled"


async def test_what_is_to_be_kept_goes_on(suite: Suite, person: Person) -> None:
    """Ensures that with keep_on_disconnect the picture is finished and can be had afterwards."""
    call = person.generate("a cat", keep=True, steps=20)
    identifier = (await until(call, "accepted"))[0].accepted.generation_id
    call.cancel()
    assert await final_state(suite, identifier) == "succeeded"
    request = images_pb2.GetImageRequest(generation_id=identifier)
    assert (await calls.call(person.images.GetImage, request, metadata=person.metadata)).image.data


async def test_one_of_two_readers_may_leave(suite: Suite, person: Person) -> None:
    """Ensures that a retry that has joined keeps its generation when the first connection is found dead."""
    first, second = (person.generate("a cat", request_id="two-readers", steps=40) for _ in range(2))
    await until(first, "drawing")
    await until(second, "drawing")
    first.cancel()
    assert (await to_end(second))[-1].WhichOneof("event") == "finished"


@pytest.mark.parametrize("stream", [False, True])
async def test_closing_an_http_connection_cancels(suite: Suite, person: Person, stream: bool) -> None:  # a case
    """Ensures that a browser that is closed leaves no job behind, before the answer and in the middle of it."""
    body = {"prompt": "a cat", "n": 4, "steps": 100, "stream": stream}
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {person.secret}"}) as http:
        request = asyncio.ensure_future(http.post(f"{suite.url}/v1/images/generations", json=body))
        identifier = await newest_job(suite, person)
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    assert await final_state(suite, identifier) == "cancelled"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_cancel_from_elsewhere_is_an_error_to_the_sdk(suite: Suite, person: Person, stream: bool) -> None:  # a case
    """Ensures that the SDK raises when a generation ends without a picture: by status, or by an event in the stream."""
    kind = openai.APIError if stream else openai.ConflictError
    async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=person.secret) as sdk:
        drawing = asyncio.ensure_future(drawn(sdk, stream=stream))
        request = images_pb2.CancelGenerationRequest(generation_id=await newest_job(suite, person))
        await calls.call(person.images.CancelGeneration, request, metadata=person.metadata)
        with pytest.raises(kind) as caught:
            await asyncio.wait_for(drawing, 10)
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["reason"] == "CANCELLED"


async def drawn(sdk: openai.AsyncOpenAI, *, stream: bool) -> None:
    """Ask for slow pictures and take all that comes."""
    generate: Any = sdk.images.generate
    answer = await generate(prompt="a cat", n=4, stream=stream, extra_body={"steps": 100})
    if stream:
        async for _ in answer:
            continue
