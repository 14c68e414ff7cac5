"""The HTTP door as a browser, curl or a scanner meets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.gateway.suite import Suite
from tests.support.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
GENERATIONS = "/v1/images/generations"


@pytest_asyncio.fixture(loop_scope="module")
async def http(suite: Suite, person: Person) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the person's key."""
    headers = {"authorization": f"Bearer {person.secret}"}
    async with httpx.AsyncClient(base_url=suite.url, headers=headers, timeout=20) as client:
        yield client


@pytest.mark.parametrize(
    ("body", "status", "param"),
    [
        (b"", 400, None),
        (b"not json", 400, None),
        (b'{"prompt": "\xff"}', 400, None),
        (b'{"prompt": "\\ud800"}', 400, None),
        (b"[" * 100_000, 400, None),
        (b'{"prompt": ""}', 400, "prompt"),
        (b'{"prompt": "' + b"x" * 100_000 + b'"}', 400, "prompt"),
        (b'{"prompt": "a\\u0000\\u001b[2J"}', 400, "prompt"),
        (b'{"prompt": "a", "negative_prompt": "\\u0007"}', 400, "negative_prompt"),
        (b'{"prompt": "' + b"x" * 2_000_000 + b'"}', 413, None),
    ],
)
async def test_a_bad_body(http: httpx.AsyncClient, body: bytes, status: int, param: str | None) -> None:
    """Ensures OpenAI's shape with the parameter named, and that the next request is served."""
    answer = await http.post(GENERATIONS, content=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["type"]) == (status, param, "invalid_request_error")
    assert "spec." not in error["message"]
    assert (await http.post(GENERATIONS, json={"prompt": "a cat", "steps": 1})).status_code == 200


async def test_a_body_without_a_length_is_limited_too(http: httpx.AsyncClient) -> None:
    """Ensures that chunks that never end are cut off at the limit."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    assert (await http.post(GENERATIONS, content=endless())).status_code == 413


async def test_an_unknown_address_is_answered_in_the_same_shape(http: httpx.AsyncClient) -> None:
    """Ensures that also routing speaks OpenAI's errors."""
    for method, path, status in (
        ("GET", "/v1/nothing", 404),
        ("GET", GENERATIONS, 405),
        ("POST", "/v1/images/upscales", 404),
        ("GET", "/v1/images/job_1/-1", 404),
        ("GET", "/v1/images/job_1/99999999999", 404),
        ("GET", "/v1/images/..%2f..%2fetc/0", 404),
    ):
        answer = await http.request(method, path)
        assert (answer.status_code, set(answer.json())) == (status, {"error"}), path


async def test_every_answer_has_a_request_id(http: httpx.AsyncClient) -> None:
    """Ensures that a fit id of the client's comes back, and another is replaced."""
    assert (await http.get("/health/live")).headers["x-request-id"].startswith("req_")
    assert (await http.get("/health/live", headers={"x-request-id": "mine-1"})).headers["x-request-id"] == "mine-1"
    unfit = await http.get("/health/live", headers={"x-request-id": "a b" + "c" * 100})
    assert unfit.headers["x-request-id"].startswith("req_")


async def test_an_idempotency_key_is_one_generation(http: httpx.AsyncClient) -> None:
    """Ensures that a retry gets the same picture, and another body under the key a conflict that no SDK retries."""
    headers = {"idempotency-key": "once"}
    first, second = await asyncio.gather(*(http.post(GENERATIONS, json={"prompt": "a"}, headers=headers) for _ in range(2)))
    assert first.json()["data"] == second.json()["data"]
    other = await http.post(GENERATIONS, json={"prompt": "b"}, headers=headers)
    assert (other.status_code, other.json()["error"]["param"]) == (409, "Idempotency-Key")
    assert other.headers["x-should-retry"] == "false"


async def test_limits_stand_in_the_headers(http: httpx.AsyncClient) -> None:
    """Ensures that a client sees what it has left before it is refused."""
    for stream in (False, True):
        answer = await http.post(GENERATIONS, json={"prompt": "a", "steps": 1, "stream": stream})
        assert answer.headers["x-ratelimit-limit-images"] == "200"
        assert int(answer.headers["x-ratelimit-remaining-requests"]) < 10
        assert answer.headers["x-ratelimit-reset-requests"].endswith("s")


async def test_a_stream_is_what_openai_documents(http: httpx.AsyncClient) -> None:
    """Ensures event and data lines that agree, comments in between, and the fields of the documentation."""
    async with http.stream("POST", GENERATIONS, json={"prompt": "a", "stream": True, "partial_images": 1}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        text = (await answer.aread()).decode()
    events = [block.split("\n") for block in text.strip().split("\n\n") if not block.startswith(":")]
    assert [lines[0] for lines in events] == ["event: image_generation.partial_image", "event: image_generation.completed"]
    for lines in events:
        data = json.loads(lines[1].removeprefix("data: "))
        assert lines[0] == f"event: {data['type']}"
        assert {"b64_json", "created_at", "background", "output_format", "quality", "size"} <= set(data)
    assert ": generation job_" in text


async def test_a_failure_before_the_stream_has_a_status_of_its_own(http: httpx.AsyncClient) -> None:
    """Ensures that a stream that cannot begin is an HTTP error and no stream."""
    answer = await http.post(GENERATIONS, json={"prompt": "a", "stream": True, "model": "none"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")


async def test_metrics_count_by_route(http: httpx.AsyncClient) -> None:
    """Ensures that metrics name routes and not addresses, which would be without number."""
    await http.get("/v1/images/job_secret/0")
    await http.get("/wp-login.php")
    text = (await http.get("/metrics")).text
    counted = [line for line in text.splitlines() if 'http_route="/v1/images/{generation_id}/{index}"' in line]
    assert any('http_response_status_code="404"' in line for line in counted)
    assert "job_secret" not in text
    assert "wp-login" not in text
    assert "grpc_server_call_duration_seconds" in text


async def test_the_documentation_describes_the_body(http: httpx.AsyncClient) -> None:
    """Ensures that the OpenAPI document names what may be asked."""
    schema = (await http.get("/openapi.json")).json()["paths"][GENERATIONS]["post"]
    assert {"prompt", "steps"} <= set(schema["requestBody"]["content"]["application/json"]["schema"]["properties"])
