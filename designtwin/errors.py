"""The one family of errors: each says what was found, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # errors are imported before numpy is
    from designtwin.typing import FloatArray, IntArray


class DesignTwinError(Exception):
    """Everything designtwin raises at its user."""


class UnitError(DesignTwinError):
    """A value whose unit is unknown, missing, or of another dimension than wanted."""


class MeshError(DesignTwinError):
    """A mesh that contradicts itself: ids out of range, cells inverted, points not finite."""


class MeshReadError(MeshError):
    """A file that does not hold a mesh we can take.

    Parameters
    ----------
    reason : str
        What was found and what to do.
    file : path, optional
        The file read.
    line : int, optional
        Its line, from 1 (text formats).
    """

    def __init__(self, reason: str, *, file: str | Path | None = None, line: int | None = None) -> None:
        self.reason, self.file, self.line = reason, file, line
        where = "" if file is None else f"{file}: " if line is None else f"{file}, line {line}: "
        super().__init__(where + reason)


class SelectionError(DesignTwinError):
    """A selection that finds nothing, or names a group the mesh lacks."""


class MaterialError(DesignTwinError):
    """A material that cannot exist, or one not in the library."""


class ModelError(DesignTwinError):
    """A model that cannot be tested as stated."""


class MissingPropertyError(ModelError):
    """A property the test needs and the material does not state; nothing missing is guessed."""


class SingularSystemError(ModelError):
    """Supports that leave a motion free, or a temperature undetermined.

    Parameters
    ----------
    reason : str
        What was found and what to do.
    dofs : int64[k], optional
        Numbers of the unknowns which, held, would stop the free motions (or which have no stiffness).
    motions : float64[n_dof, k], optional
        The free motions themselves, where the solver has them.
    """

    def __init__(
        self, reason: str, *, dofs: IntArray | None = None, motions: FloatArray | None = None
    ) -> None:
        self.dofs, self.motions = dofs, motions
        super().__init__(reason)


class ConvergenceError(DesignTwinError):
    """An iteration that did not reach its tolerance; no result exists."""


class ResourceError(DesignTwinError):
    """A step that would need more memory than there is."""


class StoreError(DesignTwinError):
    """Results on disk that cannot be written, read or continued."""


class RequirementError(DesignTwinError):
    """A requirement that cannot be judged as written."""


class NoAdjointError(RequirementError):
    """A quantity, or an answer, of which no adjoint gradient is known; differences serve."""


class StudyError(DesignTwinError):
    """A design study that cannot run or resume."""


class TopologyError(StudyError):
    """Neighboring designs that are not the same cells, parts, places and cases, so that no slope exists."""


class OptimizationError(DesignTwinError):
    """A problem of optimization that is not stated soundly, or asks a method for what it cannot do."""


class EvaluationFailed(DesignTwinError):
    """A design whose objective or constraints cannot be computed; a search goes on around it."""


class FatigueError(DesignTwinError):
    """A history that cannot be counted, a curve that is none, or one used on stress it was not made for."""


class PictureError(DesignTwinError):
    """A picture that cannot be drawn as asked."""


def did_you_mean(word: str, known: Iterable[str], *, n: int = 3, cutoff: float = 0.5) -> str:
    """Words for a message: "; did you mean 'lug' or 'leg'?", or nothing where nothing known is near."""
    from difflib import get_close_matches

    near = get_close_matches(word, list(known), n=n, cutoff=cutoff)
    return f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
