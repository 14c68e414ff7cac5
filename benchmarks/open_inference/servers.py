"""Those who serve the file, each as its own process on loopback."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc

from benchmarks.open_inference.graph import NAME
from benchmarks.open_inference.load import Target
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime
from mezzotint.runtime.tls import Authority
from mezzotint_client import plan
from mezzotint_client.process import ServiceProcess
from mezzotint_client.suite import make_identities

HERE = Path(__file__).parent
READY_SECONDS_MAX = 60.0
BATCH_MAX = 64


@dataclass(frozen=True)
class Environment:
    """What a peer needs installed."""

    name: str
    requirements: tuple[str, ...]


# ONNX Runtime in our own version.
MLSERVER = Environment("mlserver", ("mlserver==1.7.1", f"onnxruntime=={onnxruntime.__version__}"))


class NotReady(Exception):
    """A server did not answer; the message holds the end of its log."""


@asynccontextmanager
async def mezzotint(folder: Path, graph: Path) -> AsyncIterator[Target]:
    """The inference service as it is deployed, mTLS and all, with the graph among its tensor models."""
    version = folder / "tensors" / NAME / "1"
    version.mkdir(parents=True)
    shutil.copy(graph, version / "model.onnx")
    (version.parent / "model.yaml").write_text(f"max_batch_size: {BATCH_MAX}\n")
    data = folder / "data"
    (data / "logs").mkdir(parents=True)
    make_identities(data, ("inference", "operator", "gateway"))
    with ExitStack() as held:
        ports = {**plan.default_ports(), "inference": plan.hold_free_port(held)}
    own = {
        "MEZZOTINT_INFERENCE_TENSOR_MODELS": str(folder / "tensors"),
        "MEZZOTINT_INFERENCE_QUEUE_ADDRESS": "",
        "MEZZOTINT_INFERENCE_REFLECTION": "false",
    }
    address = f"{plan.HOST}:{ports['inference']}"
    environment = plan.environment("inference", data, ports, own)
    process = ServiceProcess("inference", address, {**environment, **own}, data / "logs" / "inference.log")
    await process.start()
    try:
        await process.ready(Authority.open(data).identity("operator"), READY_SECONDS_MAX)
        yield Target(address, process.pid, data)
    finally:
        await process.stop()


@asynccontextmanager
async def mlserver(folder: Path, graph: Path, python: Path, *, batch: bool) -> AsyncIterator[Target]:
    """MLServer without its debugging, worker process, metrics and TLS, which cost it time; `batch`: with adaptive batching."""
    port, process, log = _start(folder, graph, python, batch=batch)
    try:
        await _ready(f"{plan.HOST}:{port}", process, log)
        yield Target(f"{plan.HOST}:{port}", process.pid, None, typed=True)
    finally:
        process.terminate()
        process.wait()


def _start(folder: Path, graph: Path, python: Path, *, batch: bool) -> "tuple[int, subprocess.Popen[bytes], Path]":
    """Its port, its process and its log."""
    folder.mkdir(parents=True)
    shutil.copy(graph, folder / "model.onnx")
    shutil.copy(HERE / "mlserver_model.py", folder / "mlserver_model.py")
    with ExitStack() as held:
        http, grpc_port, metrics = (plan.hold_free_port(held) for _ in range(3))
    settings = {
        "debug": False,
        "host": plan.HOST,
        "http_port": http,
        "grpc_port": grpc_port,
        "metrics_port": metrics,
        "metrics_endpoint": None,
        "parallel_workers": 0,
    }
    model: dict[str, Any] = {"name": NAME, "implementation": "mlserver_model.OnnxModel", "parameters": {"uri": "./model.onnx"}}
    if batch:
        model |= {"max_batch_size": BATCH_MAX, "max_batch_time": 0.001}
    (folder / "settings.json").write_text(json.dumps(settings))
    (folder / "model-settings.json").write_text(json.dumps(model))
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1"}
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(python), "-m", "mlserver.cli.main", "start", str(folder)],
            cwd=folder,
            env=environment,
            stdout=output,
            stderr=output,
            # As ours is started: systems may share the processor among sessions.
            start_new_session=True,
        )
    return grpc_port, process, log


async def _ready(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until the model answers. Raises NotReady."""
    end = asyncio.get_running_loop().time() + READY_SECONDS_MAX
    async with grpc.aio.insecure_channel(address) as opened:
        call: Any = opened.unary_unary("/inference.GRPCInferenceService/ModelReady")
        name = b"\n" + bytes([len(NAME)]) + NAME.encode()
        while asyncio.get_running_loop().time() < end and process.poll() is None:
            try:
                if await call(name, timeout=2) == b"\x08\x01":
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.2)
    raise NotReady(f"it did not answer: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return " ".join(log.read_text(errors="replace").split())[-300:]
