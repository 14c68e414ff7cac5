"""A VFS for SQLite over the disk in memory. Locks and shared memory are the real ones of files beside it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

import apsw

from mezzotint.queue import sqlite_damage
from tests.queue.power_loss.disk import SECTOR_BYTES, Disk, File

NAME, BENEATH = "power-loss", "unix-excl"
FOLDER_SYNCED = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL


class PowerLossFile(apsw.VFSFile):
    """One open file. Each call is told to the disk first, which may fail it."""

    def __init__(self, vfs: "PowerLossVfs", path: str, flags: list[int]) -> None:
        super().__init__(BENEATH, path, flags)
        self._vfs, self._path = vfs, path
        disk = vfs.disk
        made = path not in disk.files
        if made:
            disk.on_call("create", path)
            disk.files[path] = File()
        self._file = disk.files[path]
        self._new_name = made and bool(flags[0] & FOLDER_SYNCED)
        vfs.open_files.append(path)

    def xRead(self, amount: int, offset: int) -> bytes:
        with self._vfs.turn:
            self._vfs.disk.on_call("read", self._path)
            return bytes(self._file.content[offset : offset + amount])

    def xWrite(self, data: bytes, offset: int) -> None:
        with self._vfs.turn:
            data = bytes(data)
            try:
                self._vfs.disk.on_call("write", self._path)
                self._vfs.disk.require_room(self._path, offset + len(data))
            except apsw.Error:
                half = (offset + len(data) // 2) // SECTOR_BYTES * SECTOR_BYTES
                self._file.change((offset, data[: max(0, half - offset)]))  # a failed write may have got somewhere
                raise
            self._file.change((offset, data))

    def xTruncate(self, length: int) -> None:
        with self._vfs.turn:
            self._vfs.disk.on_call("truncate", self._path)
            self._file.change(length)

    def xSync(self, flags: int) -> None:
        with self._vfs.turn:
            try:
                self._vfs.disk.on_call("sync", self._path)
            except apsw.Error:
                self._file.unsynced.clear()  # some systems forget what they could not write, and later say that all is well
                raise
            self._vfs.disk.sync(self._path, folder=self._new_name)
            self._new_name = False

    def xFileSize(self) -> int:
        return len(self._file.content)

    def xSectorSize(self) -> int:
        return SECTOR_BYTES

    def xDeviceCharacteristics(self) -> int:
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xClose(self) -> None:
        self._vfs.open_files.remove(self._path)
        super().xClose()


class PowerLossVfs(apsw.VFS):
    """The files of one disk; other paths are those of the VFS beneath."""

    def __init__(self) -> None:
        super().__init__(NAME, BENEATH)
        self.disk = Disk()
        self.open_files: list[str] = []
        self.turn = RLock()

    def xOpen(self, name: "str | apsw.URIFilename | None", flags: list[int]) -> apsw.VFSFile:
        if name is None:
            return super().xOpen(name, flags)
        path = name if isinstance(name, str) else name.filename()
        with self.turn:
            return PowerLossFile(self, path, flags)

    def xAccess(self, path: str, flags: int) -> bool:
        return path in self.disk.files

    def xDelete(self, path: str, sync_folder: bool) -> None:
        with self.turn:
            self.disk.on_call("delete", path)
            if path not in self.disk.files:
                raise apsw.IOError("there is no such file")
            del self.disk.files[path]
            with suppress(FileNotFoundError):
                Path(path).unlink()
            if sync_folder:
                self.disk.sync_names()


@contextmanager
def power_loss_vfs() -> Iterator[PowerLossVfs]:
    """The VFS beneath the one that keeps the checksums, which takes whatever is the default when it is made known."""
    normal = apsw.vfs_names()
    vfs = PowerLossVfs()
    report = sys.unraisablehook
    # SQLite passes some errors on to nobody, such as the second one of a commit that it rolls back.
    sys.unraisablehook = lambda told: None if isinstance(told.exc_value, apsw.Error) else report(told)
    if sqlite_damage.VFS in normal:
        apsw.unregister_vfs(sqlite_damage.VFS)
    apsw.set_default_vfs(NAME)
    sqlite_damage.register()
    try:
        yield vfs
    finally:
        sys.unraisablehook = report
        apsw.unregister_vfs(sqlite_damage.VFS)
        apsw.set_default_vfs("unix")
        vfs.unregister()
