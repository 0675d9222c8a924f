"""What is not designed but scatters: loads, strengths, dimensions within their tolerance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import StudyError, did_you_mean
from designtwin.plain import Plain
from designtwin.study.variables import Variable, _dimension_of
from designtwin.typing import FloatArray
from designtwin.units import show, to_si

if TYPE_CHECKING:
    from designtwin.study.study import Study

KINDS = ("normal", "lognormal", "uniform")
REACH = 4.0
"""Standard deviations within which a scattered parameter is varied as if it were designed."""


@dataclass(frozen=True, kw_only=True)
class Scatter(Plain):
    """A number that scatters from part to part or from use to use.

    Parameters
    ----------
    mean, std : float
        SI.
    kind : str
        "normal", "lognormal" or "uniform".
    dimension : str
    deviates : bool
        True where it is added to a designed value, as a tolerance is; its mean is 0 then.
    correlated : mapping of name to float
        Correlation with others that scatter: of the normal numbers behind both (Gaussian copula).
    """

    mean: float
    std: float
    kind: str = "normal"
    dimension: str = "dimensionless"
    deviates: bool = False
    correlated: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            hint = did_you_mean(str(self.kind), KINDS)
            raise StudyError(f"kind={self.kind!r} is unknown{hint} (known: {', '.join(KINDS)})")
        if not (math.isfinite(self.mean) and math.isfinite(self.std) and self.std > 0.0):
            raise StudyError(f"scatter of {self.mean} with standard deviation {self.std}: it must be above 0")
        if self.kind == "lognormal" and self.mean <= 0.0:
            raise StudyError(
                f"lognormal scatter about {show(self.mean, self.dimension)}: a logarithm needs a mean above 0"
            )
        for name, r in self.correlated.items():
            if not -1.0 < r < 1.0:
                raise StudyError(f"correlation {r!r} with {name!r} is not between -1 and 1")

    def of_normal(self, z: FloatArray) -> FloatArray:
        """Values for standard normal numbers, of the same shape."""
        if self.kind == "normal":
            return self.mean + self.std * z
        if self.kind == "lognormal":
            shape = self._shape
            return np.asarray(self.mean * np.exp(shape * z - 0.5 * shape * shape))
        from scipy.special import ndtr

        return np.asarray(self.mean + math.sqrt(3.0) * self.std * (2.0 * ndtr(z) - 1.0))

    def slope(self, z: FloatArray) -> FloatArray:
        """d of_normal / dz."""
        if self.kind == "normal":
            return np.full_like(z, self.std)
        if self.kind == "lognormal":
            return self._shape * self.of_normal(z)
        return 2.0 * math.sqrt(3.0) * self.std * np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)

    @property
    def _shape(self) -> float:
        return math.sqrt(math.log1p((self.std / self.mean) ** 2))

    @property
    def variable(self) -> Variable:
        """The same as a number that may be chosen, over what it is likely to be."""
        low, high = (float(v) for v in self.of_normal(np.array([-REACH, REACH])))
        return Variable(low, high, min(max(self.mean, low), high), self.dimension)

    def __str__(self) -> str:
        std = show(self.std, _difference(self.dimension))
        about = "" if self.deviates else f"{show(self.mean, self.dimension)} "
        return f"{about}± {std} ({self.kind})"


def scatter(
    mean: Any, *, std: Any = None, low: Any = None, high: Any = None, kind: str = "",
    dimension: str | None = None, correlated: Mapping[str, float] | None = None,
) -> Scatter:  # fmt: skip
    """A parameter of ``build`` that nobody chooses: ``scatter("2.5 kN", std="4 %")``.

    Parameters
    ----------
    mean : number, string or quantity
    std : number, string or quantity
        Standard deviation; a string such as ``"4 %"`` is a share of the mean.
    low, high : number or string, optional
        Ends of a uniform distribution, instead of std.
    kind : str
        "normal" unless told, "lognormal" or "uniform" ("uniform" where low and high are given).
    dimension : str, optional
        Read off the mean when left out.
    correlated : mapping of name to float, optional
        Correlation with other scattered parameters; once per pair is enough.

    Raises
    ------
    StudyError
        If the standard deviation is missing or not above 0, or the kind is unknown.
    UnitError
        If units do not fit.
    """
    dimension = dimension or _dimension_of(mean)
    m = float(to_si(mean, dimension, name="mean"))
    if (low is None) != (high is None) or (low is None) == (std is None):
        raise StudyError("scatter needs std=, or both low= and high= of a uniform distribution")
    if std is None:
        a = float(to_si(low, dimension, name="low"))
        b = float(to_si(high, dimension, name="high"))
        if kind not in ("", "uniform"):
            raise StudyError(f"low and high are the ends of a uniform distribution, not of a {kind} one")
        if not a < b or abs(m - 0.5 * (a + b)) > 1e-9 * (b - a):
            raise StudyError(
                f"uniform scatter from {show(a, dimension)} to {show(b, dimension)} has its mean in the "
                f"middle, at {show(0.5 * (a + b), dimension)}, not at {show(m, dimension)}"
            )
        kind, s = "uniform", (b - a) / math.sqrt(12.0)
    elif isinstance(std, str) and std.strip().endswith("%"):
        if dimension == "temperature":
            raise StudyError(f"std={std!r} of a temperature hangs on where its scale begins; say std='2 K'")
        s = abs(m) * float(to_si(std, "dimensionless", name="std"))
    else:
        s = float(to_si(std, _difference(dimension), name="std"))
    return Scatter(mean=m, std=s, kind=kind or "normal", dimension=dimension, correlated=_by_name(correlated))


def _by_name(correlated: Mapping[str, float] | None) -> dict[str, float]:
    if not isinstance(correlated, Mapping | None):
        raise StudyError(f"correlated={correlated!r}: a mapping is wanted, such as {{'width': 0.5}}")
    return dict(correlated or {})


def tolerance(
    half: Any, *, kind: str = "normal", dimension: str | None = None,
    correlated: Mapping[str, float] | None = None,
) -> Scatter:  # fmt: skip
    """How far a designed value may be off when made: ``tolerance("±0.1 mm")``.

    Normal: the tolerance is three standard deviations, as of a process that just keeps it (Cp = 1). Uniform:
    all within is equally likely.

    Raises
    ------
    StudyError
        If it is not above 0, or the kind is neither normal nor uniform.
    """
    if kind not in ("normal", "uniform"):
        raise StudyError(f"a tolerance is normal or uniform, not {kind!r}")
    if isinstance(half, str):
        for sign in ("±", "+/-", "+-"):
            half = half.strip().removeprefix(sign)
        if half.startswith("+"):
            raise StudyError(
                f"tolerance {half!r} is to one side alone; move the value to the middle and say ± half of it"
            )
    dimension = _difference(dimension or _dimension_of(half))
    t = float(to_si(half, dimension, name="tolerance"))
    if not t > 0.0:
        raise StudyError(f"tolerance {half!r} is not above 0")
    return Scatter(
        mean=0.0, std=t / 3.0 if kind == "normal" else t / math.sqrt(3.0), kind=kind, dimension=dimension,
        deviates=True, correlated=_by_name(correlated),
    )  # fmt: skip


def _difference(dimension: str) -> str:
    return "temperature_difference" if dimension == "temperature" else dimension


def completed(scatter: Mapping[str, Scatter], values: Mapping[str, float]) -> dict[str, float]:
    """Values with the means of what scatters without being designed, where these are not given."""
    means = {name: one.mean for name, one in scatter.items() if not one.deviates}
    return dict(values) | (means | dict(values))


def extended(study: Study) -> Study:
    """The same study with all that scatters among its variables; itself where nothing does."""
    if not study.scatter:
        return study
    variables = dict(study.variables)
    for name, one in study.scatter.items():
        if one.deviates:
            v, more = variables[name], REACH * one.std
            variables[name] = replace(v, low=v.low - more, high=v.high + more, choices=())
        else:
            variables[name] = one.variable
    return replace(study, variables=variables, scatter={})


class Joint:
    """All that scatters in a study, together.

    Parameters
    ----------
    scatter : mapping of name to Scatter
    variables : collection of str
        What is designed; a tolerance belongs to one of these, everything else to none.

    Attributes
    ----------
    names : tuple of str
    mean, std : float64[k]
        SI; the mean of a tolerance is 0.
    covariance : float64[k, k]

    Raises
    ------
    StudyError
        If a tolerance has no variable, a name is both designed and scattered, or the correlations cannot be.
    """

    def __init__(self, scatter: Mapping[str, Scatter], variables: Sequence[str]) -> None:
        for name, one in scatter.items():
            if not isinstance(one, Scatter):
                raise StudyError(
                    f"scatter {name!r} is {one!r}; write dtw.scatter(mean, std=...) or dtw.tolerance(...)"
                )
            if one.deviates and name not in variables:
                hint = did_you_mean(name, variables)
                raise StudyError(
                    f"tolerance {name!r} belongs to no variable{hint}; there are: {', '.join(variables)}"
                )
            if not one.deviates and name in variables:
                raise StudyError(
                    f"{name!r} is designed; its scatter is a tolerance: dtw.tolerance('±0.1 mm')"
                )
        self.names = tuple(scatter)
        self.parts = tuple(scatter.values())
        self.mean = np.array([one.mean for one in self.parts])
        self.std = np.array([one.std for one in self.parts])
        self._factor = self._cholesky()
        self.covariance = np.outer(self.std, self.std) * (self._factor @ self._factor.T)

    def _cholesky(self) -> FloatArray:
        c = np.eye(len(self.names))
        for i, one in enumerate(self.parts):
            for name, r in one.correlated.items():
                if name not in self.names:
                    raise StudyError(
                        f"{self.names[i]!r} is correlated with {name!r}, which does not scatter"
                        f"{did_you_mean(name, self.names)}"
                    )
                j = self.names.index(name)
                if j == i or (c[i, j] not in (0.0, r)):
                    raise StudyError(
                        f"correlation of {self.names[i]!r} and {name!r} is stated twice, not alike"
                    )
                c[i, j] = c[j, i] = r
        try:
            return np.asarray(np.linalg.cholesky(c))
        except np.linalg.LinAlgError:
            raise StudyError(
                f"no numbers can have all these correlations at once ({', '.join(self.names)}): "
                "their matrix is not positive definite"
            ) from None

    def __len__(self) -> int:
        return len(self.names)

    def of_normal(self, u: FloatArray) -> FloatArray:
        """Values [..., k] for independent standard normal numbers [..., k]."""
        z = u @ self._factor.T
        return np.stack([one.of_normal(z[..., i]) for i, one in enumerate(self.parts)], axis=-1)

    def slopes(self, u: FloatArray) -> FloatArray:
        """d of_normal / du at one point, float64[k, k]."""
        z = self._factor @ u
        slope = np.array([float(one.slope(z[i : i + 1])[0]) for i, one in enumerate(self.parts)])
        return np.asarray(slope[:, None] * self._factor)

    def sample(self, n: int, seed: int) -> FloatArray:
        """Independent standard normal numbers float64[n, k], evenly spread (scrambled Sobol)."""
        from scipy.special import ndtri

        return np.asarray(ndtri(sobol_points(n, len(self), seed)))


def sobol_points(n: int, dimensions: int, seed: int) -> FloatArray:
    """Scrambled Sobol points inside the unit cube, float64[n, dimensions] (Owen 1998); 2^m are best."""
    from scipy.stats import qmc

    power = max(math.ceil(math.log2(n)), 0)
    points = qmc.Sobol(dimensions, seed=np.random.default_rng(seed)).random_base2(power)[:n]
    return np.asarray(np.clip(points, 2.0**-31, 1.0 - 2.0**-31))
