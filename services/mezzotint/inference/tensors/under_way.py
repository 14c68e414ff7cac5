"""The bytes that requests and unsent answers of tensor models hold, all together: bounded, since one may have many MiB."""

from mezzotint.inference.graphs.memory import MIB, mib
from mezzotint.runtime.errors import LimitReached, ServerOverloaded

TENSOR_MIB_MAX = 512
RETRY_SECONDS = 1.0


class Place:
    """What one request holds, and then its answer, until it is given back."""

    def __init__(self, under_way: "UnderWay", size: int) -> None:
        self.size = size
        self._under_way = under_way

    def answered(self, size: int) -> None:
        """The request is gone; its answer holds so many bytes. Raises ServerOverloaded when there is no room for them."""
        self._under_way.replace(self, size, "the answer to this request takes")

    def give_back(self) -> None:
        """The answer was sent, or never will be. Does nothing the second time."""
        self._under_way.hold(self, 0)


class UnderWay:
    """Used on one event loop only. A request that is alone is taken whatever its size: messages have a bound of their own."""

    def __init__(self, mib_max: int = TENSOR_MIB_MAX) -> None:
        self._mib_max = mib_max
        self.held = 0
        """Bytes."""

    def enter(self, size: int) -> Place:
        """A place for a request of so many bytes. Raises ServerOverloaded when there is none."""
        place = Place(self, 0)
        self.replace(place, size, "this one takes")
        return place

    def replace(self, place: Place, size: int, what: str) -> None:
        """Have a place hold so many bytes instead. Raises ServerOverloaded, and changes nothing, when others leave no room."""
        others = self.held - place.size
        if size > place.size and others and others + size > self._mib_max * MIB:
            raise ServerOverloaded(
                f"requests and answers of tensor models hold {mib(others)} of memory, and {what} {mib(size)}; "
                f"{self._mib_max} MiB may be held (tensor_mib_max): try again when some are answered, or send smaller ones",
                retry_after=RETRY_SECONDS,
            )
        self.hold(place, size)

    def hold(self, place: Place, size: int) -> None:
        """Have a place hold so many bytes instead, whatever others hold."""
        self.held += size - place.size
        place.size = size


def check_answer(size: int, bytes_max: int) -> None:
    """Raise LimitReached for an answer that gRPC would not send: it would end a stream with all that is under way in it."""
    if size > bytes_max:
        raise LimitReached(
            f"the answer has {mib(size)}; messages have {mib(bytes_max)} at most (message_bytes_max): ask for fewer rows or "
            "outputs",
            metadata={"limit": str(bytes_max)},
        )
