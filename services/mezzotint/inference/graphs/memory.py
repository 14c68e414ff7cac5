"""How much memory models may take, each and together: held before one is loaded, and measured once it is.

Models that draw and tensor models share the bounds.
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mezzotint.runtime.errors import LimitReached

MIB = 1024 * 1024
# A model takes so many times its graphs' files: weights stored in half come to be float32, and a call needs room of its own.
# The bundled model, measured: 2.6.
FACTOR = 3.0
# Of the machine's memory, what models may take together unless a setting says otherwise.
SHARE = 0.8
STATM, GROUP_LIMIT = Path("/proc/self/statm"), Path("/sys/fs/cgroup/memory.max")


@dataclass
class Hold:
    """The bytes that one model takes: an estimate until it is loaded."""

    size: int
    loading: bool = True
    measurable: bool = True
    """No other model was loaded meanwhile: what the process grew by is this one's."""


@dataclass
class Memory:
    """The bounds in bytes, and what loaded models hold. `resident` tells what the process has in memory now.

    Models may be loaded in several threads at the same time.
    """

    each_max: int
    total_max: int
    resident: Callable[[], int] = field(default=lambda: resident_bytes())
    _holds: dict[int, Hold] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def held(self) -> int:
        """What all models hold."""
        return sum(hold.size for hold in list(self._holds.values()))

    @contextmanager
    def loading(self, name: str, files: int) -> Iterator[Hold]:
        """Hold room for a model of so many bytes on disk, which is loaded inside the block; on an error it is given back.

        Raises LimitReached before the block when the estimate does not fit, and after it when what was measured does not. A
        model that was loaded beside another one keeps its estimate: nobody can tell whose memory is whose.
        """
        hold = self._take(name, round(files * FACTOR))
        before = self.resident()
        try:
            yield hold
            self._measured(name, hold, max(files, self.resident() - before))
        except BaseException:
            self.release(hold)
            raise

    def release(self, hold: Hold) -> None:
        """A model is not there any more."""
        self._holds.pop(id(hold), None)

    def _take(self, name: str, estimate: int) -> Hold:
        """Room for a model that is about to be loaded. Raises LimitReached."""
        with self._lock:
            self._expect(name, estimate, "about ")
            hold = Hold(estimate)
            for other in (beside := [each for each in self._holds.values() if each.loading]):
                other.measurable = False
            hold.measurable = not beside
            self._holds[id(hold)] = hold
            return hold

    def _measured(self, name: str, hold: Hold, size: int) -> None:
        """A model is loaded, and the process grew by `size`. Raises LimitReached."""
        with self._lock:
            hold.loading = False
            if hold.measurable:
                hold.size = 0
                self._expect(name, size, "")
                hold.size = size

    def _expect(self, name: str, size: int, about: str) -> None:
        """Raise LimitReached with the figures unless a model of `size` fits."""
        if size > self.each_max:
            raise LimitReached(
                f"{name} takes {about}{mib(size)} of memory; {mib(self.each_max)} is the most that one model may take "
                "(model_memory_mib)",
                metadata={"limit": str(self.each_max)},
            )
        if self.held + size > self.total_max:
            raise LimitReached(
                f"{name} takes {about}{mib(size)} of memory; of {mib(self.total_max)} for all models (memory_mib) "
                f"{mib(self.held)} are taken: unload another one first",
                metadata={"limit": str(self.total_max)},
            )


def memory_of(each_mib: int, total_mib: int) -> Memory:
    """The bounds that settings say: 0 is for a share of the machine's memory, and for one model as much as for all."""
    total = total_mib * MIB or round(machine_bytes() * SHARE)
    return Memory(each_mib * MIB or total, total)


def graph_bytes(folder: Path) -> int:
    """The bytes of a model's graphs and of the weights beside them. Reads the disk."""
    return sum(path.stat().st_size for path in folder.glob("*/*.onnx*") if path.is_file())


def machine_bytes() -> int:
    """The memory of the machine, or of the container if that has less."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(whole, int(GROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return whole


def resident_bytes() -> int:
    """What this process has in memory; 0 where that cannot be told."""
    try:
        return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def mib(size: int) -> str:
    """Bytes in MiB, for people."""
    return f"{size / MIB:.1f} MiB"
