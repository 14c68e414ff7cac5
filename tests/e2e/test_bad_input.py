"""Whatever is sent, the answer says what is wrong, and the next request is served as if nothing had happened."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from mezzotint.api.auth.v1 import account_pb2, account_pb2_grpc
from mezzotint.api.images.v1 import images_pb2
from mezzotint.api.inference.v1 import generation_pb2
from mezzotint.runtime import calls, channel, errors, statuses
from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.tls import Authority
from mezzotint_client.process import ServiceFailed
from mezzotint_client.suite import Suite
from tests.e2e.events import to_end
from tests.support.people import Person

pytestmark = pytest.mark.asyncio(loop_scope="module")
PROMPTS = {"empty": "", "100 KB": "x" * 100_000, "control characters": "a red\x00heart\x1b[2J"}


async def works(person: Person) -> None:
    """A good request is served."""
    assert (await to_end(person.generate("a red heart", steps=1)))[-1].WhichOneof("event") == "finished"


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=list(PROMPTS))
async def test_a_bad_prompt(suite: Suite, person: Person, prompt: str) -> None:
    """Ensures that both doors name the field at fault."""
    with pytest.raises(errors.FieldInvalid) as caught:
        await to_end(person.generate(prompt))
    assert [violation.field for violation in caught.value.violations] == ["spec.prompt"]
    async with httpx.AsyncClient(base_url=suite.http_url, headers={"authorization": f"Bearer {person.secret}"}) as http:
        response = await http.post("/v1/images/generations", json={"prompt": prompt})
    assert response.status_code == 400
    assert response.json()["error"]["param"] == "prompt"
    await works(person)


async def test_a_prompt_that_is_not_utf8(suite: Suite, person: Person, gateway: grpc.aio.Channel) -> None:
    """Ensures that bytes that are no text are refused by both doors, as raw messages that no SDK would send."""
    raw = b"\x12\x06\x0a\x04\xff\xfe\xfd\xfc"
    method: Any = gateway.unary_stream("/mezzotint.api.images.v1.ImageService/GenerateImages")
    call = method(raw, metadata=person.metadata, timeout=10)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call.read()
    assert isinstance(statuses.from_call(caught.value), errors.FieldInvalid)
    headers = {"authorization": f"Bearer {person.secret}", "content-type": "application/json"}
    async with httpx.AsyncClient(base_url=suite.http_url, headers=headers) as http:
        response = await http.post("/v1/images/generations", content=b'{"prompt": "\xff\xfe"}')
    assert response.status_code == 400
    await works(person)


@pytest.mark.parametrize(
    ("spec", "error", "says"),
    [
        ({"model": "no-such-model"}, errors.ModelNotFound, "aquatint"),
        ({"width": 257, "height": 256}, errors.SizeUnsupported, "256x256"),
        ({"steps": 101}, errors.FieldInvalid, "100"),
        ({"images": 11}, errors.FieldInvalid, "10"),
        ({"guidance": float("nan")}, errors.FieldInvalid, "guidance"),
    ],
)
async def test_what_the_model_cannot_do(
    person: Person, spec: dict[str, Any], error: type[errors.MezzotintError], says: str
) -> None:
    """Ensures that unknown models and sizes and numbers out of range are refused with what would do."""
    with pytest.raises(error) as caught:
        await to_end(person.generate("a red heart", **spec))
    assert says in caught.value.message + str(caught.value.metadata)
    await works(person)


async def test_an_unknown_tier(suite: Suite, person: Person) -> None:
    """Ensures that an operator's typing error changes nothing and is answered with the tiers that exist."""
    operator = Authority.open(suite.data).identity("operator")
    async with channel.connect(suite.addresses["auth"], "auth", operator) as to_auth:
        stub = account_pb2_grpc.AccountServiceStub(to_auth)
        with pytest.raises(errors.TierUnknown) as caught:
            await calls.call(stub.SetTier, account_pb2.SetTierRequest(email=person.email, tier="platinum"))
    assert "enterprise" in caught.value.message + str(caught.value.metadata)
    await works(person)


@pytest.mark.parametrize("port", ["gateway", "auth", "ratelimit", "queue", "inference", "http"])
async def test_garbage_on_a_port(suite: Suite, person: Person, port: str) -> None:
    """Ensures that bytes of no protocol harm nobody."""
    address = suite.http_url.removeprefix("http://") if port == "http" else suite.addresses[port]
    host, number = address.split(":")
    for garbage in (os.urandom(65_536), b"\x16\x03\x01\x02\x00" + os.urandom(512), b"GET /" + b"a" * 100_000, b"\x00" * 1024):
        await asyncio.wait_for(_send(host, int(number), garbage), 20)
    await works(person)


async def _send(host: str, port: int, garbage: bytes) -> None:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(garbage)
        writer.write_eof()
        await reader.read()
    except OSError:
        return  # hung up on: as good an answer as any
    finally:
        writer.close()


async def test_a_large_message_is_refused(person: Person) -> None:
    """Ensures that 40 MB in one message end with the limit's status and cost nobody else anything."""
    request = images_pb2.GenerateImagesRequest(spec=generation_pb2.GenerationSpec(prompt="x" * 40_000_000))
    call = person.images.GenerateImages(request, metadata=person.metadata)
    with pytest.raises(grpc.RpcError) as caught:
        await call.read()
    error = statuses.from_call(caught.value)
    assert isinstance(error, errors.LimitReached)
    assert "40,000,010 bytes, and at most 33,554,432 may be in one" in str(error)
    await works(person)


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (lambda model: (model / "unet" / "model.onnx").write_bytes(b"no graph"), "unet/model.onnx"),
        (lambda model: (model / "vae_decoder" / "model.onnx").unlink(), "vae_decoder/model.onnx"),
        (lambda model: (model / "model_index.json").write_text("{"), "model_index.json"),
        (lambda model: (model / "tokenizer" / "tokenizer.json").write_text("[]"), "tokenizer/tokenizer.json"),
    ],
    ids=["not a graph", "missing", "not JSON", "no tokenizer"],
)
async def test_a_corrupt_model_folder(tmp_path: Path, damage: Callable[[Path], Awaitable[None]], named: str) -> None:
    """Ensures that a damaged default model keeps inference from being ready, and that its log names the file."""
    shutil.copytree(bundled("models"), tmp_path / "models")
    damage(tmp_path / "models" / "aquatint")
    environment = {"inference": {"MEZZOTINT_INFERENCE_MODELS": str(tmp_path / "models")}}
    with pytest.raises(ServiceFailed) as caught:
        async with Suite.start(tmp_path / "data", ports="free", environment=environment, ready_seconds_max=8):
            pass
    assert caught.value.service == "inference"
    assert named in str(caught.value)
