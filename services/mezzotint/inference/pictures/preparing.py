"""Pictures between their request and the waiting list: bounded, since what came with it, its texts and its noise lie in memory.

They count as waiting from the moment they are taken, so one that is taken is not refused once it is prepared.
"""

from mezzotint.inference.batching.denoising_loop import DenoisingLoop
from mezzotint.inference.batching.waiting_list import RETRY_SECONDS
from mezzotint.runtime.errors import ServerOverloaded

# Pictures that came in requests themselves, of all requests that are being prepared together.
GIVEN_MIB_MAX = 256
MIB = 1024 * 1024


class Place:
    """What one request takes of the bound, until it is given back."""

    def __init__(self, preparing: "Preparing", pictures: int, given_bytes: int) -> None:
        self.pictures, self.given_bytes = pictures, given_bytes
        self._preparing = preparing

    def give_back(self) -> None:
        """The pictures wait in the list from now on, or never will. Does nothing the second time."""
        self._preparing.give_back(self)
        self.pictures = self.given_bytes = 0


class Preparing:
    """The pictures that are prepared: together with those that wait for a slot no more than may wait."""

    def __init__(self, loop: DenoisingLoop, given_mib_max: int = GIVEN_MIB_MAX) -> None:
        self._loop = loop
        self._given_mib_max = given_mib_max
        self._pictures = self._given_bytes = 0

    def enter(self, pictures: int, given_bytes: int, beside: int = 0) -> Place:
        """A place for a request; `beside` pictures more, whose decoding lags behind, count as well.

        Raises ServerOverloaded when there is none.
        """
        self._loop.expect(pictures, self._pictures + beside)
        if given_bytes and self._given_bytes + given_bytes > self._given_mib_max * MIB:
            raise ServerOverloaded(
                f"requests that are being prepared came with {mib(self._given_bytes)} MiB of pictures, and this one with "
                f"{mib(given_bytes)} MiB; {self._given_mib_max} MiB may be: try again later",
                retry_after=RETRY_SECONDS,
            )
        self._pictures += pictures
        self._given_bytes += given_bytes
        return Place(self, pictures, given_bytes)

    def give_back(self, place: Place) -> None:
        """See Place."""
        self._pictures -= place.pictures
        self._given_bytes -= place.given_bytes


def mib(size: int) -> str:
    """Bytes in MiB, for people."""
    return f"{size / MIB:.1f}"
