"""How many bytes a request holds in memory, told before it is decoded and without looking at its elements."""

import math
from itertools import islice

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest
from mezzotint.inference.tensors.contents import LENGTH
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.types import BYTES, TensorSpec

# A request is held as it came, as a message, and as tensors.
COPIES = 3
# A text's characters take up to four bytes each, and each text is an object that two lists know.
TEXT_COPIES, TEXT_BYTES = 6, 80
Input = ModelInferRequest.InferInputTensor


def size_of(request: ModelInferRequest, model: TensorModel) -> int:
    """The bytes of all its inputs. Those that the model does not have are left out: decoding refuses them."""
    raw, inputs = request.raw_input_contents, islice(request.inputs, len(model.inputs))
    size = 0
    for number, each in enumerate(inputs):
        if spec := model.inputs.get(each.name):
            size += _raw(each, spec, len(raw[number])) if number < len(raw) else _typed(each, spec)
    return size


def _raw(given: Input, spec: TensorSpec, length: int) -> int:
    """What an input holds that came with so many bytes."""
    if spec.type.name != BYTES:
        return COPIES * length
    fits = len(given.shape) == len(spec.shape)
    # A shape that lies is refused before more texts are made than the bytes have.
    texts = min(max(0, math.prod(given.shape)), length // LENGTH.size) if fits else 0
    return TEXT_COPIES * length + TEXT_BYTES * texts


def _typed(given: Input, spec: TensorSpec) -> int:
    """What an input holds that came as a list; one that came in another list than its type's is refused."""
    if not spec.type.contents:
        return 0
    count = len(getattr(given.contents, spec.type.contents))
    if spec.type.name != BYTES:
        return COPIES * count * spec.type.dtype.itemsize
    return TEXT_COPIES * given.contents.ByteSize() + TEXT_BYTES * count
