"""What a generation costs in the end, by how it ended."""

import asyncio
from dataclasses import dataclass

from mezzotint.gateway.quota import Quota, Reservation
from mezzotint.runtime import errors, logging
from mezzotint.runtime.errors import MezzotintError

log = logging.get(__name__)
# The caller's own mistakes: nothing was drawn, but the request counts, or asking for the impossible would be free.
MISTAKES = (errors.FieldInvalid, errors.ModelNotFound, errors.SizeUnsupported)
ATTEMPTS_MAX = 6
PAUSE_SECONDS = 1.0


@dataclass(frozen=True)
class Outcome:
    """How a generation ended: with `images` pictures, or with a failure after a worker had begun (`drawing`) or before."""

    failure: MezzotintError | None
    drawing: bool
    images: int


def images_charged(outcome: Outcome) -> int | None:
    """Images to be charged, with the request itself; None gives everything back.

    A generation that its caller cancels while it is drawn costs what it would have cost: the work was done for him.
    """
    if outcome.failure is None:
        return outcome.images
    if isinstance(outcome.failure, errors.Cancelled) and outcome.drawing:
        return outcome.images
    return 0 if isinstance(outcome.failure, MISTAKES) else None


async def settle(quota: Quota, reservation: Reservation, outcome: Outcome) -> None:
    """Commit or release, in spite of short outages of ratelimit. Given up, the reservation ends by itself within a day."""
    images = images_charged(outcome)
    for _ in range(ATTEMPTS_MAX):
        try:
            if images is None:
                await quota.release(reservation)
            else:
                await quota.commit(reservation, images=images)
            return
        except MezzotintError as error:
            log.warning("settling failed", reservation_id=reservation.reservation_id, reason=error.reason)
        await asyncio.sleep(PAUSE_SECONDS)


async def give_back(quota: Quota, reservation: Reservation) -> None:
    """Release at once or not at all: it ends by itself in time, and the pictures are not to wait for it."""
    try:
        await quota.release(reservation)
    except MezzotintError as error:
        log.warning("releasing failed", reservation_id=reservation.reservation_id, reason=error.reason)
