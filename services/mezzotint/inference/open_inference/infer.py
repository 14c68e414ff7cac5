"""From a request of the Open Inference Protocol to its response."""

import asyncio
import time
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse
from mezzotint.inference import metrics
from mezzotint.inference.open_inference.encode import encode
from mezzotint.inference.tensors import meter
from mezzotint.inference.tensors import request as tensor_request
from mezzotint.inference.tensors.call import TensorRequest
from mezzotint.inference.tensors.repository import TensorRepository
from mezzotint.inference.tensors.request_size import COPIES, size_of
from mezzotint.inference.tensors.runner import TensorRunner
from mezzotint.inference.tensors.types import Array
from mezzotint.inference.tensors.under_way import Place, UnderWay

# Tensors of fewer bytes are decoded and encoded on the event loop: a thread would take longer to begin.
INLINE_BYTES_MAX = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A response, and what it holds until it is sent: whoever sends it gives that back."""

    response: ModelInferResponse
    place: Place


class OpenInference:
    """Infers with the models of a repository; large messages are decoded and encoded in `pool`.

    All requests and unsent answers together hold at most `mib_max`; a response has at most `message_bytes_max`.
    """

    def __init__(self, repository: TensorRepository, pool: Executor, mib_max: int, message_bytes_max: int) -> None:
        self._repository = repository
        self._pool = pool
        self.under_way = UnderWay(mib_max)
        # Read when somebody asks: telling it of every change would take longer than the changes.
        metrics.TENSOR_BYTES.set_function(lambda: self.under_way.held)
        self._message_bytes_max = message_bytes_max

    async def infer(self, request: ModelInferRequest) -> Answer:
        """The answer.

        Raises ModelNotFound, FieldInvalid, LimitReached when the response is too large to be sent, ServerOverloaded when those
        under way leave no room, and what TensorRunner.run raises.
        """
        try:
            answer = await self._answer(request)
        except BaseException as error:
            meter.count(request.model_name, error)
            raise
        meter.count(answer.response.model_name, None)
        return answer

    async def _answer(self, request: ModelInferRequest) -> Answer:
        with self._repository.use(request.model_name, request.model_version) as runner:
            taken, place = await self._take(request, runner)
            try:
                response, size = await self._encode(request, taken, runner, await runner.run(taken))
                place.answered(size)
            except BaseException:
                place.give_back()
                raise
            return Answer(response, place)

    async def _take(self, request: ModelInferRequest, runner: TensorRunner) -> tuple[TensorRequest, Place]:
        """The request as its model takes it, and its place. Raises FieldInvalid, ServerOverloaded."""
        began, place = time.perf_counter(), None
        try:
            place = self.under_way.enter(size_of(request, runner.model))
            if place.size <= COPIES * INLINE_BYTES_MAX:
                return tensor_request.decode(request, runner.model), place
            work = partial(tensor_request.decode, request, runner.model)
            return await asyncio.get_running_loop().run_in_executor(self._pool, work), place
        except BaseException:
            if place is not None:
                place.give_back()
            runner.statistics.failed(began, time.perf_counter())
            raise

    async def _encode(
        self, request: ModelInferRequest, taken: TensorRequest, runner: TensorRunner, outputs: list[Array]
    ) -> tuple[ModelInferResponse, int]:
        """The response, and the bytes of its tensors. Raises LimitReached."""
        work = partial(encode, request, runner.model, taken.outputs, outputs, self._message_bytes_max)
        # How long texts are an array of them does not say.
        texts = any(each.dtype.hasobject for each in outputs)
        if not texts and sum(each.nbytes for each in outputs) <= INLINE_BYTES_MAX:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)
