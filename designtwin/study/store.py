"""Every evaluation and gradient of a study, kept in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeVar

from designtwin.errors import StudyError

_FILE = "study.sqlite"
_PATIENCE = 60.0
"""Seconds to wait for another process that writes."""
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS evaluation "
    "(id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, data TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS gradient (key TEXT PRIMARY KEY, data TEXT NOT NULL)",
)
T = TypeVar("T")


@dataclass(frozen=True)
class Evaluation:
    """One design, analyzed.

    Parameters
    ----------
    number : int
        Order of evaluation, from 1.
    values : mapping of variable to SI value
    objective : float or None
        SI; None where the evaluation failed.
    slacks : mapping of "requirement | case" to float
        Scaled margin with the numerical error on the bad side; at least 0 when met for sure.
    status : mapping of requirement to PASS, FAIL or CANNOT TELL
    readings : mapping of requirement to value in SI
    failure : str
        Why it failed, "" if it did not.
    seconds : float
    purpose : str
        "design" for a step of the optimizer, "gradient" for a difference, or what else asked for it.
    instants : mapping of "requirement | case" to float
        When the worst was met, s, in a case that has a course in time.
    goals : mapping of quantity to float
        What else was read beside the objective, SI.
    tries : int
        How often it was analyzed: a failure is tried once more before it counts as one.
    smooth : mapping of response to (float, float)
        The smooth number that adjoints differentiate, and the one it stands for: the bad end of the interval
        of a constraint, the value of an objective or goal, SI. Of responses without adjoint nothing.
    """

    number: int
    values: Mapping[str, float]
    objective: float | None
    slacks: Mapping[str, float] = field(default_factory=dict)
    status: Mapping[str, str] = field(default_factory=dict)
    readings: Mapping[str, float] = field(default_factory=dict)
    failure: str = ""
    seconds: float = 0.0
    purpose: str = "design"
    instants: Mapping[str, float] = field(default_factory=dict)
    goals: Mapping[str, float] = field(default_factory=dict)
    tries: int = 1
    smooth: Mapping[str, Sequence[float]] = field(default_factory=dict)

    @property
    def worst_slack(self) -> float:
        """Smallest slack; -inf where the evaluation failed."""
        if self.failure:
            return float("-inf")
        return min(self.slacks.values(), default=float("inf"))


@dataclass(frozen=True)
class Gradient:
    """Derivatives of the responses of one design.

    Parameters
    ----------
    values : mapping of variable to SI value
        The design.
    slopes : mapping of response to a mapping of variable to float
        d response / d variable, SI per SI; the responses are "objective", the goals of an evaluation, and its
        slacks by their names.
    how : mapping of response to str
        "adjoint", "build" (of the model itself, by differences of ``build`` alone) or "differences".
    why : mapping of response to str
        Of differences of whole analyses: why no adjoint was taken.
    asked : str
        "auto", "adjoint" or "differences".
    beside : tuple of mapping of variable to SI value
        Designs that were analyzed for it.
    seconds : float
    """

    values: Mapping[str, float]
    slopes: Mapping[str, Mapping[str, float]]
    how: Mapping[str, str]
    why: Mapping[str, str] = field(default_factory=dict)
    asked: str = "auto"
    beside: Sequence[Mapping[str, float]] = ()
    seconds: float = 0.0


class Store:
    """Evaluations and gradients by design, in a folder of the user's; without a folder, in memory.

    Several processes may write at once, and any may be killed: what ``add`` returned from is on disk.

    Parameters
    ----------
    folder : path or None
    fingerprint : mapping of str to str
        What the evaluations depend on besides the variables; each entry is a reason for refusal.

    Raises
    ------
    StudyError
        If the folder holds another study: what differs is named.
    """

    def __init__(self, folder: str | Path | None, fingerprint: Mapping[str, str]) -> None:
        if not isinstance(folder, str | Path | None):
            raise StudyError(f"store={folder!r}: the path of a folder is wanted")
        self.folder = None if folder is None else Path(folder)
        self.fingerprint = dict(fingerprint)
        try:
            if self.folder is None:
                self._db = sqlite3.connect(":memory:")
            else:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(self.folder / _FILE, timeout=_PATIENCE)
                # A committed evaluation must survive a kill and a power cut.
                self._db.execute("PRAGMA synchronous=FULL")
            for statement in _SCHEMA:
                self._patiently(lambda statement=statement: self._db.execute(statement))  # type: ignore[misc]
        except (OSError, sqlite3.Error) as error:
            raise StudyError(f"cannot keep the study in {folder}: {error}") from error
        # The first of several processes says what the study is; the others compare.
        self._write("INSERT OR IGNORE INTO meta VALUES (?, ?)", *fingerprint.items())
        known = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        changed = [key for key, value in fingerprint.items() if known[key] != value]
        if changed:
            raise StudyError(
                f"{folder} holds a study whose {' and '.join(changed)} differ from this one's; results of "
                "the two must not mix: give another store=, or delete the folder to begin again"
            )

    def find(self, values: Mapping[str, float]) -> Evaluation | None:
        """The evaluation of exactly these values, if there is one."""
        row = self._row("SELECT data FROM evaluation WHERE key = ?", values)
        return None if row is None else Evaluation(**json.loads(row))

    def gradient(self, values: Mapping[str, float]) -> Gradient | None:
        """The gradient at exactly these values, if there is one."""
        row = self._row("SELECT data FROM gradient WHERE key = ?", values)
        return None if row is None else Gradient(**json.loads(row))

    def add(self, found: Evaluation | Gradient) -> None:
        """Keep an evaluation or a gradient, in place of one of the same values; on return it is on disk."""
        row = (_key(found.values), json.dumps(asdict(found)))
        if isinstance(found, Gradient):
            self._write("INSERT OR REPLACE INTO gradient (key, data) VALUES (?, ?)", row)
        else:
            self._write(
                "INSERT INTO evaluation (key, data) VALUES (?, ?) "
                "ON CONFLICT (key) DO UPDATE SET data = excluded.data",
                row,
            )

    def all(self) -> list[Evaluation]:
        """All evaluations in their order."""
        rows = self._db.execute("SELECT data FROM evaluation ORDER BY id").fetchall()
        return [Evaluation(**json.loads(row[0])) for row in rows]

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM evaluation").fetchone()[0])

    def close(self) -> None:
        self._db.close()

    def _row(self, query: str, values: Mapping[str, float]) -> str | None:
        row = self._patiently(lambda: self._db.execute(query, (_key(values),)).fetchone())
        return None if row is None else str(row[0])

    def _write(self, statement: str, *rows: tuple[str, str]) -> None:
        def write() -> None:
            with self._db:
                # Claimed before it is read: of two writers that upgrade a read lock one would be refused.
                self._db.execute("BEGIN IMMEDIATE")
                self._db.executemany(statement, rows)

        try:
            self._patiently(write)
        except sqlite3.Error as error:
            raise StudyError(
                f"cannot keep an evaluation in {self.folder or 'memory'}: {error}; what was kept before is "
                "there, and the same call goes on from it once this is mended"
            ) from error

    def _patiently(self, act: Callable[[], T]) -> T:
        """Do it again while another process holds the file, as some file systems say so at once."""
        until = time.monotonic() + _PATIENCE
        while True:
            try:
                return act()
            except sqlite3.OperationalError as error:
                if ("locked" not in str(error) and "busy" not in str(error)) or time.monotonic() > until:
                    raise
                time.sleep(0.02)


def _key(values: Mapping[str, float]) -> str:
    return json.dumps({name: float(values[name]).hex() for name in sorted(values)})
