"""Clients that others wrote, unchanged, over mTLS: tritonclient[grpc] and grpcurl."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.queue_peers.environments import python_of
from mezzotint.inference.app import run
from mezzotint.inference.settings import InferenceSettings
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import OPEN, write_repository
from tests.support.serving import connect, serving

CALLS = Path(__file__).with_name("triton_calls.py")


@dataclass(frozen=True)
class Environment:
    """What a peer needs installed."""

    name: str
    requirements: tuple[str, ...]


# Beside our own environment: it needs a protobuf before ours.
TRITONCLIENT = Environment("tritonclient", ("tritonclient[grpc]==2.73.0", "grpcio==1.85.1", "protobuf==6.33.6"))


@dataclass(frozen=True)
class Server:
    """Where the service is, and the operator's certificate."""

    port: int
    authority: Authority

    def file(self, name: str) -> str:
        return str(self.authority.folder / name)


@pytest.fixture
async def server(settings: InferenceSettings, authority: Authority, tmp_path: Path) -> AsyncIterator[Server]:
    """The service over every kind of tensor model, with reflection."""
    tensors = await asyncio.to_thread(write_repository, tmp_path / "tensors")
    authority.identity("operator")
    chosen = settings.model_copy(update={"tensor_models": tensors, "reflection": True})
    async with serving(run, chosen) as port, connect(authority, port, "inference", identity="operator") as channel:
        async for response in health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=OPEN)):
            if response.status == health_pb2.HealthCheckResponse.SERVING:
                break
        yield Server(port, authority)


async def output_of(*command: str, stdin: str = "") -> str:
    """What a program prints. It must end well."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, error = await asyncio.wait_for(process.communicate(stdin.encode()), 100)
    assert process.returncode == 0, error.decode()
    return out.decode()


@pytest.mark.timeout(700)
async def test_tritonclient(server: Server) -> None:
    """Ensures that tritonclient[grpc] runs unchanged: unary, async, stream, asyncio, all that is told, load and unload."""
    cache = Path(tempfile.gettempdir()) / "mezzotint-benchmark-peers"
    python = await asyncio.to_thread(python_of, TRITONCLIENT, cache, install=True)
    tls = [server.file(name) for name in ("ca.pem", "operator.key", "operator.pem")]
    done: dict[str, Any] = json.loads(await output_of(str(python), str(CALLS), f"localhost:{server.port}", *tls))
    doubled = [[2.0, 4.0, 6.0]]
    told = done["told"]
    assert (told["live"], told["ready"], told["model_ready"], told["server"]) == (True, True, [True, False], "mezzotint")
    assert told["metadata"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": ["-1", "-1"]}]
    assert (told["config"]["max_batch_size"], told["config"]["input"][0]["data_type"]) == (8, "TYPE_FP32")
    assert told["config"]["dynamic_batching"]["max_queue_delay_microseconds"] == "100000"
    inferred = done["inferred"]
    assert inferred == {
        "plain": [doubled, "7"],
        "async": [doubled, "None"],
        "bytes": ["a", "é"],
        "fp16": [[1.5]],
        "priority": doubled,
    }
    assert done["streamed"][0] == [doubled, ""]
    assert "no tensor model 'other' is loaded" in done["streamed"][1][1]
    assert done["streamed"][2] == [[[4.0, 8.0, 12.0]], ""]
    assert done["asynchronous"] == [2.0 * number for number in range(8)]
    failed = done["failed"]
    assert failed["model"].startswith("StatusCode.NOT_FOUND: no tensor model 'other' is loaded")
    assert failed["version"].startswith("StatusCode.NOT_FOUND: version '9' of 'shared' is not loaded")
    assert failed["shape"].startswith("StatusCode.INVALID_ARGUMENT: inputs[0].shape")
    assert failed["shared_memory"].startswith("StatusCode.UNIMPLEMENTED: ")
    operated = done["operated"]
    assert (operated["unloaded"], operated["loaded"]) == (True, True)
    assert {"name": "times", "version": "2", "state": "READY"} in operated["index"]
    (statistics,) = operated["statistics"]
    assert int(statistics["inference_count"]) == int(statistics["inference_stats"]["success"]["count"]) == 13
    assert int(statistics["execution_count"]) < 13
    assert int(statistics["inference_stats"]["fail"]["count"]) == 1


async def test_grpcurl(server: Server) -> None:
    """Ensures that the service can be explored and called by hand, with JSON."""
    tls = ("-cacert", server.file("ca.pem"), "-cert", server.file("operator.pem"), "-key", server.file("operator.key"))
    grpcurl, address = str(Path(sys.executable).with_name("grpcurl")), f"localhost:{server.port}"
    assert OPEN in await output_of(grpcurl, *tls, address, "list")
    asked = {
        "model_name": "times",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "contents": {"fp32_contents": [1, 2]}}],
    }
    answer = json.loads(await output_of(grpcurl, *tls, "-d", json.dumps(asked), address, f"{OPEN}/ModelInfer"))
    assert (answer["model_name"], answer["model_version"]) == ("times", "2")
    (output,) = answer["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("y", "FP32", ["1", "2"])
    assert output["contents"] == {"fp32_contents": [3, 6]}
