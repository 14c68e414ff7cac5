"""Everything tritonclient[grpc] does with us, as its users write it. Runs in an environment of its own: its stubs and ours
register the same protobuf package, and it needs an older protobuf. Prints one JSON object."""

import asyncio
import json
import queue
import sys
from typing import Any

import numpy as np
import tritonclient.grpc as triton  # type: ignore[import-not-found, unused-ignore]  # in an environment of its own
import tritonclient.grpc.aio as triton_aio  # type: ignore[import-not-found, unused-ignore]  # likewise
from tritonclient.utils import InferenceServerException  # type: ignore[import-not-found, unused-ignore]  # likewise

MODEL, ROW = "shared", np.array([[1.0, 2.0, 3.0]], np.float32)
WAIT_SECONDS = 30


def inputs(row: Any = ROW, datatype: str = "FP32") -> list[Any]:
    """One input."""
    tensor = triton.InferInput("x", list(row.shape), datatype)
    tensor.set_data_from_numpy(row)
    return [tensor]


def told(client: Any) -> dict[str, Any]:
    """What the server says of itself and its models."""
    return {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(MODEL), client.is_model_ready("other")],
        "server": client.get_server_metadata(as_json=True)["name"],
        "metadata": client.get_model_metadata(MODEL, as_json=True),
        "config": client.get_model_config(MODEL, as_json=True)["config"],
    }


def inferred(client: Any) -> dict[str, Any]:
    """Every way to infer."""
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    plain = client.infer(
        MODEL, inputs(), request_id="7", outputs=[triton.InferRequestedOutput("y")], client_timeout=WAIT_SECONDS
    )
    client.async_infer(MODEL, inputs(), lambda result, error: done.put((result, error)))
    later, error = done.get(timeout=WAIT_SECONDS)
    words = client.infer("same_bytes", inputs(np.array([[b"a", "é".encode()]], object), "BYTES"))
    half = client.infer("same_fp16", inputs(np.array([[1.5]], np.float16), "FP16"))
    return {
        "plain": [plain.as_numpy("y").tolist(), plain.get_response().id],
        "async": [later.as_numpy("y").tolist(), str(error)],
        "bytes": [each.decode() for each in words.as_numpy("y").ravel()],
        "fp16": half.as_numpy("y").tolist(),
        "priority": client.infer(MODEL, inputs(), priority=1, timeout=5_000_000).as_numpy("y").tolist(),
    }


def streamed(client: Any) -> list[list[Any]]:
    """A stream with a failure in the middle."""
    done: queue.Queue[tuple[Any, Any]] = queue.Queue()
    client.start_stream(lambda result, error: done.put((result, error)))
    client.async_stream_infer(MODEL, inputs(), request_id="1", enable_empty_final_response=True)
    client.async_stream_infer("other", inputs(), request_id="2")
    client.async_stream_infer(MODEL, inputs(2 * ROW), request_id="3")
    answers = [done.get(timeout=WAIT_SECONDS) for _ in range(3)]
    client.stop_stream()
    return [[None if error else result.as_numpy("y").tolist(), str(error) if error else ""] for result, error in answers]


def failed(client: Any) -> dict[str, str]:
    """What mistakes look like to its users."""
    return {
        "model": failure(lambda: client.infer("other", inputs())),
        "version": failure(lambda: client.infer(MODEL, inputs(), model_version="9")),
        "shape": failure(lambda: client.infer(MODEL, inputs(np.zeros((1,), np.float32)))),
        "shared_memory": failure(lambda: client.get_system_shared_memory_status()),
    }


def failure(call: Any) -> str:
    """Status and message."""
    try:
        call()
    except InferenceServerException as error:
        return f"{error.status()}: {error.message()}"
    return ""


def operated(client: Any) -> dict[str, Any]:
    """The repository and the statistics."""
    client.unload_model("times")
    without = client.is_model_ready("times")
    client.load_model("times")
    return {
        "unloaded": not without,
        "loaded": client.is_model_ready("times"),
        "index": client.get_model_repository_index(as_json=True)["models"],
        "statistics": client.get_inference_statistics(MODEL, as_json=True)["model_stats"],
    }


async def asynchronous(address: str, tls: dict[str, Any]) -> Any:
    """The same client for asyncio."""
    async with triton_aio.InferenceServerClient(address, **tls) as client:
        many = await asyncio.gather(*(client.infer(MODEL, inputs(number * ROW)) for number in range(8)))
        return [each.as_numpy("y")[0, 0].item() for each in many]


def main() -> None:
    """Call everything."""
    address, authority, key, chain = sys.argv[1:]
    tls = {"ssl": True, "root_certificates": authority, "private_key": key, "certificate_chain": chain}
    with triton.InferenceServerClient(address, **tls) as client:
        done = {"told": told(client), "inferred": inferred(client), "streamed": streamed(client), "failed": failed(client)}
        done["asynchronous"] = asyncio.run(asynchronous(address, tls))
        done["operated"] = operated(client)
    print(json.dumps(done))


if __name__ == "__main__":
    main()
