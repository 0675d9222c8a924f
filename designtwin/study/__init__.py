"""Design studies: variables, the search, what it found."""

from designtwin.study.optimize import Best, History, Study, Verification
from designtwin.study.store import Evaluation
from designtwin.study.variables import Variable, variable

__all__ = ["Best", "Evaluation", "History", "Study", "Variable", "Verification", "variable"]
