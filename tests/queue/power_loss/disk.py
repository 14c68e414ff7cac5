"""A disk in memory that remembers what was synced, and can lose the rest as a power cut does."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import apsw

SECTOR_BYTES = 512
# One unsynced change of a file: bytes written at an offset, or a new length.
Change = tuple[int, bytes] | int


def apply(content: bytearray, change: Change) -> None:
    """Make a change; a gap that a write leaves is zeros, as in any file."""
    if isinstance(change, int):
        del content[change:]
        content.extend(bytes(change - len(content)))
        return
    offset, data = change
    content.extend(bytes(max(0, offset - len(content))))
    content[offset : offset + len(data)] = data


@dataclass
class File:
    """What a process reads, what is safe, and the changes between the two in their order."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    unsynced: list[Change] = field(default_factory=list)

    def change(self, change: Change) -> None:
        """Change what is read; not safe yet."""
        apply(self.content, change)
        self.unsynced.append(change)

    def sync(self) -> None:
        """Make everything safe."""
        for change in self.unsynced:
            apply(self.durable, change)
        self.unsynced.clear()


class Disk:
    """Files by path. `on_call` is told of every call and may raise; `lying` makes fsync do nothing but say that it did.

    A new name and a deletion are safe once the folder is synced, which SQLite does with the first sync of a log or journal that
    it made, and with deletions that matter. A file whose name is lost is lost.
    """

    def __init__(self, *, lying: bool = False) -> None:
        self.files: dict[str, File] = {}
        self.safe_names: dict[str, File] = {}
        self.lying = lying
        self.bytes_max = 2**62
        self.on_call: Callable[[str, str], None] = lambda operation, path: None

    def require_room(self, path: str, length: int) -> None:
        """Raise apsw.FullError when a file of this length does not fit."""
        used = sum(len(file.content) for file in self.files.values())
        if (more := length - len(self.files[path].content)) > 0 and used + more > self.bytes_max:
            raise apsw.FullError("no space left on the disk")

    def sync(self, path: str, *, folder: bool) -> None:
        """fsync of a file, and of the folder it is in."""
        if not self.lying:
            self.files[path].sync()
            if folder:
                self.sync_names()

    def sync_names(self) -> None:
        """fsync of the folder."""
        if not self.lying:
            self.safe_names = dict(self.files)

    def cut(self, random_: random.Random) -> None:
        """The power goes: what was not synced is lost, kept, or torn, each sector by itself."""
        fate = Fate(random_)
        names = self.files if random_.random() < fate.keep else self.safe_names
        if random_.random() < 0.2:  # some names made it, others did not
            names = {name: file for name, file in (self.safe_names | self.files).items() if self._survives(name, random_)}
        for file in names.values():
            fate.fall_on(file)
        self.files, self.safe_names = dict(names), dict(names)

    def _survives(self, name: str, random_: random.Random) -> bool:
        """A name is as it was synced, or as it was made, renamed or deleted since."""
        now, safe = name in self.files, name in self.safe_names
        return now if now is safe else random_.random() < 0.5

    def spill(self) -> None:
        """Write the files to the real paths, for whoever reads them there."""
        for name, file in self.files.items():
            Path(name).write_bytes(file.content)


def sectors(change: Change) -> list[Change]:
    """A change in the parts that reach the disk one by one."""
    if isinstance(change, int):
        return [change]
    offset, data = change
    ends = [*range(offset - offset % SECTOR_BYTES + SECTOR_BYTES, offset + len(data), SECTOR_BYTES), offset + len(data)]
    return [(start, data[start - offset : end - offset]) for start, end in zip([offset, *ends], ends, strict=False)]


class Fate:
    """How one power cut treats what was not synced: everything, nothing or some of it is kept, in its order or in none."""

    def __init__(self, random_: random.Random) -> None:
        self._random = random_
        self.keep = random_.choice([0.0, 1.0, 0.5, 0.9])
        self._in_order = random_.random() < 0.3
        self._garbage = random_.random() < 0.3

    def fall_on(self, file: File) -> None:
        """Make what survives durable, and all that there is."""
        parts = [part for change in file.unsynced for part in sectors(change)]
        for part in self._first(parts) if self._in_order else self._some(parts, len(file.durable)):
            apply(file.durable, part)
        file.unsynced.clear()
        file.content = bytearray(file.durable)

    def _some(self, parts: list[Change], length: int) -> list[Change]:
        """Each sector survives or not; one that was not there before may hold anything then."""
        survivors: list[Change] = []
        for part in parts:
            if self._random.random() < self.keep:
                survivors.append(part)
            elif self._garbage and not isinstance(part, int) and part[0] >= length:
                survivors.append((part[0], self._random.randbytes(len(part[1]))))
        return survivors

    def _first(self, parts: list[Change]) -> list[Change]:
        """All up to some sector, which is torn in the middle. The first sector of a file, its header, is written whole."""
        count = self._random.randrange(len(parts) + 1)
        survivors, torn = parts[:count], parts[count : count + 1]
        for part in torn:
            if not isinstance(part, int) and part[0] >= SECTOR_BYTES:
                survivors.append((part[0], part[1][: self._random.randrange(len(part[1]) + 1)]))
        return survivors
