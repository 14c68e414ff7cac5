"""What t(batch) depends on besides the shape and the rows: the graphs, the device, the machine, and the ONNX Runtime.

A curve that is kept under other conditions is another curve. All of it reads files.
"""

import hashlib
import platform
from pathlib import Path

from mezzotint.inference.graphs.memory import graph_bytes
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime
from mezzotint.inference.models.engine import Engine

CPU_INFO, GPU_INFO = Path("/proc/cpuinfo"), Path("/proc/driver/nvidia/gpus")
# A graph's nodes stand before its weights, which do not change how long a call takes.
HEAD_BYTES = 16 * 1024 * 1024
DEVICE_CHARACTERS_MAX = 256


def model_of(engine: Engine, folder: Path) -> str:
    """A model by name, version and graphs: others under the same name and version are another model."""
    digest = hashlib.sha256(str(graph_bytes(folder)).encode())
    for path in sorted(folder.glob("*/*.onnx")):
        digest.update(str(path.relative_to(folder)).encode())
        with path.open("rb") as file:
            digest.update(file.read(HEAD_BYTES))
    return f"{engine.card.key}, {digest.hexdigest()[:16]}"


def device_of(provider: str, threads: int) -> str:
    """The provider with the threads inside a call, the machine's processor and GPUs, and the version of ONNX Runtime."""
    return f"{provider}, {threads} threads, {machine()}, onnxruntime {onnxruntime.__version__}"[:DEVICE_CHARACTERS_MAX]


def machine(cpu_info: Path = CPU_INFO, gpu_info: Path = GPU_INFO) -> str:
    """The processor's name, and those of the GPUs that a driver of NVIDIA's tells of."""
    found = {value_of(path, "Model") for path in gpu_info.glob("*/information")} - {""}
    return ", ".join([value_of(cpu_info, "model name") or platform.machine(), *sorted(found)])


def value_of(path: Path, name: str) -> str:
    """The first value of a name in lines of "name : value"; nothing where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")
