"""Where a caller's limits stand, as the x-ratelimit headers of the OpenAI API."""

from collections.abc import Iterable, Sequence

from mezzotint.api.ratelimit.v1 import ratelimit_pb2

DIMENSIONS = ("requests", "images")


def headers_of(limits: Sequence[ratelimit_pb2.LimitStatus]) -> dict[str, str]:
    """Limit, remaining and reset for requests and images, of the limit with the least left of each."""
    headers: dict[str, str] = {}
    for dimension in DIMENSIONS:
        counted = [limit for limit in limits if limit.dimension == dimension]
        if counted:
            headers.update(tightest(counted, dimension))
    return headers


def tightest(limits: Iterable[ratelimit_pb2.LimitStatus], dimension: str) -> dict[str, str]:
    """The headers of one dimension."""
    limit = min(limits, key=lambda each: each.remaining)
    return {
        f"x-ratelimit-limit-{dimension}": str(limit.limit),
        f"x-ratelimit-remaining-{dimension}": str(limit.remaining),
        f"x-ratelimit-reset-{dimension}": duration(limit.reset_after.ToNanoseconds() / 1e9),
    }


def duration(seconds: float) -> str:
    """Time as these headers have it: "250ms", "1.5s", "6m0s", "2h0m0s"."""
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    parts = (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "")
    return f"{parts}{rest:.1f}".removesuffix(".0") + "s"
