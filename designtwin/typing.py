"""Names for the arrays that pass between rooms."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.float64]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
PlainData: TypeAlias = "dict[str, Any]"
SparseMatrix: TypeAlias = Any
"""scipy.sparse CSR or BSR, array or matrix; scipy ships no types."""
