"""The bound on what requests and answers hold, and how many bytes a request is told to hold."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest
from mezzotint.inference.graphs.memory import MIB
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.model_settings import TensorSettings
from mezzotint.inference.tensors.request_size import COPIES, TEXT_BYTES, TEXT_COPIES, size_of
from mezzotint.inference.tensors.types import BY_NAME
from mezzotint.inference.tensors.under_way import Place, UnderWay
from mezzotint.runtime.errors import ServerOverloaded
from tests.inference.tensor_models import floats, request, same, write_model


def test_requests_over_the_bound_are_refused_until_others_are_answered() -> None:
    """Ensures that the refusal tells what is held, what was asked and the bound, and that nothing of others changes."""
    under_way = UnderWay(10)
    first, second = under_way.enter(6 * MIB), under_way.enter(4 * MIB)
    with pytest.raises(ServerOverloaded, match=r"hold 10\.0 MiB of memory, and this one takes 1\.0 MiB; 10 MiB may") as full:
        under_way.enter(1 * MIB)
    assert full.value.retry_after == 1.0
    assert under_way.held == 10 * MIB
    second.give_back()
    second.give_back()
    assert under_way.held == first.size == 6 * MIB
    under_way.enter(1 * MIB)


def test_a_request_that_is_alone_is_taken() -> None:
    """Ensures that no request is too large for ever: a message has a bound of its own."""
    under_way = UnderWay(1)
    alone = under_way.enter(50 * MIB)
    with pytest.raises(ServerOverloaded):
        under_way.enter(1)
    alone.answered(60 * MIB)
    alone.give_back()
    assert under_way.held == 0


def test_an_answer_that_is_larger_than_its_request_needs_room() -> None:
    """Ensures that answers keep the bound too, and that a smaller one always fits."""
    under_way = UnderWay(10)
    first, second = under_way.enter(5 * MIB), under_way.enter(5 * MIB)
    with pytest.raises(ServerOverloaded, match=r"the answer to this request takes 6\.0 MiB"):
        first.answered(6 * MIB)
    assert first.size == 5 * MIB
    first.answered(4 * MIB)
    second.answered(6 * MIB)
    assert under_way.held == 10 * MIB


@given(st.lists(st.tuples(st.sampled_from(["enter", "answered", "give_back"]), st.integers(0, 3 * MIB), st.integers(0, 9))))
def test_the_sum_is_that_of_the_places(steps: list[tuple[str, int, int]]) -> None:
    """Ensures in every order that what is held is what the places hold, and above the bound only for one alone."""
    under_way, places = UnderWay(5), list[Place]()
    for what, size, which in steps:
        try:
            if what == "enter":
                places.append(under_way.enter(size))
            elif places and what == "answered":
                places[which % len(places)].answered(size)
            elif places:
                places.pop(which % len(places)).give_back()
        except ServerOverloaded:
            assert len(places) > 0
        assert under_way.held == sum(place.size for place in places)
        assert under_way.held <= 5 * MIB or sum(place.size > 0 for place in places) == 1


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TensorModel]:
    """A model of texts and one of numbers."""
    folder = tmp_path_factory.mktemp("models")
    return {name: TensorModel(write_model(folder / name, same(name)), 1, TensorSettings()) for name in ("BYTES", "FP32")}


def texts(*each: str, raw: bool = True) -> ModelInferRequest:
    """A request with one row of texts."""
    made, array = ModelInferRequest(), np.array([each], object)
    made.inputs.add(name="x", datatype="BYTES", shape=array.shape)
    if raw:
        made.raw_input_contents.append(tensor_contents.to_raw(BY_NAME["BYTES"], array))
    else:
        made.inputs[0].contents.CopyFrom(tensor_contents.to_contents(BY_NAME["BYTES"], array))
    return made


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("text", ["", "ab", "€" * 3, "a" * 200 + "😀"])
def test_texts_take_no_more_than_is_told(models: dict[str, TensorModel], text: str, raw: bool) -> None:
    """Ensures that texts, which become objects many times their size, count with what they become."""
    asked = texts(*[f"{text}{number:02}" if text else "" for number in range(5000)], raw=raw)
    tracemalloc.start()
    decoded = tensor_request.decode(asked, models["BYTES"])
    took, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(decoded.inputs["x"][0]) == 5000
    # The request as it came and as a message are not in what was measured. Empty texts, all one object, count too much.
    took += 2 * asked.ByteSize()
    assert took <= size_of(asked, models["BYTES"]) <= (3 if text else 8) * took


def test_numbers_take_three_times_their_bytes(models: dict[str, TensorModel]) -> None:
    """Ensures that both forms of numbers count alike."""
    raw = request("FP32", floats([1.0, 2.0, 3.0]))
    typed = ModelInferRequest()
    typed.inputs.add(name="x", datatype="FP32", shape=[1, 3]).contents.fp32_contents.extend([1, 2, 3])
    assert size_of(raw, models["FP32"]) == size_of(typed, models["FP32"]) == COPIES * 12


@pytest.mark.parametrize("shape", [[2**62, 2**62], [-5, 1], [1], [1] * 1000, [0, 1]])
def test_a_shape_that_lies_changes_little(models: dict[str, TensorModel], shape: list[int]) -> None:
    """Ensures that a shape, which may say anything, cannot claim or hide more texts than the bytes may have."""
    asked = texts("abcd", "efgh")
    asked.inputs[0].shape[:] = shape
    assert TEXT_COPIES * 16 <= size_of(asked, models["BYTES"]) <= TEXT_COPIES * 16 + TEXT_BYTES * 4
    asked.inputs[0].name = "unknown"
    assert size_of(asked, models["BYTES"]) == 0
