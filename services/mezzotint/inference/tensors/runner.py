"""Runs one version of a tensor model: requests wait in its batcher, calls run in the pool, all else on the event loop."""

import asyncio
import math
import time
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field

from mezzotint.inference.tensors.batcher import Batcher, Key
from mezzotint.inference.tensors.call import Result, Spent, TensorRequest, call
from mezzotint.inference.tensors.meter import TensorMeter
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.pace import SHORT_SECONDS, TINY_SECONDS, Pace
from mezzotint.inference.tensors.statistics import TensorStatistics
from mezzotint.inference.tensors.types import Array
from mezzotint.runtime.errors import JobExpired


@dataclass(eq=False, slots=True)
class _Waiting:
    """A request in the queue or in a call."""

    request: TensorRequest
    arrived: float
    expires: float | None
    answer: "asyncio.Future[list[Array]]"
    key: Key = field(init=False)
    rows: int = field(init=False)
    level: int = field(init=False)

    def __post_init__(self) -> None:
        self.key, self.rows, self.level = self.request.key, self.request.rows, self.request.level


class TensorRunner:
    """At most `instances` calls of `model` at once. Used on one event loop only."""

    def __init__(self, model: TensorModel, pool: Executor) -> None:
        settings = model.settings
        self.model = model
        self._meter = TensorMeter(model.name)
        self.statistics = TensorStatistics(self._meter)
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._batcher: Batcher[_Waiting] = Batcher(
            settings.max_batch_size,
            settings.max_queue_delay_microseconds / 1e6,
            settings.max_queue_size,
            settings.priority_levels,
        )
        self._delay = settings.max_queue_delay_microseconds
        self._pace = Pace()
        self._calls = 0
        self._looking = False
        self._timer: asyncio.TimerHandle | None = None

    async def run(self, request: TensorRequest) -> list[Array]:
        """The outputs asked for. A caller that is cancelled is dropped before its call.

        Raises ServerOverloaded when the queue is full, JobExpired when the request's time is over before its call, FieldInvalid
        and Internal when the model fails.
        """
        now = time.perf_counter()
        self.statistics.last_inference_ms = time.time_ns() // 1_000_000
        waiting: _Waiting | None = None
        try:
            if self._may_go_at_once(request):
                return self._at_once(request, now)
            expires = None if request.timeout is None else now + request.timeout
            waiting = _Waiting(request, now, expires, self._loop.create_future())
            self._batcher.add(waiting)
            self._meter.waiting(self._batcher.size)
            self._look_soon()
            return await waiting.answer
        except BaseException:
            if waiting is not None:
                self._batcher.drop(waiting)
                self._meter.waiting(self._batcher.size)
            self.statistics.failed(now, time.perf_counter())
            raise

    def _may_go_at_once(self, request: TensorRequest) -> bool:
        """Whether nobody is to be waited for, and the call is tiny."""
        return not (self._delay or self._batcher.size or self._calls) and self._is_short([request], TINY_SECONDS)

    def _is_short(self, requests: Sequence[TensorRequest], seconds: float = SHORT_SECONDS) -> bool:
        """Whether such calls have proved to be short. Those with texts never do: shapes do not tell how long these are."""
        texts = any(each.dtype.hasobject for each in requests[0].inputs.values())
        return not texts and self._pace.is_short(_kind(requests), seconds)

    def _at_once(self, request: TensorRequest, now: float) -> list[Array]:
        """The outputs of a call so tiny that waiting for company, or one turn of the loop, would take longer."""
        ((result, spent),) = call(self.model, [request])
        self._learn([request], [(result, spent)])
        if isinstance(result, BaseException):
            raise result
        self.statistics.executed(spent)
        self.statistics.succeeded(spent, now, time.perf_counter())
        return result

    def _look_soon(self) -> None:
        """Look for a call once the requests that came in this turn of the loop are all in the queue."""
        if not self._looking:
            self._looking = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        """Begin every call that is due and may begin; else be back when one is."""
        self._looking = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = time.perf_counter()
        for over in self._batcher.expired(now):
            if not over.answer.done():
                over.answer.set_exception(
                    JobExpired(f"the call did not begin within the timeout of {over.request.timeout:g} s")
                )
        while self._calls < self.model.settings.instances and (batch := self._batcher.take(now)):
            if self._is_short([each.request for each in batch]):
                self._finish(batch, call(self.model, [each.request for each in batch]))
                # One at a time: the loop has others to serve between them.
                if self._batcher.size:
                    self._look_soon()
                break
            self._begin(batch)
        self._meter.waiting(self._batcher.size)
        if not self._looking and self._batcher.size and (wake := self._wake()) is not None:
            self._timer = self._loop.call_later(max(0.0, wake - now), self._look)

    def _wake(self) -> float | None:
        """When to look again without an event: not for calls while all instances are taken."""
        return self._batcher.wake() if self._calls < self.model.settings.instances else self._batcher.next_expiry()

    def _begin(self, batch: list[_Waiting]) -> None:
        """Have the pool make the call of a batch."""
        self._calls += 1
        made = self._pool.submit(call, self.model, [each.request for each in batch])
        made.add_done_callback(lambda done: self._loop.call_soon_threadsafe(self._ended, batch, done))

    def _ended(self, batch: list[_Waiting], made: "Future[list[tuple[Result, Spent]]]") -> None:
        """Begin the next call, then hand out the results of this one."""
        self._calls -= 1
        self._look()
        self._finish(batch, made.result())

    def _finish(self, batch: Sequence[_Waiting], results: Sequence[tuple[Result, Spent]]) -> None:
        """Hand out results and count them."""
        now = time.perf_counter()
        calls = {id(spent): spent for result, spent in results if not isinstance(result, BaseException)}
        for spent in calls.values():
            self.statistics.executed(spent)
        self._learn([each.request for each in batch], results)
        for each, (result, spent) in zip(batch, results, strict=True):
            if each.answer.done():
                continue
            if isinstance(result, BaseException):
                each.answer.set_exception(result)
            else:
                self.statistics.succeeded(spent, each.arrived, now)
                each.answer.set_result(result)

    def _learn(self, requests: Sequence[TensorRequest], results: Sequence[tuple[Result, Spent]]) -> None:
        """Remember how long the call took."""
        kind, spent = _kind(requests), results[0][1]
        # A call that failed, or was made in parts since one of its requests did, is not to be made on the loop again.
        self._pace.took(kind, spent.all if spent.rows == kind[0] else math.inf)


def _kind(requests: Sequence[TensorRequest]) -> tuple[object, ...]:
    """What decides how long the call for some requests takes."""
    first = requests[0]
    return (sum(each.rows for each in requests), first.key or tuple(each.shape for each in first.inputs.values()))
