"""Every evaluation of a study, kept in one SQLite file that survives a kill at any moment."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from designtwin.errors import StudyError

_FILE = "study.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS evaluation (id INTEGER PRIMARY KEY, key TEXT UNIQUE NOT NULL, data TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Evaluation:
    """One design, analysed.

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
        "design" for a step of the optimizer, "gradient" for a difference.
    instants : mapping of "requirement | case" to float
        When the worst was met, s, in a case that has a course in time.
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

    @property
    def worst_slack(self) -> float:
        """Smallest slack; -inf where the evaluation failed."""
        if self.failure:
            return float("-inf")
        return min(self.slacks.values(), default=float("inf"))


class Store:
    """Evaluations by design, in a folder of the user's; without a folder, in memory.

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
        if folder is None:
            self._db = sqlite3.connect(":memory:")
        else:
            path = Path(folder)
            try:
                path.mkdir(parents=True, exist_ok=True)
                self._db = sqlite3.connect(path / _FILE, timeout=30.0)
                # A committed evaluation must survive a kill and a power cut.
                self._db.execute("PRAGMA synchronous=FULL")
                self._db.executescript(_SCHEMA)
            except (OSError, sqlite3.Error) as error:
                raise StudyError(f"cannot keep the study in {path}: {error}") from error
        self._db.executescript(_SCHEMA)
        known = dict(self._db.execute("SELECT key, value FROM meta").fetchall())
        changed = [key for key, value in fingerprint.items() if key in known and known[key] != value]
        if changed:
            raise StudyError(
                f"{folder} holds a study whose {' and '.join(changed)} differ from this one's; results of "
                "the two must not mix: give another store=, or delete the folder to begin again"
            )
        with self._db:
            self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", list(fingerprint.items()))

    def find(self, values: Mapping[str, float]) -> Evaluation | None:
        """The evaluation of exactly these values, if there is one."""
        row = self._db.execute("SELECT data FROM evaluation WHERE key = ?", (_key(values),)).fetchone()
        return None if row is None else Evaluation(**json.loads(row[0]))

    def add(self, evaluation: Evaluation) -> None:
        """Keep an evaluation; on return it is on disk."""
        with self._db:
            self._db.execute(
                "INSERT OR REPLACE INTO evaluation (key, data) VALUES (?, ?)",
                (_key(evaluation.values), json.dumps(asdict(evaluation))),
            )

    def all(self) -> list[Evaluation]:
        """All evaluations in their order."""
        rows = self._db.execute("SELECT data FROM evaluation ORDER BY id").fetchall()
        return [Evaluation(**json.loads(row[0])) for row in rows]

    def __len__(self) -> int:
        return int(self._db.execute("SELECT COUNT(*) FROM evaluation").fetchone()[0])

    def close(self) -> None:
        self._db.close()


def _key(values: Mapping[str, float]) -> str:
    return json.dumps({name: values[name].hex() for name in sorted(values)})
