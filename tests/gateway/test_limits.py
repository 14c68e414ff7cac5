"""Quotas at both doors: what is refused, what is charged, and when to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import openai
import pytest

from mezzotint.api.ratelimit.v1 import ratelimit_pb2, ratelimit_pb2_grpc
from mezzotint.runtime import calls, errors
from tests.gateway.suite import Suite, public, running, to_end, until
from tests.support.people import Person, sign_up

LIMITS = """
tiers:
  free:
    - {name: requests-per-minute, dimension: requests, gcra: {count: 60, per_seconds: 60, burst: 50}}
    - {name: images-per-minute, dimension: images, gcra: {count: 2, per_seconds: 60, burst: 4}}
  plus: []
  pro: []
  enterprise: []
"""


@pytest.fixture
async def suite(data: Path) -> AsyncIterator[Suite]:
    """The five services; the tier free may draw four pictures at once."""
    data.parent.mkdir(exist_ok=True)
    (data.parent / "limits.yaml").write_text(LIMITS)
    async with running(data, work=20, ratelimit={"limits_file": data.parent / "limits.yaml"}) as started:
        yield started


@pytest.fixture
async def channel(suite: Suite) -> AsyncIterator[grpc.aio.Channel]:
    async with public(suite) as opened:
        yield opened


@pytest.fixture
async def person(channel: grpc.aio.Channel) -> Person:
    return await sign_up(channel)


async def images_left(suite: Suite, person: Person, *, until: int) -> None:
    """Wait until the person has so many images left: settling follows the end of the stream."""
    async with suite.connect("ratelimit") as channel:
        stub = ratelimit_pb2_grpc.RateLimitServiceStub(channel)
        request = ratelimit_pb2.PeekRequest(subject=ratelimit_pb2.Subject(account_id=person.account_id, tier="free"))
        left = -1
        try:
            async with asyncio.timeout(5):
                while left != until:
                    limits = (await calls.call(stub.Peek, request)).limits
                    left = next(limit.remaining for limit in limits if limit.dimension == "images")
        except TimeoutError:
            raise AssertionError(f"{left} images are left, not {until}") from None


async def test_over_its_quota_an_account_is_told_when_to_come_back(suite: Suite, person: Person) -> None:
    """Ensures RESOURCE_EXHAUSTED with the limit and RetryInfo over gRPC, and 429 with retry-after over HTTP."""
    await to_end(person.generate("a cat", images=4, steps=1))
    with pytest.raises(errors.QuotaExceeded) as caught:
        await to_end(person.generate("a cat"))
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 30
    told = caught.value.metadata
    assert (told["limit"], told["dimension"], told["max"], told["remaining"]) == ("images-per-minute", "images", "4", "0")
    async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=person.secret, max_retries=0) as sdk:
        for stream in (False, True):
            with pytest.raises(openai.RateLimitError) as refused:
                await sdk.images.generate(prompt="a cat", stream=stream)
            headers = refused.value.response.headers
            assert 0 < int(headers["retry-after"]) <= 30
            assert 0 < int(headers["retry-after-ms"]) <= 30_000
            assert headers["x-ratelimit-limit-images"] == "4"
            assert headers["x-ratelimit-remaining-images"] == "0"
            assert headers["x-ratelimit-limit-requests"] == "50"
            assert refused.value.code == "rate_limit_exceeded"


async def test_what_no_wait_will_allow_is_not_worth_a_retry(suite: Suite, person: Person) -> None:
    """Ensures that a request larger than the whole limit is refused without a promise."""
    with pytest.raises(errors.QuotaExceeded) as caught:
        await to_end(person.generate("a cat", images=5))
    assert caught.value.retry_after is None
    async with openai.AsyncOpenAI(base_url=f"{suite.url}/v1", api_key=person.secret, max_retries=2) as sdk:
        with pytest.raises(openai.RateLimitError) as refused:
            await sdk.images.generate(prompt="a cat", n=5)
    assert refused.value.response.headers["x-should-retry"] == "false"


async def test_a_retry_is_charged_once(suite: Suite, person: Person) -> None:
    """Ensures that one request id costs once, at the same time and later."""
    await asyncio.gather(*(to_end(person.generate("a cat", request_id="once", steps=1)) for _ in range(3)))
    await to_end(person.generate("a cat", request_id="once", steps=1))
    await images_left(suite, person, until=3)


async def test_only_work_that_began_is_charged(suite: Suite, person: Person) -> None:
    """Ensures that a refusal and a cancel before the first step cost nothing, and a cancel later does."""
    with pytest.raises(errors.SizeUnsupported):
        await to_end(person.generate("a cat", width=99, height=99))
    await images_left(suite, person, until=4)
    call = person.generate("a cat", steps=100, guidance=3.0)
    await until(call, "progress")
    call.cancel()
    # It stops once what it follows is settled, so what is held and what is charged can be told apart.
    await suite.stop("gateway")
    await images_left(suite, person, until=3)


async def test_a_generation_that_never_began_costs_nothing(suite: Suite, person: Person) -> None:
    """Ensures that a cancel in the queue gives the whole reservation back."""
    await suite.stop("inference")
    call = person.generate("a cat", images=2)
    await until(call, "waiting")
    await images_left(suite, person, until=2)
    call.cancel()
    await images_left(suite, person, until=4)
