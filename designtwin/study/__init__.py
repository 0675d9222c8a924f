"""Design studies: variables, the search, what it found."""

from designtwin.study.found import Best, History, Verification
from designtwin.study.store import Evaluation, Gradient
from designtwin.study.study import Study
from designtwin.study.variables import Variable, variable

__all__ = ["Best", "Evaluation", "Gradient", "History", "Study", "Variable", "Verification", "variable"]
