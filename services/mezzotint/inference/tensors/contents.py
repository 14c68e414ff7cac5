"""Tensors between the wire's two forms, raw bytes and typed lists, and NumPy."""

import math
import struct
from collections.abc import Iterator, Sequence

import numpy as np

from mezzotint.api.open_inference.tensors_pb2 import InferTensorContents
from mezzotint.inference.tensors.types import BYTES, Array, TensorType
from mezzotint.runtime.errors import FieldInvalid

LENGTH = struct.Struct("<I")
# What NumPy can hold; shapes beyond it have no elements or could never be sent.
DIMENSIONS_MAX = 32
SMALL = ("INT8", "INT16", "UINT8", "UINT16")


def from_raw(field: str, type_: TensorType, shape: Sequence[int], raw: bytes) -> Array:
    """A tensor from its raw bytes; numbers are not copied. Raises FieldInvalid unless they are exactly the shape's."""
    count = elements(field, shape)
    if type_.name == BYTES:
        return shaped(field, np.array(list(_texts(field, raw, count)), object), shape)
    expected = count * type_.dtype.itemsize
    if len(raw) != expected:
        raise FieldInvalid.of(field, f"{type_.name} of shape {list(shape)} takes {expected} bytes; {len(raw)} came")
    if type_.name == "BOOL" and raw.translate(None, b"\x00\x01"):
        raise FieldInvalid.of(field, "each byte of a BOOL is 0 or 1")
    return shaped(field, np.frombuffer(raw, type_.dtype), shape)


def from_contents(field: str, type_: TensorType, shape: Sequence[int], contents: InferTensorContents) -> Array:
    """A tensor from its typed list. Raises FieldInvalid unless that list, and no other, has exactly the shape's elements."""
    if not type_.contents:
        raise FieldInvalid.of(field, f"{type_.name} has no typed form; send it in raw_input_contents")
    filled = {descriptor.name for descriptor, _ in contents.ListFields()}
    if wrong := filled - {type_.contents}:
        raise FieldInvalid.of(field, f"{type_.name} goes into {type_.contents}; {', '.join(sorted(wrong))} came")
    values, count = getattr(contents, type_.contents), elements(field, shape)
    if len(values) != count:
        raise FieldInvalid.of(field, f"shape {list(shape)} takes {count} elements; {len(values)} came")
    if type_.name == BYTES:
        return shaped(field, np.array([text(field, each) for each in values], object), shape)
    array = np.array(values).astype(type_.dtype) if count else np.empty(0, type_.dtype)
    # Small whole numbers share a list of larger ones.
    if type_.name in SMALL and (array != values).any():
        raise FieldInvalid.of(field, f"a number does not fit {type_.name}")
    return shaped(field, array, shape)


def to_raw(type_: TensorType, array: Array) -> bytes:
    """A tensor's raw bytes."""
    if type_.name != BYTES:
        return array.astype(type_.dtype, copy=False).tobytes()
    encoded = [str(each).encode() for each in array.flat]
    return b"".join(part for each in encoded for part in (LENGTH.pack(len(each)), each))


def to_contents(type_: TensorType, array: Array) -> InferTensorContents:
    """A tensor's typed list; not for FP16, which has none."""
    values = [str(each).encode() for each in array.flat] if type_.name == BYTES else array.ravel().tolist()
    contents = InferTensorContents()
    getattr(contents, type_.contents).extend(values)
    return contents


def elements(field: str, shape: Sequence[int]) -> int:
    """How many elements a shape has. Raises FieldInvalid when it is none."""
    if len(shape) > DIMENSIONS_MAX or any(size < 0 for size in shape):
        raise FieldInvalid.of(
            field, f"a shape has at most {DIMENSIONS_MAX} dimensions, none of them negative; not {list(shape)}"
        )
    return math.prod(shape)


def shaped(field: str, flat: Array, shape: Sequence[int]) -> Array:
    """Elements in their shape. Raises FieldInvalid for one that is beyond NumPy: a dimension of zero beside enormous ones."""
    try:
        return flat.reshape(shape)
    except (ValueError, OverflowError) as error:
        raise FieldInvalid.of(field, f"the shape {list(shape)} is too large") from error


def text(field: str, raw: bytes) -> str:
    """An element of BYTES. Raises FieldInvalid unless it is UTF-8, all that ONNX Runtime takes from here."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise FieldInvalid.of(field, "an element is not UTF-8; ONNX's strings are") from error


def _texts(field: str, raw: bytes, count: int) -> Iterator[str]:
    """The elements of raw BYTES, each after its length."""
    at = 0
    for number in range(count):
        if at + LENGTH.size > len(raw):
            raise FieldInvalid.of(field, f"{count} elements are due; the bytes end before element {number}")
        (length,) = LENGTH.unpack_from(raw, at)
        at += LENGTH.size
        if at + length > len(raw):
            raise FieldInvalid.of(field, f"element {number} is said to have {length} bytes; {len(raw) - at} are left")
        yield text(field, raw[at : at + length])
        at += length
    if at != len(raw):
        raise FieldInvalid.of(field, f"{len(raw) - at} bytes are left after the {count} elements of the shape")
