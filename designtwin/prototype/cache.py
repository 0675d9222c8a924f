"""Tests that were run before: an unchanged one is not solved again, one with another limit only judged anew.

    cache = ResultCache()
    verdict = cache.run(test)

What a test is known by is the content of all it depends on: mesh, model, analysis, its settings, the code of
this package and the versions of what computes for it. An analysis and a judgment are kept apart, so that a
limit may change without a solve. Entries are written whole or not at all and carry a digest: many processes
may share a folder, and a damaged entry is told, removed and computed again.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import logging
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from designtwin import units
from designtwin.criteria.verdict import Verdict
from designtwin.errors import DesignTwinError, StoreError
from designtwin.io.files import atomic
from designtwin.mesh import Mesh
from designtwin.model.model import Model
from designtwin.plain import Plain, known_types
from designtwin.prototype.records import Context, pack, unpack

FOLDER = "DESIGNTWIN_CACHE"
"""The variable of the environment that names the folder; "off" switches the cache off."""
MAX_BYTES = 2_000_000_000
"""What a cache keeps at most unless told otherwise."""
_OUTSIDE = ("viz", "report", "study", "cli", "demo", "warm", "edge", "pytest_plugin", "__main__")
"""Rooms that no number of a verdict depends on."""
_NUMBERS = ("numpy", "scipy", "numba", "pypardiso")
_NOT_CONTENT = ("model", "requirements", "name", "store", "solved")
"""Fields of a test that are told apart, or are places and not content."""
_RESULT, _VERDICT = ".result", ".verdict"

_log = logging.getLogger(__name__)


def default_folder() -> Path | None:
    """Where results are kept unless a folder is given; None where the environment says "off"."""
    told = os.environ.get(FOLDER, "")
    if told.lower() == "off":
        return None
    if told:
        return Path(told)
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "designtwin"


@dataclass(frozen=True)
class CacheInfo:
    """What a cache holds.

    Parameters
    ----------
    folder : Path
    verdicts, results : int
        Entries of judgments and of analyses.
    bytes, max_bytes : int
        What they take, and may take.
    """

    folder: Path
    verdicts: int
    results: int
    bytes: int
    max_bytes: int

    def __str__(self) -> str:
        return (
            f"cache {self.folder}: {self.verdicts} verdict{'s' * (self.verdicts != 1)}, {self.results} "
            f"result{'s' * (self.results != 1)}, {self.bytes / 1e6:,.1f} of {self.max_bytes / 1e6:,.0f} MB"
        )


class ResultCache:
    """Verdicts and results of tests in a folder, by the content of what they depend on.

    Parameters
    ----------
    folder : path, optional
        `default_folder` unless given; made when first written to.
    max_bytes : int
        Beyond this the entries that were not asked for the longest go.

    Attributes
    ----------
    said : list of str
        What runs found, a sentence each.
    """

    def __init__(self, folder: str | Path | None = None, *, max_bytes: int = MAX_BYTES) -> None:
        chosen = default_folder() if folder is None else Path(folder)
        if chosen is None:
            raise StoreError(f"the cache is switched off by {FOLDER}=off; give a folder, or unset it")
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 1:
            raise StoreError(f"max_bytes is {max_bytes!r}; how many bytes may the cache take?")
        self.folder, self.max_bytes = chosen, max_bytes
        self.said: list[str] = []
        self._about = ""

    def run(self, test: Any, **options: Any) -> Verdict:
        """The verdict of a test, solved only where nothing kept answers.

        Parameters
        ----------
        test : PrototypeTest
        **options
            What its ``run`` takes, as ``refine="auto"``.

        Returns
        -------
        Verdict
            All numbers as if it had been solved now, its time that of the analysis. Fields and pictures of it
            work; where a result could not be kept it is solved again when first looked at.

        Raises
        ------
        DesignTwinError
            As ``test.run``; the cache itself never makes a run fail.
        """
        self._about = f"{test.kind}{f' of {test.name}' if test.name else ''}"
        if getattr(test, "store", None) is not None:
            self._say("it has a store of its own, from which it goes on")
            return _plainly(test, options)
        try:
            analysis, judgment = keys(test, options)
        except DesignTwinError as error:
            self._say(f"cannot be kept: {error}")
            return _plainly(test, options)
        known = self._verdict(test, options, analysis, judgment)
        if known is not None:
            self._say("unchanged since it was last run, not solved again")
            return known
        # Which mesh a refined answer stands on follows from the limits.
        result = None if _given(options) else self._load(analysis, _RESULT, test)
        if result is not None:
            judged: Verdict = test.judged(result["result"])
            verdict = replace(judged, seconds=result["seconds"])
            self._say("limits alone have changed since it was last run: judged again, not solved")
        else:
            verdict = _plainly(test, options)
        if _given(options) and any("max_time is" in note for note in verdict.notes):
            self._say("not kept: the time allowed ended its refinement, and another run may get further")
            return verdict
        self._keep(verdict, test, analysis if not _given(options) else judgment, judgment, result is None)
        return verdict

    def info(self) -> CacheInfo:
        """What it holds."""
        entries = list(self._entries())
        return CacheInfo(
            folder=self.folder,
            verdicts=sum(path.suffix == _VERDICT for path, _ in entries),
            results=sum(path.suffix == _RESULT for path, _ in entries),
            bytes=sum(stat.st_size for _, stat in entries),
            max_bytes=self.max_bytes,
        )

    def clear(self) -> int:
        """Forget everything; how many entries there were."""
        count = 0
        for path, _ in list(self._entries()):
            try:
                path.unlink(missing_ok=True)
                count += 1
            except OSError as error:
                raise StoreError(f"{path}: cannot be removed: {error.strerror or error}") from error
        return count

    # Entries

    def _verdict(self, test: Any, options: Mapping[str, Any], analysis: str, judgment: str) -> Verdict | None:
        """The kept judgment with its result, or with one that is solved again when it is looked at."""
        kept = self._load(judgment, _VERDICT, test)
        if kept is None:
            return None
        result = self._load(kept["result"], _RESULT, test)
        if result is not None:
            return Verdict(result=result["result"], **kept["fields"])
        if kept["seen"] is None:
            return None  # its result was dropped to save room: nothing to show without it
        verdict = _later(kept["fields"], lambda: _plainly(test, options).result)
        vars(verdict).update(kept["seen"])
        return verdict

    def _keep(self, verdict: Verdict, test: Any, result_key: str, judgment: str, solved: bool) -> None:
        context = Context.of(test)
        fields = {f.name: getattr(verdict, f.name) for f in dataclasses.fields(Verdict) if f.name != "result"}
        seen = None
        if solved:
            try:
                record = pack({"result": verdict.result, "seconds": verdict.seconds}, context)
                self._write(result_key, _RESULT, record)
            except StoreError as error:
                # What a table, plain data and zones show is kept; more is solved for when it is asked for.
                seen = {
                    "checks": verdict.checks, "tables": verdict.tables, "_zones": verdict.failure_zones(),
                }  # fmt: skip
                self._say(f"its fields are not kept: {error}")
        try:
            record = pack({"fields": fields, "result": result_key, "seen": seen}, context)
            self._write(judgment, _VERDICT, record)
        except StoreError as error:
            self._say(f"not kept: {error}")

    def _load(self, key: str, suffix: str, test: Any) -> dict[str, Any] | None:
        path = self.folder / (key + suffix)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            found: dict[str, Any] = unpack(data, Context.of(test))
        except (StoreError, DesignTwinError) as error:
            self._say(f"a kept entry is damaged and was removed: {error} ({path.name})", logging.WARNING)
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return None
        with suppress(OSError):
            os.utime(path)
        return found

    def _write(self, key: str, suffix: str, record: bytes) -> None:
        if len(record) > self.max_bytes:
            raise StoreError(
                f"it takes {len(record) / 1e6:,.0f} MB, and the cache {self.max_bytes / 1e6:,.0f} MB at most"
            )
        with atomic(self.folder / (key + suffix), error=StoreError, make_folder=True) as stream:
            stream.write(record)
        self._bound(self.folder / (key + suffix))

    def _bound(self, newest: Path) -> None:
        """Drop what was not asked for the longest until the rest fits."""
        entries = sorted(self._entries(), key=lambda one: one[1].st_mtime)
        size = sum(stat.st_size for _, stat in entries)
        for path, stat in entries:
            if size <= self.max_bytes:
                return
            if path != newest:
                with suppress(OSError):  # another process may read or have removed it
                    path.unlink(missing_ok=True)
                size -= stat.st_size

    def _entries(self) -> Iterator[tuple[Path, os.stat_result]]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            # What a killed process left half written is ours to count and to clear, too.
            if path.suffix in (_RESULT, _VERDICT) or _is_left_over(path):
                with suppress(OSError):
                    yield path, path.stat()

    def _say(self, what: str, level: int = logging.INFO) -> None:
        said = f"{self._about}: {what}"
        self.said.append(said)
        _log.log(level, said)


def _is_left_over(path: Path) -> bool:
    return path.name.startswith(".") and (_RESULT in path.name or _VERDICT in path.name)


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options that are not their absence."""
    return {name: value for name, value in options.items() if value is not None}


def _plainly(test: Any, options: Mapping[str, Any]) -> Verdict:
    verdict: Verdict = test.run(**_given(options))
    return verdict


class _Later(Verdict):
    """A verdict whose result is solved again when it is first looked at."""

    def __getattr__(self, name: str) -> Any:
        if name != "result" or "_solve" not in vars(self):
            raise AttributeError(name)
        result = vars(self)["_solve"]()
        object.__setattr__(self, "result", result)
        return result


def _later(fields: Mapping[str, Any], solve: Any) -> Verdict:
    verdict = object.__new__(_Later)
    vars(verdict).update(fields, _solve=solve)
    return verdict


# ---------------------------------------------------------------------------------------------------
# What a test is known by
# ---------------------------------------------------------------------------------------------------


def keys(test: Any, options: Mapping[str, Any] | None = None) -> tuple[str, str]:
    """Hashes of what an analysis depends on, and of what its judgment does.

    Raises
    ------
    DesignTwinError
        If something of it has no content to know it by, as a Python function.
    """
    analysis = _digest(
        {
            "code": _code(),
            "foreign": _foreign(test),
            "test": f"{type(test).__module__}.{type(test).__qualname__}",
            "model": test.model.content_hash(),
            "settings": settings(test),
            "depends": content(test._depends(), "what it depends on"),
        }
    )
    judgment = _digest(
        {
            "analysis": analysis,
            "requirements": [one.content_hash() for one in test.requirements],
            "name": test.name or test.model.name,
            "mesh": test.model.mesh.source,
            "units": repr(units.display_units()),  # of sentences
            "options": content(_given(options or {}), "an option"),
        }
    )
    return analysis, judgment


def settings(test: Any) -> dict[str, Any]:
    """What a test is told besides model and requirements - solver, duration, excitations - by content."""
    return {
        field.name: content(getattr(test, field.name), field.name)
        for field in dataclasses.fields(test)
        if field.name not in _NOT_CONTENT
    }


def content(value: Any, where: str) -> Any:
    """A value as plain data that is equal where its content is.

    Raises
    ------
    DesignTwinError
        If it has no content to know it by.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value.hex()
    if isinstance(value, Plain | Model | Mesh):
        return [type(value).__qualname__, value.content_hash()]
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
        raw = np.ascontiguousarray(value).tobytes()
        return [value.dtype.str, list(value.shape), hashlib.sha256(raw).hexdigest()]
    if isinstance(value, np.generic):
        return content(value.item(), where)
    if isinstance(value, Mapping):
        return [[content(key, where), content(one, f"{where}[{key!r}]")] for key, one in value.items()]
    if isinstance(value, tuple | list):
        return [content(one, where) for one in value]
    if getattr(value, "temperature", None) is not None:
        return content(value.temperature, where)  # a thermal case at the start
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inside = {
            field.name: content(getattr(value, field.name), f"{where}.{field.name}")
            for field in dataclasses.fields(value)
            if field.init
        }
        return [type(value).__qualname__, inside]
    raise DesignTwinError(f"{where} holds a {type(value).__name__}, which has no content to know it by")


def _digest(data: Any) -> str:
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:40]


@functools.cache
def _code() -> str:
    """Hash of the code that computes, and of the versions of what it stands on."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted((*root.rglob("*.py"), *root.rglob("*.toml"))):
        name = path.relative_to(root)
        if name.parts[0].removesuffix(".py") not in _OUTSIDE:
            digest.update(str(name.as_posix()).encode() + path.read_bytes())
    for package in _NUMBERS:
        with suppress(PackageNotFoundError):
            digest.update(f"{package} {version(package)}".encode())
    digest.update(f"{platform.python_version()} {platform.machine()}".encode())
    return digest.hexdigest()


def _foreign(test: Any) -> list[str]:
    """Hashes of the files of tests, solvers, loads and quantities that are not of this package.

    Raises
    ------
    DesignTwinError
        If the code of one cannot be read, as of a notebook's.
    """
    files = {}
    for cls in (*known_types(), *type(test).__mro__[:-1], type(test.solver)):
        if cls.__module__.split(".")[0] in ("designtwin", "builtins"):
            continue
        module = sys.modules.get(cls.__module__)
        file = getattr(module, "__file__", None)
        if file is None or not Path(file).is_file():
            raise DesignTwinError(f"the code of {cls.__qualname__} is in no file, so changes would go unseen")
        files[file] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return sorted(files.values())
