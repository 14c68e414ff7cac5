"""When the server says that it is ready, and when not."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mezzotint.api.open_inference import open_inference_pb2
from mezzotint.api.open_inference.open_inference_pb2_grpc import (
    GRPCInferenceServiceStub,
    add_GRPCInferenceServiceServicer_to_server,
)
from mezzotint.inference.open_inference.infer import OpenInference
from mezzotint.inference.open_inference.service import OpenInferenceServicer
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.runtime.server import Server
from mezzotint.runtime.settings import ServiceSettings
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import OPEN, times, write_model
from tests.support.serving import connect

GUARD_SECONDS = 20


async def test_the_server_is_ready_from_its_last_model_to_its_stop(data: Path, authority: Authority, tmp_path: Path) -> None:
    """Ensures that clients who ask before they call are sent elsewhere while models are loaded and while the server stops."""
    write_model(tmp_path / "times", times(2))
    server, gate = Server(ServiceSettings(data=data), authority.identity("inference"), [OPEN]), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        repository = TensorRepository(tmp_path, pool)
        servicer = OpenInferenceServicer(
            repository, OpenInference(repository, pool, mib_max=16, message_bytes_max=1 << 20), server.draining
        )
        server.add(add_GRPCInferenceServiceServicer_to_server, servicer)
        await server.start()
        async with connect(authority, server.port, "inference", identity="operator") as channel:
            stub = GRPCInferenceServiceStub(channel)

            async def told() -> tuple[bool, bool, bool]:
                live = await stub.ServerLive(open_inference_pb2.ServerLiveRequest())
                ready = await stub.ServerReady(open_inference_pb2.ServerReadyRequest())
                model = await stub.ModelReady(open_inference_pb2.ModelReadyRequest(name="times"))
                return live.live, ready.ready, model.ready

            pool.submit(gate.wait)
            loading = asyncio.create_task(repository.load_all())
            try:
                assert await told() == (True, False, False)
            finally:
                gate.set()
            await asyncio.wait_for(loading, GUARD_SECONDS)
            assert await told() == (True, True, True)
            server.draining.set()
            assert await told() == (True, False, True)
        await server.stop()
