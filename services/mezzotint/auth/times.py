"""Moments as the contract writes them."""

from google.protobuf.timestamp_pb2 import Timestamp

from mezzotint.runtime.errors import FieldInvalid

# The end of the year 9999: later times cannot be written as a date.
SECONDS_MAX = 253_402_300_799


def timestamp(seconds: float) -> Timestamp:
    """Seconds since the epoch as a Timestamp, to the microsecond."""
    micros = round(seconds * 1e6)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def seconds_of(field: str, time: Timestamp) -> float:
    """A request's Timestamp in seconds since the epoch. Raises FieldInvalid when it is none that exists."""
    if not 0 <= time.seconds <= SECONDS_MAX or not 0 <= time.nanos < 1_000_000_000:
        raise FieldInvalid.of(field, "must lie in the years 1970 to 9999, with nanos from 0 to 999,999,999")
    return time.seconds + time.nanos / 1e9
