"""Instants of a transient answer: kept in memory while they fit, else on disk, in files anyone can read.

A folder holds, for every array, ``.npy`` files of some instants each (rows are instants), ``index.json``,
which says what is where and how many instants are complete, and ``checkpoint.npz``, from which a run goes on.
Data reach the disk before the index that names them, and the index before the checkpoint, each of these two
replaced whole: a folder whose writer was killed at any moment reads back as it stood at the last checkpoint
or later.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import shutil
import tempfile
import threading
import time as clock
import weakref
from bisect import bisect_right
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from designtwin.errors import StoreError
from designtwin.io.files import atomic
from designtwin.typing import FloatArray, IntArray

MEMORY = 256_000_000
"""Bytes kept in memory before instants go to a temporary folder."""
_CHUNK = 4_000_000
"""Bytes of one file of instants, about; larger instants have a file each."""
_ROWS = 4096
"""Instants in one file at most."""
_FORMAT = "designtwin frames 1"
_PATIENCE = 5.0
"""Seconds between checkpoints, at least."""
_SHARE = 40.0
"""A checkpoint is due when this many times its own cost has passed: it takes at most a fortieth of a run."""
_BEGUN = re.compile(r"lock|\.index\.json\.[0-9a-f]+")
_UNSAFE = re.compile(r"[^\w.-]+")


def case_folder(store: str | Path | None, name: str) -> Path | None:
    """The folder of one load case within the folder of a run; None stays None.

    Names that are no file names, as "full power", get one that is and that no other name has.
    """
    if store is None:
        return None
    plain = _UNSAFE.sub("_", name).strip("._") or "case"
    if plain != name or plain != plain.lower():  # two names must not meet where case is ignored
        from hashlib import sha256

        plain = f"{plain[:60]}-{sha256(name.encode()).hexdigest()[:8]}"
    return Path(store) / plain


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Some instants of one array: ``float64[capacity, width]``, in memory or in a file.

    Where most of an array is zero, `rows` says which entries are kept.
    """

    first: int
    capacity: int
    width: int
    rows: IntArray | None
    values: FloatArray | None = None
    file: Path | None = None
    header: int = 0

    def occupied(self, instants: int) -> int:
        """What it takes up to so many instants of the run."""
        used = min(max(instants - self.first, 0), self.capacity)
        return 8 * self.width * used + (0 if self.rows is None else self.rows.nbytes)


class _Column:
    """One array over the instants, as chunks in order."""

    def __init__(self, name: str, length: int, folder: Path | None) -> None:
        self.name, self.length, self.folder = name, length, folder
        self.chunks: list[_Chunk] = []
        self._open: tuple[_Chunk, IO[bytes]] | None = None
        self._seen: tuple[_Chunk, Any] | None = None
        self.dirty: set[Path] = set()

    def put(self, i: int, array: FloatArray) -> Path | None:
        """Write instant i; the file that is full with it, if any."""
        while self.chunks and self.chunks[-1].first > i:
            self._drop(self.chunks.pop())
        chunk = self.chunks[-1] if self.chunks else None
        if chunk is None or i >= chunk.first + chunk.capacity or not _holds(chunk, array):
            if chunk is not None and chunk.first == i:
                self._drop(self.chunks.pop())
            chunk = self._new(i, array)
            self.chunks.append(chunk)
        kept = array if chunk.rows is None else array[chunk.rows]
        if chunk.values is not None:
            chunk.values[i - chunk.first] = kept
            return None
        assert chunk.file is not None
        stream = self._stream(chunk)
        stream.seek(chunk.header + 8 * chunk.width * (i - chunk.first))
        stream.write(np.ascontiguousarray(kept, "<f8").data)
        stream.flush()
        self.dirty.add(chunk.file)
        return chunk.file if i == chunk.first + chunk.capacity - 1 else None

    def get(self, i: int, rows: Any = None) -> FloatArray:
        """Instant i, float64[length]; only these entries if rows are given."""
        chunk = self.chunks[bisect_right([c.first for c in self.chunks], i) - 1]
        kept = self._values(chunk)[i - chunk.first]
        if chunk.rows is None:
            return np.array(kept if rows is None else kept[rows], np.float64)
        out = np.zeros(self.length)
        out[chunk.rows] = kept
        return out if rows is None else np.asarray(out[rows])

    def occupied(self, instants: int) -> int:
        """What so many instants take."""
        return sum(chunk.occupied(instants) for chunk in self.chunks)

    def cut(self, n: int) -> None:
        """Forget all but the first n instants; files stay, as the index may still name them."""
        self.close()
        self._seen = None
        while self.chunks and self.chunks[-1].first >= n:
            chunk = self.chunks.pop()
            if chunk.file is not None:
                self.dirty -= {chunk.file, _rows_file(chunk.file)}

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def move(self, folder: Path) -> None:
        """From memory to files."""
        self.folder = folder
        for k, chunk in enumerate(self.chunks):
            assert chunk.values is not None
            self.chunks[k] = filed = self._file(chunk)
            stream = self._stream(filed)
            stream.seek(filed.header)
            stream.write(np.ascontiguousarray(chunk.values, "<f8").data)
            stream.flush()

    def _new(self, i: int, array: FloatArray) -> _Chunk:
        rows = None
        # By bits, so that a negative zero comes back as one.
        filled = np.flatnonzero(np.ascontiguousarray(array, np.float64).view(np.int64))
        if 2 * len(filled) < self.length:
            rows = filled
        width = self.length if rows is None else len(rows)
        # An instant that breaks a chunk's pattern of zeros may not be the last to do so: grow with the run.
        capacity = min(max(_CHUNK // max(8 * width, 1), 1), _ROWS, max(16, i))
        chunk = _Chunk(i, capacity, width, rows)
        if self.folder is None:
            return _Chunk(i, capacity, width, rows, values=np.empty((capacity, width)))
        return self._file(chunk)

    def _file(self, chunk: _Chunk) -> _Chunk:
        assert self.folder is not None
        file = self.folder / f"{self.name}.{chunk.first:06d}.npy"
        with open(file, "wb") as stream:
            shape = (chunk.capacity, chunk.width)
            np.lib.format.write_array_header_1_0(
                stream, {"descr": "<f8", "fortran_order": False, "shape": shape}
            )
            header = stream.tell()
            stream.truncate(header + 8 * chunk.width * chunk.capacity)  # a whole .npy from the start
        self.dirty.add(file)
        if chunk.rows is not None:
            np.save(_rows_file(file), chunk.rows)
            self.dirty.add(_rows_file(file))
        return _Chunk(chunk.first, chunk.capacity, chunk.width, chunk.rows, file=file, header=header)

    def _stream(self, chunk: _Chunk) -> IO[bytes]:
        assert chunk.file is not None
        if self._open is None or self._open[0] is not chunk:
            self.close()
            self._open = (chunk, open(chunk.file, "r+b"))  # noqa: SIM115
        return self._open[1]

    def _values(self, chunk: _Chunk) -> Any:
        if chunk.values is not None:
            return chunk.values
        if chunk.width == 0:
            return np.empty((chunk.capacity, 0))
        if self._seen is None or self._seen[0] is not chunk:
            try:
                self._seen = (chunk, np.load(str(chunk.file), mmap_mode="r"))
                if self._seen[1].shape != (chunk.capacity, chunk.width):
                    raise ValueError(f"it is of shape {self._seen[1].shape}")
            except (OSError, ValueError) as error:
                self._seen = None
                raise StoreError(
                    f"{chunk.file}: {self.name} of instants from {chunk.first} on cannot be read: {error}; "
                    "delete the folder and run again"
                ) from error
        return self._seen[1]

    def _drop(self, chunk: _Chunk) -> None:
        if chunk.file is None:
            return
        if self._open is not None and self._open[0] is chunk:
            self.close()
        self._seen = None
        for file in (chunk.file, _rows_file(chunk.file)):
            self.dirty.discard(file)
            file.unlink(missing_ok=True)


def _holds(chunk: _Chunk, array: FloatArray) -> bool:
    """Whether a chunk keeps every entry of an array that is not zero."""
    if chunk.rows is None:
        return True
    filled = int(np.count_nonzero(array))
    return filled <= len(chunk.rows) and int(np.count_nonzero(array[chunk.rows])) == filled


def _rows_file(file: Path) -> Path:
    return file.with_name(file.name.removesuffix(".npy") + ".rows.npy")


class Frames:
    """Instants in order: a time, the temperature, further arrays and numbers of each.

    Make one by `create`, `open` or `resume`. Writing is one run's; what it has written may be read at any
    time, also from another process once it is in the index (at checkpoints, and at the end).

    Parameters
    ----------
    path : path or None
        A folder of its own; None keeps instants in memory, up to `MEMORY` bytes, beyond it in a temporary
        folder that goes with the object.
    key : str
        Hash of what is computed.
    """

    def __init__(self, path: Path | None, key: str) -> None:
        self.path, self.key = path, key
        self._columns: dict[str, _Column] = {}
        self._times: list[float] = []
        self._scalars: dict[str, list[float]] = {}
        self._state: dict[str, Any] | None = None
        self._folder = path
        self._pool: ThreadPoolExecutor | None = None
        self._pending: list[Future[None]] = []
        self._lock: IO[str] | None = None
        self._access = threading.RLock()  # a picture may be drawn while the run goes on
        self._since, self._cost = clock.monotonic(), 0.0
        self._indexed = -1  # instants in the index on disk

    # Beginning

    @classmethod
    def create(cls, path: str | Path | None, key: str) -> Frames:
        """An empty store.

        Raises
        ------
        StoreError
            If the folder holds anything, or cannot be made.
        """
        folder = None if path is None else Path(path)
        if folder is not None:
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # What a run leaves that was killed before it wrote anything is no reason to refuse.
                if any(not _BEGUN.fullmatch(file.name) for file in folder.iterdir()):
                    raise StoreError(
                        f"{folder} is not empty; give another folder as store=, or delete this one"
                    )
            except OSError as error:
                raise StoreError(f"{folder}: cannot be made a store of results: {error}") from error
        frames = cls(folder, key)
        if folder is not None:
            frames._take()
            frames._write_index()
        return frames

    @classmethod
    def open(cls, path: str | Path, key: str | None = None) -> Frames:
        """What a folder holds, to read; with a key, only if it is of that computation.

        Raises
        ------
        StoreError
            If it holds no results, those of another computation, or damaged ones.
        """
        folder = Path(path)
        data = _read_index(folder)
        if key is not None and data["key"] != key:
            raise StoreError(
                f"{folder} holds results of another computation: model, loads, start, steps or version "
                "differ; give another folder as store=, or delete this one to start over"
            )
        frames = cls(folder, data["key"])
        try:
            frames._times = [float(t) for t in data["times"]]
            frames._indexed = len(frames._times)
            frames._scalars = {k: [float(v) for v in values] for k, values in data["scalars"].items()}
            for name, stated in data["arrays"].items():
                frames._columns[name] = column = _Column(name, int(stated["length"]), folder)
                for first, capacity, width, sparse in stated["chunks"]:
                    file = folder / f"{name}.{int(first):06d}.npy"
                    rows = np.load(_rows_file(file)) if sparse else None
                    header = file.stat().st_size - 8 * int(width) * int(capacity)
                    column.chunks.append(
                        _Chunk(int(first), int(capacity), int(width), rows, file=file, header=header)
                    )
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise _damaged(folder, error) from error
        return frames

    @classmethod
    def resume(cls, path: str | Path | None, key: str) -> Frames:
        """A store to write to: what the folder holds if it holds this computation, else an empty one.

        `load` says from where the run goes on.

        Raises
        ------
        StoreError
            If the folder holds something else, or another run is writing to it.
        """
        if path is None or not (Path(path) / "index.json").exists():
            return cls.create(path, key)
        frames = cls.open(path, key)
        frames._take()
        return frames

    def _take(self) -> None:
        """Be the only writer; the system frees the folder when the process ends, however it ends."""
        assert self.path is not None
        try:
            import fcntl
        except ImportError:  # no such locks here: two runs into one folder are the user's to avoid
            return
        file = self.path / "lock"
        stream = open(file, "a+", encoding="ascii")  # noqa: SIM115
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            stream.seek(0)
            owner = stream.read().strip()
            stream.close()
            # An earlier run of this process that failed may still be held by its traceback.
            if owner == str(os.getpid()):
                return
            raise StoreError(
                f"{self.path}: another run (process {owner or 'unknown'}) is writing to it; wait for its end "
                "or give another folder as store="
            ) from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        self._lock = stream

    # Writing

    def append(self, time: float, temperature: FloatArray, **more: FloatArray | float) -> None:
        """Add an instant.

        Parameters
        ----------
        time : float
            s; after the last one.
        temperature : float64[n_points]
            K.
        **more : float64[...] or float
            Further arrays and numbers; the same names for every instant. Arrays that are mostly zero cost
            little.

        Raises
        ------
        StoreError
            If the disk is full or gone.
        """
        with self._access:
            assert not self._times or time > self._times[-1], (time, self._times[-1])
            i, names = len(self._times), {"temperature": temperature, **more}
            try:
                for name, value in names.items():
                    if np.ndim(value) == 0:
                        kept = self._scalars.setdefault(name, [])
                        del kept[i:]
                        assert len(kept) == i, f"{name} is missing at earlier instants"
                        kept.append(float(value))
                        continue
                    array = np.asarray(value, np.float64).reshape(-1)
                    if name not in self._columns:
                        assert i == 0, f"{name} is missing at earlier instants"
                        self._columns[name] = _Column(name, len(array), self._folder)
                    full = self._columns[name].put(i, array)
                    if full is not None and self.path is not None:
                        self._soon(full)
            except OSError as error:
                raise self._cannot(error) from error
            self._times.append(float(time))
            self._indexed = min(self._indexed, i)
            if self._folder is None and self.bytes > MEMORY:
                self._spill()

    def checkpoint(self, **state: FloatArray | float) -> None:
        """Make everything so far survive the end of this process, and keep what a run needs to go on.

        Parameters
        ----------
        **state : arrays and numbers
            What `load` gives back, bit by bit.

        Raises
        ------
        StoreError
            If the disk is full or gone.
        """
        start = clock.monotonic()
        if self.path is None:
            kept = {name: np.array(value) for name, value in state.items()}
            self._state = {"frames": np.int64(len(self._times)), **kept}
        else:
            self.flush()
            with atomic(self.path / "checkpoint.npz", error=StoreError) as stream:
                np.savez(stream, **{"frames:": np.int64(len(self._times)), **state})  # type: ignore[arg-type]
            _sync(self.path)
        self._since = clock.monotonic()
        self._cost = self._since - start

    @property
    def due(self) -> bool:
        """Whether the next checkpoint is worth its cost: at most a fortieth of a run goes into them."""
        return clock.monotonic() - self._since > max(_PATIENCE, _SHARE * self._cost)

    def load(self) -> dict[str, Any] | None:
        """Go back to the last checkpoint: instants after it are dropped, its state is given back.

        Returns
        -------
        dict or None
            Arrays, and floats where numbers were given; None if there was no checkpoint: no instant is left.

        Raises
        ------
        StoreError
            If the checkpoint cannot be read.
        """
        state = None if self._state is None else dict(self._state)
        file = None if self.path is None else self.path / "checkpoint.npz"
        if file is not None and file.exists():
            try:
                with np.load(file, allow_pickle=False) as data:
                    state = {"frames": data["frames:"], **{k: data[k] for k in data.files if k != "frames:"}}
            except Exception as error:  # zip, header and value errors all mean the same
                raise _damaged(file, error) from error
        count = 0 if state is None else int(state.pop("frames"))
        with self._access:
            if count > len(self._times):
                raise _damaged(self.path or Path(), f"{count} instants at the checkpoint, {len(self)} kept")
            del self._times[count:]
            for values in self._scalars.values():
                del values[count:]
            for column in self._columns.values():
                column.cut(count)
            if count == 0:
                self._columns, self._scalars = {}, {}
            if self.path is not None:
                self._write_index()
                self._sweep()
        if state is None:
            return None
        return {name: value.item() if value.ndim == 0 else value for name, value in state.items()}

    def flush(self) -> None:
        """Wait until every instant is on disk and in the index; nothing to do in memory.

        Raises
        ------
        StoreError
            If the disk is full or gone.
        """
        if self.path is None:
            return
        with self._access:
            try:
                for job in self._pending:
                    job.result()
                self._pending.clear()
                for column in self._columns.values():
                    for file in sorted(column.dirty):
                        _sync(file)
                    column.dirty.clear()
            except OSError as error:
                raise self._cannot(error) from error
            self._write_index()

    def finish(self) -> None:
        """Flush, and let others write to the folder; reading goes on."""
        self.flush()
        for column in self._columns.values():
            column.close()
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    # Reading

    def __len__(self) -> int:
        return len(self._times)

    @property
    def times(self) -> FloatArray:
        """float64[k], s, ascending."""
        return np.array(self._times)

    @property
    def names(self) -> tuple[str, ...]:
        """What is kept of every instant, arrays first."""
        return (*self._columns, *self._scalars)

    @property
    def bytes(self) -> int:
        """Bytes the instants take, in memory or on disk."""
        return sum(column.occupied(len(self._times)) for column in self._columns.values())

    @property
    def on_disk(self) -> bool:
        """Whether instants are kept in files: in `path`, or in a temporary folder."""
        return self._folder is not None

    def temperature(self, i: int) -> FloatArray:
        """Temperature of instant i, float64[n_points], K."""
        return self.array(i, "temperature")

    def get(self, i: int, name: str) -> FloatArray | float:
        """An array or a number of instant i, as it was given."""
        if name in self._scalars:
            return self._scalars[name][range(len(self._times))[i]]
        return self.array(i, name)

    def array(self, i: int, name: str, rows: IntArray | None = None) -> FloatArray:
        """An array of instant i, float64[n]; only some of its entries if rows are given.

        Raises
        ------
        StoreError
            If there is no such array, or its file is damaged.
        """
        if name not in self._columns:
            raise StoreError(f"there is no {name!r} over time; there are: {', '.join(self.names)}")
        index = range(len(self._times))[i]
        with self._access:
            return self._columns[name].get(index, rows)

    def series(self, name: str) -> FloatArray:
        """A number over the instants, float64[k].

        Raises
        ------
        StoreError
            If there is no such number.
        """
        if name not in self._scalars:
            raise StoreError(f"there is no {name!r} over time; there are: {', '.join(self.names)}")
        return np.array(self._scalars[name][: len(self._times)])

    def __repr__(self) -> str:
        where = "memory" if self._folder is None else str(self._folder)
        return f"<Frames: {len(self)} instants in {where}, {self.bytes / 1e6:,.0f} MB>"

    # Files

    def _spill(self) -> None:
        """Memory is full: to files that go when this object goes."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="designtwin-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            for column in self._columns.values():
                column.move(folder)
        except OSError as error:
            raise self._cannot(error) from error
        self._folder = folder

    def _soon(self, file: Path) -> None:
        """Have a full file written while the run goes on, so that a checkpoint does not wait for it."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(1, "frames")
        for column in self._columns.values():
            column.dirty.discard(file)
        self._pending = [job for job in self._pending if not job.done() or job.exception()]
        self._pending.append(self._pool.submit(_sync, file))

    def _write_index(self) -> None:
        assert self.path is not None
        if self._indexed == len(self._times):
            return
        data = {
            "format": _FORMAT,
            "key": self.key,
            "times": self._times,
            "scalars": {name: [_plain(v) for v in values] for name, values in self._scalars.items()},
            "arrays": {
                name: {
                    "length": column.length,
                    "chunks": [
                        [c.first, c.capacity, c.width, c.rows is not None]
                        for c in column.chunks
                        if c.first < len(self._times)
                    ],
                }
                for name, column in self._columns.items()
            },
        }
        with atomic(self.path / "index.json", error=StoreError) as stream:
            stream.write(json.dumps(data, allow_nan=False).encode())
        self._indexed = len(self._times)

    def _sweep(self) -> None:
        """Remove what a killed run left behind: half-written files, and those of instants dropped."""
        assert self.path is not None
        known = {"index.json", "checkpoint.npz", "lock"}
        for column in self._columns.values():
            for chunk in column.chunks:
                assert chunk.file is not None
                known |= {chunk.file.name, _rows_file(chunk.file).name}
        ours = re.compile(r"\.(index\.json|checkpoint\.npz)\.[0-9a-f]+|\w+\.\d{6,}(\.rows)?\.npy")
        for file in self.path.iterdir():
            if file.name not in known and ours.fullmatch(file.name):
                with contextlib.suppress(OSError):
                    file.unlink()

    def _cannot(self, error: OSError) -> StoreError:
        where = self._folder or Path(tempfile.gettempdir())
        return StoreError(
            f"{where}: instants cannot be written: {error.strerror or error}; free the disk or give another "
            "folder as store="
        )


def _read_index(folder: Path) -> dict[str, Any]:
    try:
        data = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{folder} holds no results over time: there is no index.json") from None
    except (OSError, ValueError) as error:
        raise _damaged(folder / "index.json", error) from error
    if not isinstance(data, dict) or data.get("format") != _FORMAT:
        found = data.get("format") if isinstance(data, dict) else data
        raise StoreError(f"{folder / 'index.json'} is no index of results over time: its format is {found!r}")
    if not {"key", "times", "scalars", "arrays"} <= data.keys():
        raise _damaged(folder / "index.json", "entries are missing")
    return data


def _damaged(path: Path, why: object) -> StoreError:
    return StoreError(f"{path}: damaged ({why}); delete the folder and run again")


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)  # JSON knows neither nan nor inf


def _sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder."""
    if path.is_dir():
        with contextlib.suppress(OSError):  # where folders cannot be opened the system cares for itself
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        return
    with open(path, "r+b") as stream:
        os.fsync(stream.fileno())


__all__ = ["MEMORY", "Frames", "case_folder"]
