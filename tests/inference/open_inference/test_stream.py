"""ModelStreamInfer over the wire: order, errors one by one, ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import numpy as np
import pytest

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse, ModelStreamInferResponse
from mezzotint.inference.open_inference import stream as open_inference_stream
from mezzotint.inference.open_inference.infer import Answer
from mezzotint.inference.open_inference.stream_room import BYTES_MAX, REQUESTS_MAX
from mezzotint.inference.settings import InferenceSettings
from mezzotint.inference.tensors.under_way import UnderWay
from mezzotint.runtime.errors import ServerDraining
from mezzotint.runtime.tls import Authority
from tests.inference.tensor_models import floats, open_inference, request, times, write_model

if TYPE_CHECKING:
    from mezzotint.api.open_inference.open_inference_pb2_grpc import GRPCInferenceServiceAsyncStub


@pytest.fixture
async def stub(
    settings: InferenceSettings, authority: Authority, tmp_path: Path
) -> AsyncIterator[GRPCInferenceServiceAsyncStub]:
    """The service over one model that shares calls."""
    write_model(tmp_path / "tensors" / "times", times(2), settings="max_batch_size: 8\n")
    async with open_inference(settings, authority, tmp_path / "tensors") as opened:
        yield opened


async def test_answers_come_in_the_order_of_requests(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that many requests of a stream run side by side and are answered in order, each once."""
    asked = [request("times", floats([float(number)]), id=str(number)) for number in range(300)]
    answers = [answer.infer_response async for answer in stub.ModelStreamInfer(iter(asked))]
    assert [answer.id for answer in answers] == [str(number) for number in range(300)]
    assert [np.frombuffer(answer.raw_output_contents[0], np.float32).item() for answer in answers] == [
        2.0 * number for number in range(300)
    ]


async def test_a_request_that_fails_leaves_the_stream_open(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that an error comes in its request's place, with its id, and the next requests are answered."""
    good, bad = request("times", floats([1.0]), id="good"), request("other", floats([1.0]), id="bad")
    answers = [answer async for answer in stub.ModelStreamInfer(iter([good, bad, good]))]
    assert [answer.infer_response.id for answer in answers] == ["good", "bad", "good"]
    assert [answer.error_message for answer in answers] == ["", "no tensor model 'other' is loaded; loaded: times", ""]
    assert answers[1].infer_response.model_name == "other"


async def test_the_last_answer_is_marked_where_it_is_asked_for(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that clients that count on Triton's mark of a final response get it."""
    asked = request("times", floats([1.0]))
    asked.parameters["triton_enable_empty_final_response"].bool_param = True
    (answer,) = [each async for each in stub.ModelStreamInfer(iter([asked]))]
    assert answer.infer_response.parameters["triton_final_response"].bool_param


async def test_an_answer_does_not_wait_for_the_next_request(stub: GRPCInferenceServiceAsyncStub) -> None:
    """Ensures that a client may wait for each answer before it asks again."""
    stream = stub.ModelStreamInfer()
    for number in range(3):
        await stream.write(request("times", floats([float(number)])))
        answer = await asyncio.wait_for(stream.read(), 20)
        assert isinstance(answer, ModelStreamInferResponse)
        assert answer.error_message == ""
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF


class Gate:
    """Inference that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.began = asyncio.Semaphore(0)
        self.ended: list[str] = []
        self.under_way = UnderWay()

    async def infer(self, asked: ModelInferRequest) -> Answer:
        self.began.release()
        try:
            await self.open.wait()
            return Answer(ModelInferResponse(id=asked.id), self.under_way.enter(len(asked.id)))
        finally:
            self.ended.append(asked.id)


async def forever(first: int) -> AsyncIterator[ModelInferRequest]:
    """So many requests, and then none for ever."""
    for number in range(first):
        yield ModelInferRequest(id=str(number))
    await asyncio.Event().wait()


async def test_a_stopping_server_answers_what_it_has_read() -> None:
    """Ensures that a stream ends with the answers under way and then says that the server stops."""
    gate, draining = Gate(), asyncio.Event()
    answers = open_inference_stream.answers(forever(2), gate.infer, draining)
    first = asyncio.ensure_future(anext(answers))
    for _ in range(2):
        await asyncio.wait_for(gate.began.acquire(), 20)
    draining.set()
    gate.open.set()
    assert (await first).infer_response.id == "0"
    assert (await anext(answers)).infer_response.id == "1"
    with pytest.raises(ServerDraining):
        await anext(answers)


async def test_a_client_that_goes_away_ends_its_requests() -> None:
    """Ensures that nothing of a stream goes on once nobody reads it, and that no more is read than may be under way."""
    gate = Gate()
    answers = open_inference_stream.answers(forever(1000), gate.infer, asyncio.Event())
    first = asyncio.ensure_future(anext(answers))
    for _ in range(REQUESTS_MAX):
        await asyncio.wait_for(gate.began.acquire(), 20)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    for _ in range(3):
        await asyncio.sleep(0)
    assert len(gate.ended) == REQUESTS_MAX
    assert gate.under_way.held == 0


async def test_a_client_that_does_not_read_holds_what_was_answered_and_gives_it_back() -> None:
    """Ensures that answers count until they are sent, and no longer than the stream lives."""
    gate = Gate()
    gate.open.set()
    answers = open_inference_stream.answers(forever(1000), gate.infer, asyncio.Event())
    await anext(answers)
    while len(gate.ended) < REQUESTS_MAX:
        await asyncio.wait_for(gate.began.acquire(), 20)
    await asyncio.sleep(0)
    # Numbers below ten have one digit, others two.
    assert gate.under_way.held == 10 + 2 * (REQUESTS_MAX - 10)
    await anext(answers)
    assert gate.under_way.held < 10 + 2 * (REQUESTS_MAX - 10) + 2
    await answers.aclose()
    await asyncio.sleep(0)
    assert gate.under_way.held == 0


async def test_large_requests_of_a_stream_wait_for_each_other() -> None:
    """Ensures that a stream has so many bytes under way and then is read no further, until an answer of it is sent."""

    async def large() -> AsyncIterator[ModelInferRequest]:
        for number in range(9):
            yield ModelInferRequest(id=str(number), raw_input_contents=[bytes(BYTES_MAX // 4)])

    gate = Gate()
    answers = open_inference_stream.answers(large(), gate.infer, asyncio.Event())
    first = asyncio.ensure_future(anext(answers))
    for _ in range(4):
        await asyncio.wait_for(gate.began.acquire(), 20)
    for _ in range(5):
        await asyncio.sleep(0)
    assert gate.began.locked()
    gate.open.set()
    rest = [await first] + [each async for each in answers]
    assert [each.infer_response.id for each in rest] == [str(number) for number in range(9)]
