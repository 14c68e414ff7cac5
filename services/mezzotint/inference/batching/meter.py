"""Counts and times what happens to the pictures of one shape."""

from mezzotint.inference import metrics
from mezzotint.inference.batching.lane import Stepped
from mezzotint.inference.batching.scheduler import Batch


class Meter:
    """The metrics of one model and shape, looked up once: the loop tells it of every call."""

    def __init__(self, model: str, shape: str, rows_max: int) -> None:
        self._rows_max = rows_max
        self._step_seconds = metrics.STEP_SECONDS.labels(model, shape)
        self._call_seconds = {rows: metrics.CALL_SECONDS.labels(model, shape, str(rows)) for rows in range(1, rows_max + 1)}
        self._rows = metrics.ROWS.labels(model, shape)
        self._rows_cap = metrics.ROWS_CAP.labels(model, shape)
        self._padded = metrics.ROWS_PADDED.labels(model, shape)
        self._withheld = metrics.ROWS_WITHHELD.labels(model, shape)
        self._slot_wait = metrics.SLOT_WAIT_SECONDS.labels(model, shape)
        self._join = metrics.JOIN_SECONDS.labels(model, shape)
        self._steps = metrics.STEPS.labels(model, shape)
        self._saved = metrics.STEPS_SAVED.labels(model, shape)
        self._put_aside = metrics.PUT_ASIDE.labels(model, shape)
        metrics.ROWS_LIMIT.labels(model, shape).set(rows_max)

    def called(self, batch: Batch, stepped: Stepped) -> None:
        """A call went well."""
        seconds = stepped.ms / 1e3
        self._step_seconds.observe(seconds)
        self._call_seconds[stepped.rows].observe(seconds)
        self._rows.inc(stepped.rows)
        self._rows_cap.inc(self._rows_max)
        self._padded.inc(stepped.padded)
        self._withheld.inc(batch.withheld)
        self._steps.inc(len(batch.seats))

    def put_aside(self) -> None:
        """A picture left its slot."""
        self._put_aside.inc()

    def joined(self, seconds: float) -> None:
        """A picture got its slot so long after it was submitted."""
        self._slot_wait.observe(seconds)

    def began(self, seconds: float) -> None:
        """A picture made its first step so long after it was submitted."""
        self._join.observe(seconds)

    def cancelled(self, steps_left: int) -> None:
        """A picture was cancelled with so many steps to go."""
        self._saved.inc(steps_left)
