"""When a job is expected to start: work ahead over the rate it is done at, set right by how such expectations turned out.

Pure; moments are of the monotonic clock.
"""

import bisect
import heapq
import math
from collections import deque
from dataclasses import dataclass

# Expectations are compared with those of the same tier and state, and of a like length: up to 4 s, 16 s, a minute, …
BAND_BASE = 4.0
# Of each band so many outcomes count, the latest, and no ninetieth percentile is told before there are so many.
OUTCOMES_MAX = 400
OUTCOMES_MIN = 20
# Expectations of a band whose outcome is waited for.
OPEN_MAX = 100
# Ends of expectations that no longer matter are cleared out beyond so many.
ENDS_SPARE = 256
# The percentile looked up moves by up to this with each outcome, so that nine in ten stay inside whatever the outcomes' trend.
# Above 1 it stands for more than was ever seen: so much more, when jobs wait longer and longer.
STEP = 0.02
INSIDE = 0.9
LEVEL_MIN, LEVEL_MAX = 0.5, 3.0


@dataclass(frozen=True, slots=True)
class Eta:
    """Seconds until a start: in half of the cases, and in nine of ten; None: not known yet."""

    p50: float
    p90: float | None = None


@dataclass(frozen=True, slots=True)
class Expected:
    """What was told of a job when it began to wait, at `at`; `plain` is without correction."""

    band: tuple[str, int]
    at: float
    plain: float
    pause: float
    p90: float | None


class Band:
    """How expectations of one kind turned out: real waits over expected ones."""

    def __init__(self) -> None:
        self.open = 0
        self._latest: deque[float] = deque()
        self._sorted: list[float] = []
        self._level = INSIDE

    def learn(self, ratio: float, inside: bool | None) -> None:
        """One turned out so; `inside`: within the ninetieth percentile that was told, None: none was."""
        if len(self._latest) == OUTCOMES_MAX:
            del self._sorted[bisect.bisect_left(self._sorted, self._latest.popleft())]
        self._latest.append(ratio)
        bisect.insort(self._sorted, ratio)
        if inside is not None:
            self.judge(inside=inside)

    def judge(self, *, inside: bool) -> None:
        """What was told held, or did not."""
        self._level = min(LEVEL_MAX, max(LEVEL_MIN, self._level + STEP * (INSIDE - inside)))

    def ratios(self) -> tuple[float, float] | None:
        """The median and the ninetieth percentile; None before enough is known."""
        count = len(self._sorted)
        if count < OUTCOMES_MIN:
            return None
        high = self._sorted[min(count, math.ceil(self._level * count)) - 1]
        return self._sorted[count // 2], high * max(1.0, self._level)


class Forecast:
    """Expected starts of the jobs of one kind. `line` names what jobs are alike: their tier, and whether they are deferred."""

    def __init__(self) -> None:
        self._bands: dict[tuple[str, int], Band] = {}
        self._open: dict[str, Expected] = {}
        self._ends: list[tuple[float, str]] = []
        self._missed: set[str] = set()

    def eta(self, line: str, plain: float, pause: float) -> Eta:
        """The expectation for a job with `plain` seconds of work ahead, where a start comes every `pause` seconds."""
        ratios = self._band(self._key(line, plain + pause)).ratios()
        if ratios is None:
            return Eta(plain)
        median, high = (max(0.0, ratio * (plain + pause) - pause) for ratio in ratios)
        return Eta(median, max(median, high))

    def expect(self, job_id: str, line: str, at: float, plain: float, pause: float) -> None:
        """Remember what was expected of a job that begins to wait, if enough like it are not remembered already."""
        key = self._key(line, plain + pause)
        band = self._band(key)
        if band.open < OPEN_MAX and job_id not in self._open:
            band.open += 1
            expected = self._open[job_id] = Expected(key, at, plain, pause, self.eta(line, plain, pause).p90)
            if expected.p90 is not None:
                heapq.heappush(self._ends, (at + expected.p90, job_id))
            if len(self._ends) > ENDS_SPARE + 2 * len(self._open):
                self._ends = [end for end in self._ends if end[1] in self._open]
                heapq.heapify(self._ends)
        self._judge(at)

    def start(self, job_id: str, at: float) -> None:
        """A job starts."""
        missed = job_id in self._missed
        if expected := self.forget(job_id):
            wait = max(0.0, at - expected.at)
            floor = max(expected.pause, 1e-3)
            inside = None if expected.p90 is None or missed else wait <= expected.p90
            self._band(expected.band).learn((wait + floor) / (expected.plain + floor), inside)

    def forget(self, job_id: str) -> Expected | None:
        """A job waits no more, or for something else."""
        expected = self._open.pop(job_id, None)
        self._missed.discard(job_id)
        if expected:
            self._band(expected.band).open -= 1
        return expected

    def _judge(self, at: float) -> None:
        """What has not started within what was told counts as outside at once, not only when it starts."""
        while self._ends and self._ends[0][0] < at:
            _, job_id = heapq.heappop(self._ends)
            if (expected := self._open.get(job_id)) and job_id not in self._missed:
                self._missed.add(job_id)
                self._band(expected.band).judge(inside=False)

    def _key(self, line: str, seconds: float) -> tuple[str, int]:
        return line, max(0, math.floor(math.log(max(1.0, seconds), BAND_BASE)))

    def _band(self, key: tuple[str, int]) -> Band:
        band = self._bands.get(key)
        if band is None:
            band = self._bands[key] = Band()
        return band
