"""What the file model.yaml in a tensor model's folder says; without it the defaults hold."""

from dataclasses import dataclass, replace
from pathlib import Path

from mezzotint.inference.graphs.files import invalid
from mezzotint.runtime.errors import ModelInvalid, StartRefused
from mezzotint.runtime.strict_yaml import StrictYaml

FILE = "model.yaml"
BATCH_SIZE_MAX = 4096
QUEUE_DELAY_MICROSECONDS_MAX = 1_000_000
QUEUE_SIZE_MAX = 65_536
LIMITS = {
    "max_batch_size": BATCH_SIZE_MAX,
    "max_queue_delay_microseconds": QUEUE_DELAY_MICROSECONDS_MAX,
    "max_queue_size": QUEUE_SIZE_MAX,
    "priority_levels": 16,
    "versions": 64,
    "instances": 64,
    "threads": 512,
}


@dataclass(frozen=True)
class TensorSettings:
    """How a tensor model is served."""

    max_batch_size: int = 0
    """Rows of one call. 0: requests share none, for whether the rows of a graph are independent only its maker knows."""
    max_queue_delay_microseconds: int = 0
    """How long a call waits for more rows; whatever it is, calls under way gather those that wait behind them."""
    max_queue_size: int = 256
    """Requests that may wait; more are refused."""
    priority_levels: int = 1
    """Levels of priority, 1 the first to go; requests without one get the last."""
    versions: int = 1
    """How many of the newest versions are loaded."""
    instances: int = 1
    """Calls of one version at the same time."""
    threads: int = 1
    """Threads inside one call."""


def read_settings(folder: Path) -> TensorSettings:
    """The settings of a model's folder. Raises ModelInvalid, with the line and what to write there."""
    path = folder / FILE
    try:
        if not path.exists():
            return TensorSettings()
        if not path.is_file():
            raise invalid(FILE, "it is not a file")
        return _parse(StrictYaml.read(path, "model settings file"))
    except OSError as error:
        raise invalid(FILE, f"it cannot be looked at: {error.strerror}") from error
    except StartRefused as error:
        raise ModelInvalid(str(error), metadata={"file": FILE}) from error


def _parse(file: StrictYaml) -> TensorSettings:
    """Raises StartRefused."""
    fields = file.mapping(file.top(), "a model", required=(), optional=tuple(LIMITS))
    settings = replace(TensorSettings(), **{name: file.whole(node, LIMITS[name]) for name, node in fields.items()})
    if not settings.max_batch_size and (delay := fields.get("max_queue_delay_microseconds")):
        file.refuse(delay, "nothing is waited for without max_batch_size; write that too, or leave this out")
    return settings
