"""The queue's values in words: states, moments, times, payloads."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.api.queue.v1 import job_pb2, queue_pb2

STATES = {name.removeprefix("JOB_STATE_").lower(): number for name, number in job_pb2.JobState.items() if number}
PAYLOAD_CHARACTERS = 48
MINUTE, HOUR, DAY = 60, 3600, 86_400


def state(number: int) -> str:
    """A state; one that a newer queue knows is shown by its number."""
    return next((name for name, each in STATES.items() if each == number), f"state {number}")


def mode(number: int) -> str:
    """What the queue does about a peak."""
    if number in queue_pb2.PeakMode.values():
        return queue_pb2.PeakMode.Name(queue_pb2.PeakMode.ValueType(number)).removeprefix("PEAK_MODE_").lower()
    return f"mode {number}"


def moment(at: Timestamp) -> str:
    """A moment, to the second."""
    return f"{datetime.fromtimestamp(at.seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(seconds: float) -> str:
    """A length of time, in the two units that matter."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def payload(begin: bytes, size: int) -> str:
    """The begin of a payload as far as it can be read, and its size."""
    text = begin.decode("utf-8", "replace")[:PAYLOAD_CHARACTERS]
    readable = "".join(each if each.isprintable() and each != "\N{REPLACEMENT CHARACTER}" else "·" for each in text)
    return f"{readable}{'…' if size > len(text.encode()) else ''} ({size:,} bytes)"
