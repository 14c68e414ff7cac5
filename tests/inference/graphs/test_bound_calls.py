"""Calls over buffers that stay where they are; on the CPU, where the same code runs as on CUDA but for recording."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mezzotint.inference.graphs import bound_calls
from mezzotint.inference.graphs.devices import CPU, CUDA, Way, ways
from mezzotint.inference.graphs.graph import FLOAT, Graph, Tensor
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime
from mezzotint.runtime.errors import Internal, ModelInvalid
from tests.inference import tiny_pipelines as tiny
from tests.inference.tiny_model import save

FILE = "unet/model.onnx"
BOUND, PLAIN = Way((CPU,), bound=True), Way((CPU,))
INPUTS = {
    "sample": Tensor(FLOAT, (None, 4, None, None)),
    "timestep": Tensor(FLOAT, (None,)),
    "encoder_hidden_states": Tensor(FLOAT, (None, tiny.TOKENS, tiny.WIDTH)),
}
OUTPUTS = {"out_sample": Tensor(FLOAT, (None, 4, None, None))}
Open = Callable[..., Graph]


@pytest.fixture(params=[tiny.FLOAT, tiny.HALF], ids=["float32", "float16"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a small denoiser in the ways it is given."""
    save(tmp_path / FILE, tiny.denoiser(tiny.SD, request.param))
    return lambda *ways: Graph(tmp_path, FILE, INPUTS, OUTPUTS, 1, openings=ways)


def inputs(seed: int, rows: int, height: int, width: int) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Random inputs of the small denoiser."""
    random = np.random.default_rng(seed)
    return {
        "sample": random.standard_normal((rows, 4, height, width), np.float32),
        "timestep": random.uniform(0, 999, rows).astype(np.float32),
        "encoder_hidden_states": random.standard_normal((rows, tiny.TOKENS, tiny.WIDTH), np.float32),
    }


def test_bound_calls_give_what_plain_ones_give(opened: Open) -> None:
    """In any order of rows and sizes, and again with other values, results are those of plain calls and stay what they are."""
    bound, plain = opened(BOUND), opened(PLAIN)
    kept = []
    for seed, (rows, height, width) in enumerate([(1, 8, 8), (5, 8, 8), (2, 6, 10), (5, 8, 8), (6, 8, 8), (1, 8, 8)]):
        feed = inputs(seed, rows, height, width)
        (result,), (expected,) = bound(**feed), plain(**feed)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result, expected, atol=1e-6)
        kept.append((result, expected))
    for result, expected in kept:
        np.testing.assert_allclose(result, expected, atol=1e-6)


def test_rows_are_filled_up_to_few_shapes(opened: Open) -> None:
    """Five and six rows share buffers; another size has its own."""
    graph = opened(BOUND)
    assert graph.bound is not None
    for rows, height in ((5, 8), (6, 8), (5, 8), (5, 6)):
        assert graph(**inputs(0, rows, height, 8))[0].shape == (rows, 4, height, 8)
    assert graph.bound.shapes == 2
    assert [bound_calls.bucket_of(rows) for rows in (1, 5, 6, 7, 9, 200, 257)] == [1, 6, 6, 8, 12, 256, 257]


def test_only_so_many_shapes_are_kept(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """Buffers of the shape that was used least recently go first, and a shape that comes back is right again."""
    monkeypatch.setattr(bound_calls, "SHAPES_MAX", 2)
    graph, plain = opened(BOUND), opened(PLAIN)
    assert graph.bound is not None
    for height in (4, 6, 8, 4, 6):
        feed = inputs(height, 2, height, 8)
        np.testing.assert_allclose(graph(**feed)[0], plain(**feed)[0], atol=1e-6)
        assert graph.bound.shapes <= 2


def test_threads_do_not_mix_their_rows(opened: Open) -> None:
    """Calls from several threads over the same buffers each get their own result."""
    graph, plain = opened(BOUND), opened(PLAIN)
    feeds = [inputs(seed, 3, 8, 8) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda feed: graph(**feed)[0], feeds))
    for feed, result in zip(feeds, results, strict=True):
        np.testing.assert_allclose(result, plain(**feed)[0], atol=1e-6)


def test_call_that_fails_leaves_the_graph_usable(opened: Open) -> None:
    """A feed that the graph refuses is Internal, and the next call works."""
    graph = opened(BOUND)
    wrong = inputs(0, 2, 8, 8) | {"encoder_hidden_states": np.zeros((2, 3, 3), np.float32)}
    with pytest.raises(Internal, match=FILE):
        graph(**wrong)
    assert graph(**inputs(0, 2, 8, 8))[0].shape == (2, 4, 8, 8)


def test_next_way_is_taken_when_one_fails(opened: Open) -> None:
    """A way that ONNX Runtime refuses is passed over; when all are refused, the last reason is told."""
    # The CPU asked for and forbidden at once is refused everywhere.
    impossible = Way((CPU,), {"session.disable_cpu_ep_fallback": "1"}, bound=True, captured=True)
    graph = opened(impossible, PLAIN)
    assert graph.bound is None
    assert graph(**inputs(0, 2, 8, 8))[0].shape == (2, 4, 8, 8)
    with pytest.raises(ModelInvalid, match="cannot load"):
        opened(impossible, impossible)


def test_ways_with_and_without_cuda() -> None:
    """With CUDA: recorded and nothing on the CPU, then not recorded, then with what CUDA lacks on the CPU. Else the CPU."""
    assert ways((CPU,), captured=True) == [Way((CPU,))]
    found = ways((CUDA, CPU), captured=True)
    assert [(way.captured, way.bound, "session.disable_cpu_ep_fallback" in way.options) for way in found] == [
        (True, True, True),
        (False, True, True),
        (False, True, False),
    ]
    for way in found:
        provider = way.providers[0]
        assert isinstance(provider, tuple)
        assert provider[0] == CUDA
        assert provider[1]["cudnn_conv_algo_search"] == "HEURISTIC"
        assert (CPU in way.providers) == ("session.disable_cpu_ep_fallback" not in way.options)
    assert [way.captured for way in ways((CUDA, CPU), captured=False)] == [False, False]


class Recorded:
    """A session that notes the number of the CUDA graph of each run, and the graphs it is told to release."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self.io_binding = session.io_binding
        self.graphs: list[str] = []
        self.released: list[int] = []

    def run_with_iobinding(self, binding: object, options: onnxruntime.RunOptions) -> None:
        self.graphs.append(options.get_run_config_entry("gpu_graph_id"))
        self._session.run_with_iobinding(binding, onnxruntime.RunOptions())

    def release_captured_graph(self, number: int) -> None:
        self.released.append(number)


def test_each_shape_has_a_cuda_graph_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shape's first run records nothing, all others go by its number; a shape that is let go is released."""
    monkeypatch.setattr(bound_calls, "SHAPES_MAX", 1)
    save(tmp_path / FILE, tiny.denoiser(tiny.SD))
    session = Recorded(onnxruntime.InferenceSession(tmp_path / FILE, providers=[CPU]))
    calls = bound_calls.BoundCalls(session, ["out_sample"], "cpu", captured=True)
    for height in (8, 8, 6):
        calls(inputs(0, 2, height, 8))
    assert session.graphs == ["-1", "1", "1", "-1", "2"]
    assert session.released == [1]
