"""What happens to a generation, as `Client.generate` tells it: Accepted first, Finished last."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Accepted:
    """The request is on the server's disk. `replayed`: an earlier call with this request id brought it there."""

    generation_id: str
    replayed: bool


@dataclass(frozen=True)
class Waiting:
    """It waits behind `position` others, for about `eta` seconds (None: not known).

    `deferred`: on purpose, until a peak is over. `retrying`: an attempt was lost and it waits for another.
    """

    position: int
    eta: float | None
    deferred: bool
    retrying: bool


@dataclass(frozen=True)
class Started:
    """A worker began; `attempt` is 1 for the first."""

    attempt: int


@dataclass(frozen=True)
class Progress:
    """Of picture `index`, `step` of `steps` are done. `preview` is a small encoded picture, or empty."""

    attempt: int
    step: int
    steps: int
    index: int
    preview: bytes = field(repr=False)


@dataclass(frozen=True)
class Picture:
    """A finished picture: the `index`-th of the request, encoded as `format` ("png", "jpeg" or "webp"), size in pixels."""

    index: int
    format: str
    width: int
    height: int
    seed: int
    data: bytes = field(repr=False)

    def save(self, path: Path | str) -> Path:
        """Write the picture to a file."""
        target = Path(path)
        target.write_bytes(self.data)
        return target


@dataclass(frozen=True)
class Finished:
    """All pictures are there. `model` drew them, named with its version; `steps` is the number of denoising steps of each."""

    model: str
    steps: int


Event = Accepted | Waiting | Started | Progress | Picture | Finished
