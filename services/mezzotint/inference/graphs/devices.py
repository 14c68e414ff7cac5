"""How a graph may be opened on this machine, best way first."""

from dataclasses import dataclass, field
from functools import cache

from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"
ERRORS_ONLY = 3
Provider = str | tuple[str, dict[str, str]]


@dataclass(frozen=True)
class Way:
    """Providers and session options to open a graph with. `bound`: its calls go through buffers on the device.

    `captured`: each shape's call is recorded as a CUDA graph and replayed.
    """

    providers: tuple[Provider, ...]
    options: dict[str, str] = field(default_factory=dict)
    bound: bool = False
    captured: bool = False


def ways(available: tuple[str, ...], *, captured: bool) -> list[Way]:
    """The ways to open a graph with these providers. `captured`: it is called again and again in few shapes."""
    if CUDA not in available:
        return [Way((CPU,))]
    # Batches change their size from call to call: an exhaustive search would stall on each new one, and an arena that doubles
    # would keep room for the largest. The last way lets nodes that CUDA lacks run on the CPU, which a CUDA graph cannot hold.
    plain = {"cudnn_conv_algo_search": "HEURISTIC", "arena_extend_strategy": "kSameAsRequested"}
    alone = {"session.disable_cpu_ep_fallback": "1"}
    strict = Way(((CUDA, plain),), alone, bound=True)
    with_graph = Way(((CUDA, plain | {"enable_cuda_graph": "1"}),), alone, bound=True, captured=True)
    return [*([with_graph] if captured else []), strict, Way(((CUDA, plain), CPU), bound=True)]


@cache
def available() -> tuple[str, ...]:
    """The providers of this machine; CUDA's libraries come from packages beside this one, where no dynamic linker looks."""
    found = tuple(onnxruntime.get_available_providers())
    if CUDA in found:
        onnxruntime.preload_dlls()
    return found


def session_options(threads: int, way: Way) -> onnxruntime.SessionOptions:
    """How a graph runs: `threads` in one call, which sleep instead of spinning while there is nothing to do."""
    chosen = onnxruntime.SessionOptions()
    chosen.intra_op_num_threads = threads
    chosen.inter_op_num_threads = 1
    chosen.log_severity_level = ERRORS_ONLY
    chosen.add_session_config_entry("session.intra_op.allow_spinning", "0")
    for name, value in way.options.items():
        chosen.add_session_config_entry(name, value)
    return chosen
