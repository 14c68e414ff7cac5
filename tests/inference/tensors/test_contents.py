"""Tensors in both forms of the wire, for every type, with numbers that are at the edges."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mezzotint.api.open_inference.tensors_pb2 import InferTensorContents
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors.types import BY_NAME, TYPES, Array, TensorType
from mezzotint.runtime.errors import FieldInvalid

SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)


@st.composite
def tensors(draw: st.DrawFn) -> tuple[TensorType, Array]:
    """A type and a tensor of it; NaN and infinities among them."""
    type_ = draw(st.sampled_from(TYPES))
    if type_.name == "BYTES":
        shape = draw(SHAPES)
        count = int(np.prod(shape))
        texts = draw(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=count, max_size=count))
        return type_, np.array(texts, object).reshape(shape)
    return type_, draw(arrays.arrays(type_.dtype, SHAPES))


def bits(type_: TensorType, array: Array) -> object:
    """What must be equal: of numbers their bytes, so that NaN counts too."""
    return array.tolist() if type_.name == "BYTES" else (array.dtype, array.tobytes())


@given(tensors())
def test_raw_and_back(given_: tuple[TensorType, Array]) -> None:
    """Ensures that a tensor comes back bit by bit from its raw form."""
    type_, array = given_
    back = tensor_contents.from_raw("f", type_, array.shape, tensor_contents.to_raw(type_, array))
    assert back.shape == array.shape
    assert bits(type_, back) == bits(type_, array)


@given(tensors())
def test_typed_and_back(given_: tuple[TensorType, Array]) -> None:
    """Ensures that a tensor comes back from its typed form; NaN as some NaN."""
    type_, array = given_
    if not type_.contents:
        return
    back = tensor_contents.from_contents("f", type_, array.shape, tensor_contents.to_contents(type_, array))
    assert back.shape == array.shape
    if type_.name == "BYTES":
        assert back.tolist() == array.tolist()
    else:
        np.testing.assert_array_equal(back, array)


@given(tensors(), st.binary(min_size=1, max_size=5))
def test_another_length_is_refused(given_: tuple[TensorType, Array], more: bytes) -> None:
    """Ensures that bytes too many or too few never become a tensor."""
    type_, array = given_
    raw = tensor_contents.to_raw(type_, array)
    for wrong in (raw + more, raw[: -len(more)] if len(raw) >= len(more) else raw + more):
        with pytest.raises(FieldInvalid, match=r"^f: "):
            tensor_contents.from_raw("f", type_, array.shape, wrong)


@given(st.binary(max_size=40), st.integers(0, 4))
def test_garbage_is_texts_or_refused(raw: bytes, count: int) -> None:
    """Ensures that no bytes whatever do more than be refused as BYTES."""
    try:
        found = tensor_contents.from_raw("f", BY_NAME["BYTES"], (count,), raw)
    except FieldInvalid:
        return
    assert tensor_contents.to_raw(BY_NAME["BYTES"], found) == raw


@pytest.mark.parametrize(("name", "value"), [("INT8", 128), ("UINT8", 256), ("INT16", -32769), ("UINT16", 65536)])
def test_numbers_that_do_not_fit_are_refused(name: str, value: int) -> None:
    """Ensures that a number of the shared list is not cut to the smaller type."""
    type_, contents = BY_NAME[name], InferTensorContents()
    getattr(contents, type_.contents).append(value)
    with pytest.raises(FieldInvalid, match=f"does not fit {name}"):
        tensor_contents.from_contents("f", type_, (1,), contents)


@pytest.mark.parametrize(
    ("name", "shape", "contents", "problem"),
    [
        ("FP16", (1,), InferTensorContents(fp32_contents=[1]), "no typed form"),
        ("FP32", (1,), InferTensorContents(fp64_contents=[1]), "goes into fp32_contents; fp64_contents came"),
        ("FP32", (2,), InferTensorContents(fp32_contents=[1]), "takes 2 elements; 1 came"),
        ("FP32", (-1,), InferTensorContents(), "none of them negative"),
        ("FP32", (1,) * 33, InferTensorContents(fp32_contents=[1]), "at most 32 dimensions"),
        ("FP32", (0, 2**62, 2**62), InferTensorContents(), "too large"),
        ("BYTES", (1,), InferTensorContents(bytes_contents=[b"\xff"]), "not UTF-8"),
    ],
)
def test_wrong_contents_are_refused(name: str, shape: tuple[int, ...], contents: InferTensorContents, problem: str) -> None:
    """Ensures that each mistake is told as what it is."""
    with pytest.raises(FieldInvalid, match=problem):
        tensor_contents.from_contents("f", BY_NAME[name], shape, contents)


def test_a_bool_is_one_or_zero() -> None:
    """Ensures that no other byte reaches a model as a truth value."""
    with pytest.raises(FieldInvalid, match="0 or 1"):
        tensor_contents.from_raw("f", BY_NAME["BOOL"], (2,), b"\x01\x02")
