"""How long a request over HTTP may take."""

from starlette.requests import Request

from mezzotint.gateway.settings import GatewaySettings
from mezzotint.runtime.errors import DeadlineExceeded

# What the OpenAI SDK tells of its own patience, in seconds.
READ_TIMEOUT = "x-stainless-read-timeout"


def seconds_to_wait(request: Request, settings: GatewaySettings) -> float:
    """The client's own limit where it tells one and it is shorter than ours."""
    try:
        told = float(request.headers.get(READ_TIMEOUT, ""))
    except ValueError:
        return settings.http_wait_seconds_max
    return min(told, settings.http_wait_seconds_max) if told > 0 else settings.http_wait_seconds_max


def too_slow(seconds: float) -> DeadlineExceeded:
    """The error for a request that took longer than it may."""
    return DeadlineExceeded(
        f"the pictures were not finished within {seconds:g} s; the generation is cancelled, try again later"
    )
