"""The three ways to decide who shares a call, by their names."""

from mezzotint.inference.batching.request_scheduler import RequestScheduler
from mezzotint.inference.batching.scheduler import Scheduler
from mezzotint.inference.batching.serial_scheduler import SerialScheduler
from mezzotint.inference.batching.step_scheduler import ASIDE_MAX, SlotScheduler
from mezzotint.inference.batching.waiting_list import WAITING_MAX

MODES = ("step", "request", "serial")


def scheduler(mode: str, rows_max: int, waiting_max: int = WAITING_MAX, aside_max: int = ASIDE_MAX) -> Scheduler:
    """A scheduler of one of MODES: at most `waiting_max` pictures wait and, in mode "step", `aside_max` are put aside."""
    match mode:
        case "serial":
            return SerialScheduler(rows_max, waiting_max)
        case "request":
            return RequestScheduler(rows_max, waiting_max)
        case "step":
            return SlotScheduler(rows_max, waiting_max, aside_max)
    raise AssertionError(f"{mode!r} is none of {', '.join(MODES)}")
