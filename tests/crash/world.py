"""A file system that can crash: what may be found on disk after any operation.

`RecordingDisk` performs a recorder's operations and notes their order. `states_after` then gives
what a crash between two of them, or within one, may leave:

- when the *process* dies, everything done so far, and any part of the current operation;
- when the *power* fails, only what was synced is certain. Of every other write, change of length,
  creation, rename and unlink any subset may have reached the disk, in any order, writes in part,
  and where bytes are missing zeros or the previous content may be found.
"""

import itertools
import os
import random
import threading
import time
from dataclasses import dataclass, field

from cmeta.storage.disk import Disk, File

MARK, CREATE, WRITE, TRUNCATE, SYNC, LINK, RENAME, UNLINK, SYNC_FOLDER = (
    "mark", "create", "write", "truncate", "sync", "link", "rename", "unlink", "sync folder",
)  # fmt: skip


@dataclass(frozen=True)
class Operation:
    """One operation; which fields are used depends on `kind`."""

    kind: str
    file: int = -1
    name: str = ""
    offset: int = 0
    data: bytes = b""
    number: int = 0


class RecordingFile(File):
    """A file that records its operations."""

    def __init__(self, path, descriptor, disk, number):
        super().__init__(path, descriptor)
        self.disk, self.number = disk, number

    def write(self, data, offset):
        with self.disk.doing(Operation(WRITE, self.number, offset=offset, data=data)):
            super().write(data, offset)

    def truncate(self, length):
        with self.disk.doing(Operation(TRUNCATE, self.number, offset=length)):
            super().truncate(length)

    def sync(self):
        self.disk.before_sync(self)
        self.disk.note(Operation(SYNC, self.number))


class RecordingDisk(Disk):
    """A disk that records its operations; it never waits for the real one."""

    def __init__(self, folder):
        self.folder, self.operations, self.lock = folder, [], threading.RLock()
        self.num_marks = 0
        self.start = Content()
        for path in sorted(folder.iterdir()):
            self.start.names[path.name] = len(self.start.files)
            self.start.files[len(self.start.files)] = path.read_bytes()
        self.num_files = len(self.start.files)
        self.numbers = dict(self.start.names)

    def doing(self, operation):
        self.lock.acquire()
        self.operations.append(operation)
        return _Releasing(self.lock)

    def note(self, operation):
        with self.lock:
            self.operations.append(operation)

    def mark(self, number):
        """Note the number of acknowledged records."""
        self.num_marks += 1
        self.note(Operation(MARK, number=number))

    def before_sync(self, file):
        """Give other threads time first."""

    def create(self, path, like=None):
        number, self.num_files = self.num_files, self.num_files + 1
        self.numbers[path.name] = number
        with self.doing(Operation(CREATE, number, path.name)):
            return RecordingFile(path, super().create(path, like).descriptor, self, number)

    def open(self, path):
        return RecordingFile(path, super().open(path).descriptor, self, self.numbers[path.name])

    def rename(self, file, target):
        with self.doing(Operation(RENAME, file.number, target.name, data=file.path.name.encode())):
            super().rename(file, target)
            self.numbers[target.name] = file.number

    def publish(self, file, target):
        """Note it as what it consists of: a second name, and the removal of the first."""
        with self.lock:
            name = file.path.name
            super().publish(file, target)
            self.note(Operation(LINK, file.number, target.name))
            self.note(Operation(UNLINK, name=name))
            self.numbers[target.name] = file.number

    def unlink(self, path):
        with self.doing(Operation(UNLINK, name=path.name)):
            super().unlink(path)

    def sync_folder(self, folder):
        self.note(Operation(SYNC_FOLDER))


class BusyDisk(RecordingDisk):
    """A disk so slow in the sealer that rows arrive during every sync there.

    Recording waits for the sealer where it is about to start a journal, and the sealer
    waits in each of its syncs for a few rows.
    """

    stops = (32, 64)  # records; a journal is started after every second batch of 16

    def __init__(self, folder):
        super().__init__(folder)
        self.left, self.is_waiting = list(self.stops), False

    def mark(self, number):
        super().mark(number)
        if self.left and number >= self.left[0]:
            self.left.pop(0)
            wait_until(lambda: self.is_waiting, 2)
        time.sleep(0.003)  # so that no sync gets all the rows

    def before_sync(self, file):
        if threading.current_thread().name == "cmeta-sealer":
            end, self.is_waiting = self.num_marks + 2, True
            wait_until(lambda: self.num_marks >= end, 0.2)
            self.is_waiting = False


def wait_until(condition, seconds):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.0001)


class QuietDisk(Disk):
    """A disk that never syncs, for runs that no test interrupts."""

    def create(self, path, like=None):
        return _QuietFile(path, super().create(path, like).descriptor)

    def open(self, path):
        return _QuietFile(path, super().open(path).descriptor)

    def sync_folder(self, folder):
        pass


class _QuietFile(File):
    def sync(self):
        pass


class _Releasing:
    def __init__(self, lock):
        self.lock = lock

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lock.release()


@dataclass
class Content:
    """The content of a folder: bytes by file, files by name."""

    files: dict[int, bytes] = field(default_factory=dict)
    names: dict[str, int] = field(default_factory=dict)

    def copy(self):
        return Content(dict(self.files), dict(self.names))

    def apply(self, operation):
        kind, number = operation.kind, operation.file
        if kind == CREATE:
            self.files.setdefault(number, b"")
            self.names[operation.name] = number
        elif kind == WRITE:
            self.files[number] = patched(self.files[number], operation.offset, operation.data)
        elif kind == TRUNCATE:
            old = self.files[number]
            self.files[number] = old[: operation.offset].ljust(operation.offset, b"\0")
        elif kind == LINK:
            self.names[operation.name] = number
        elif kind == RENAME:
            self.names.pop(operation.data.decode(), None)
            self.names[operation.name] = number
        elif kind == UNLINK:
            self.names.pop(operation.name, None)

    def by_name(self):
        """Return the folder as a user sees it, ready to be compared."""
        return tuple(sorted((name, self.files[number]) for name, number in self.names.items()))


def patched(old, offset, data):
    return old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :]


@dataclass
class Power:
    """The certain and the uncertain content after some operations."""

    certain: Content
    pending: list[Operation] = field(default_factory=list)

    def take(self, operation):
        if operation.kind == SYNC:
            self._settle(lambda o: o.file == operation.file and o.kind in (WRITE, TRUNCATE))
        elif operation.kind == SYNC_FOLDER:
            self._settle(lambda o: o.kind in (CREATE, LINK, RENAME, UNLINK))
        elif operation.kind != MARK:
            if operation.kind == CREATE:
                self.certain.files[operation.file] = b""
            self.pending.append(operation)

    def _settle(self, concerns):
        for operation in self.pending:
            if concerns(operation):
                self.certain.apply(operation)
        self.pending = [o for o in self.pending if not concerns(o)]

    def outcome(self, operations):
        """Return the folder if these operations have reached the disk, and no others."""
        found = self.certain.copy()
        for operation in operations:
            found.apply(operation)
        return found.by_name()


def after_death(start, operations):
    """Yield (acknowledged, folder) for the death of the process at every point."""
    content, acknowledged = start.copy(), 0
    yield acknowledged, content.by_name()
    for operation in operations:
        if operation.kind == MARK:
            acknowledged = operation.number
            continue
        if operation.kind == WRITE:
            for cut in sorted({1, len(operation.data) // 2, len(operation.data) - 1}):
                torn = content.copy()
                torn.apply(part(operation, 0, cut))
                yield acknowledged, torn.by_name()
        content.apply(operation)
        yield acknowledged, content.by_name()
    yield acknowledged, content.by_name()


def part(operation, start, end):
    """Return a part of a write."""
    return Operation(
        WRITE, operation.file, offset=operation.offset + start, data=operation.data[start:end]
    )


def after_power_loss(start, operations, *, num_drawn=6, num_recent=8, most=4, seed=0):
    """Yield (acknowledged, folder) for a loss of power at every point.

    Of up to `most` uncertain operations every subset is tried; of more, all, none, each of the
    `num_recent` newest alone or missing, and `num_drawn` drawn subsets and prefixes.
    """
    power, acknowledged = Power(start.copy()), 0
    for place, operation in enumerate([None, *operations]):
        if operation is not None and operation.kind == MARK:
            acknowledged = operation.number
            continue
        if operation is not None:
            power.take(operation)
        draw = random.Random(f"{seed} {place}")
        for chosen in _subsets(power.pending, most, num_recent, num_drawn, draw):
            yield acknowledged, power.outcome(chosen)
            for torn in _torn(chosen, power, draw):
                yield acknowledged, power.outcome(torn)


def _subsets(pending, most, num_recent, num_drawn, draw):
    if len(pending) <= most:
        for keep in itertools.product((True, False), repeat=len(pending)):
            yield [o for o, kept in zip(pending, keep, strict=True) if kept]
        return
    yield list(pending)
    yield []
    for operation in pending[-num_recent:]:  # the newest matter most; the rest is drawn
        yield [operation]
        yield [o for o in pending if o is not operation]
    for _ in range(num_drawn):
        yield [o for o in pending if draw.random() < draw.choice((0.1, 0.5, 0.9))]
        yield pending[: draw.randrange(len(pending))]


def _torn(chosen, power, draw):
    """Yield the subset with its last write in part: cut, zeroed, or with bytes from elsewhere."""
    places = [i for i, o in enumerate(chosen) if o.kind == WRITE]
    if not places:
        return
    place = places[-1]
    write = chosen[place]
    size = len(write.data)
    cut = draw.randrange(1, size) if size > 1 else 0
    others = [data for number, data in power.certain.files.items() if number != write.file]
    stale = (draw.choice(others) if others else b"")[write.offset : write.offset + size]
    garbage = stale.ljust(size, b"\x5a")
    for data in (
        [part(write, 0, cut)],
        [part(write, cut, size)],
        [Operation(WRITE, write.file, offset=write.offset, data=bytes(size))],
        [Operation(WRITE, write.file, offset=write.offset, data=garbage)],
    ):
        yield [*chosen[:place], *data, *chosen[place + 1 :]]


def put(folder, content):
    """Give a folder exactly this content."""
    for path in folder.iterdir():
        path.unlink()
    for name, data in content:
        descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT, 0o666)
        os.write(descriptor, data)
        os.close(descriptor)
