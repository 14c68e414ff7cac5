"""From a request of the Open Inference Protocol to its response."""

import asyncio
import time
from concurrent.futures import Executor
from functools import partial

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.call import TensorRequest
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.types import Array
from mezzotint.runtime.errors import FieldInvalid

# Messages of fewer bytes are decoded and encoded on the event loop: a thread would take longer to begin.
INLINE_BYTES_MAX = 64 * 1024
FINAL_ASKED, FINAL = "triton_enable_empty_final_response", "triton_final_response"


class OpenInference:
    """Infers with the models of a repository; large messages are decoded and encoded in `pool`."""

    def __init__(self, repository: TensorRepository, pool: Executor) -> None:
        self._repository = repository
        self._pool = pool

    async def infer(self, request: ModelInferRequest) -> ModelInferResponse:
        """The response. Raises ModelNotFound, FieldInvalid, and what TensorRunner.run raises."""
        with self._repository.use(request.model_name, request.model_version) as runner:
            decoded = await self._decode(request, runner)
            outputs = await runner.run(decoded)
            # How long texts are an array of them does not say.
            texts = any(each.dtype.hasobject for each in outputs)
            if not texts and sum(each.nbytes for each in outputs) <= INLINE_BYTES_MAX:
                return encode(request, runner.model, decoded.outputs, outputs)
            work = partial(encode, request, runner.model, decoded.outputs, outputs)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _decode(self, request: ModelInferRequest, runner: TensorRunner) -> TensorRequest:
        """The request as its model takes it. Raises FieldInvalid."""
        began = time.perf_counter()
        try:
            if request.ByteSize() <= INLINE_BYTES_MAX:
                return tensor_request.decode(request, runner.model)
            work = partial(tensor_request.decode, request, runner.model)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        except FieldInvalid:
            runner.statistics.failed(began, time.perf_counter())
            raise


def encode(request: ModelInferRequest, model: TensorModel, names: tuple[str, ...], outputs: list[Array]) -> ModelInferResponse:
    """The response with the outputs `names`: typed where the request was and every type has such a form, else raw."""
    response = ModelInferResponse(model_name=model.name, model_version=str(model.version), id=request.id)
    types = [model.outputs[name].type for name in names]
    typed = not request.raw_input_contents and bool(request.inputs) and all(each.contents for each in types)
    for name, type_, output in zip(names, types, outputs, strict=True):
        tensor = response.outputs.add(name=name, datatype=type_.name, shape=output.shape)
        if typed:
            tensor.contents.CopyFrom(tensor_contents.to_contents(type_, output))
        else:
            response.raw_output_contents.append(tensor_contents.to_raw(type_, output))
    if request.parameters and request.parameters[FINAL_ASKED].bool_param:
        response.parameters[FINAL].bool_param = True
    return response
