"""What the inference service can be told by its environment: MEZZOTINT_INFERENCE_<FIELD>."""

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from mezzotint.inference.batching.step_scheduler import ASIDE_MAX
from mezzotint.inference.batching.waiting_list import WAITING_MAX
from mezzotint.inference.pictures.preparing import GIVEN_MIB_MAX
from mezzotint.inference.tensors.under_way import TENSOR_MIB_MAX
from mezzotint.runtime.bundled import bundled
from mezzotint.runtime.settings import ServiceSettings, config


def cores() -> int:
    """The processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InferenceSettings(ServiceSettings):
    """Settings of the inference service."""

    model_config = config("inference")

    port: int = Field(default=7404, ge=0, le=65535)
    """The gRPC port; 0 takes any free one."""
    message_bytes_max: int = Field(default=20 * 1024 * 1024, ge=64 * 1024, le=64 * 1024 * 1024)
    """The largest gRPC message taken or sent; a picture and its mask travel whole."""
    metrics_port: int = Field(default=9404, ge=0, le=65535)
    """The port of Prometheus metrics; 0: none."""
    models: Path = Field(default_factory=lambda: bundled("models"))
    """The folder of models, each a folder of its own."""
    memory_mib: int = Field(default=0, ge=0)
    """Memory that all models together may take, tensor models too, in MiB; 0: four fifths of the machine's."""
    model_memory_mib: int = Field(default=0, ge=0)
    """Memory that one model may take, in MiB; 0: as much as all together."""
    default_model: str = "aquatint"
    """The model of requests that name none. The service is ready once it is loaded."""
    mode: Literal["step", "request", "serial"] = "step"
    """Who shares a call of the denoiser: pictures that join and leave at every step, requests of equal steps, or one."""
    rows_max: int = Field(default=8, ge=2, le=256)
    """The most rows of one call of the denoiser: a picture with guidance takes two, one without takes one."""
    rows: int | None = Field(default=None, ge=2, le=256)
    """Rows of one call, measured or not. Not set: as many, up to `rows_max`, as let the device draw more in the same time."""
    calls_held: int = Field(default=3, ge=1, le=16)
    """The worker has slots for the rows of so many calls. With more than one, short pictures and better tiers pass others; but
    what it took it draws, even if another is idle by then."""
    measure_again: bool = False
    """Measure that at this start, whatever is kept of earlier ones in `inference/curves.json` of the data folder."""
    waiting_max: int = Field(default=WAITING_MAX, ge=1, le=65536)
    """Pictures that may wait for a slot or be prepared for that; more are refused with SERVER_OVERLOADED."""
    given_mib_max: int = Field(default=GIVEN_MIB_MAX, ge=16, le=65536)
    """MiB of pictures in requests whose pictures are being prepared; requests that bring more are refused likewise."""
    aside_max: int = Field(default=ASIDE_MAX, ge=0, le=4096)
    """Pictures that may be put aside while others are in their slots; 0: whoever has a slot keeps it."""
    priorities: dict[str, int] = Field(default_factory=lambda: {"enterprise": 0, "pro": 0, "plus": 1, "free": 2})
    """The priority of each tier's pictures, as a JSON object; lower numbers go first. Tiers that are not named go last."""
    threads: int = Field(default_factory=cores, ge=1, le=512)
    """Threads inside one call of the denoiser."""
    pool_threads: int = Field(default=2, ge=1, le=64)
    """Threads that encode text and decode pictures beside the denoiser."""
    embeddings_max: int = Field(default=512, ge=1, le=65536)
    """Prompts whose embeddings are kept for the next request with the same words."""
    queue_address: str = "127.0.0.1:7403"
    """The queue this worker pulls from; empty: none, only direct calls are served."""
    worker_id: str = Field(default="", max_length=64)
    """This worker's name to the queue, unlike any other's; empty: one kept in the data folder, the same after a restart."""
    blobs_url: str = ""
    """The object store for finished pictures; empty: the folder `images` of the data folder."""
    tensor_models: Path | None = None
    """The folder of plain tensor models for the Open Inference Protocol, <model>/<version>/model.onnx; none: there are none."""
    tensor_threads: int = Field(default_factory=cores, ge=1, le=512)
    """Calls of tensor models at the same time, all models together."""
    tensor_mib_max: int = Field(default=TENSOR_MIB_MAX, ge=1, le=1024 * 1024)
    """MiB that requests and unsent answers of tensor models may hold together; more are refused with SERVER_OVERLOADED."""
