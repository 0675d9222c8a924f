"""Motion over time, M u'' + C u' + K u = f: one implicit step, and the exact step of modal equations.

Sources: Newmark, J. Eng. Mech. Div. ASCE 85 (1959) 67-94; Hilber, Hughes, Taylor, Earthq. Eng. Struct. Dyn.
5 (1977) 283-292; Chung and Hulbert, J. Appl. Mech. 60 (1993) 371-375: generalized-alpha; Nigam and Jennings,
Bull. Seismol. Soc. Am. 59 (1969) 909-922: exact steps of loads that are linear in time; Van Loan, IEEE Trans.
Autom. Control 23 (1978) 395-404: integrals by the matrix exponential.
"""

from __future__ import annotations

import time as clock
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np

from designtwin.errors import ConvergenceError, ModelError
from designtwin.solvers.krylov import Found, Preconditioner, conjugate_gradients, dot
from designtwin.solvers.solution import LinearSolver
from designtwin.solvers.system import System
from designtwin.typing import BoolArray, FloatArray

SCHEMES = ("generalized-alpha", "HHT", "Newmark", "central difference")
"""Ways to step, by name."""

_RTOL = 1e-11  # residual of a step's equations over the largest force in them: energy then drifts by less
_MOST = 400  # iterations of a step
_KEPT = 3  # set-ups, by size of step
_STABLE = 0.99  # of the critical step that an explicit step may be
_LANCZOS = 40


class Motion(Protocol):
    """What is stepped: products with free rows and columns alone, and sums of the matrices as systems."""

    @property
    def size(self) -> int:
        """Unknowns, fixed ones too."""
        ...

    @property
    def free(self) -> BoolArray:
        """Unknowns that move, bool[size]."""
        ...

    @property
    def has_damping(self) -> bool:
        """Whether C is more than zero."""
        ...

    def stiffness(self, q: FloatArray) -> FloatArray:
        """K q."""
        ...

    def mass(self, q: FloatArray) -> FloatArray:
        """M q."""
        ...

    def damping(self, q: FloatArray) -> FloatArray:
        """C q."""
        ...

    def system(self, stiffness: float = 1.0, mass: float = 0.0, damping: float = 0.0) -> System:
        """The sum of the three, weighted."""
        ...


@dataclass(frozen=True)
class Scheme:
    """Weights of a step of the generalized-alpha family.

    M [(1 - am) a1 + am a0] + C [(1 - af) v1 + af v0] + K [(1 - af) d1 + af d0] = (1 - af) f1 + af f0, with
    d1 = d0 + h v0 + h^2 [(1/2 - beta) a0 + beta a1] and v1 = v0 + h [(1 - gamma) a0 + gamma a1].

    Parameters
    ----------
    name : str
    alpha_m, alpha_f, beta, gamma : float
    """

    name: str
    alpha_m: float
    alpha_f: float
    beta: float
    gamma: float

    @classmethod
    def of(cls, name: str, rho_infinity: float | None = None) -> Scheme:
        """A scheme by name.

        Parameters
        ----------
        name : one of ``SCHEMES``
            ``"Newmark"`` is the rule of average acceleration, which loses no energy.
        rho_infinity : float, optional
            What is left of the highest frequencies after a step: 0 to 1 of generalized-alpha (0.8 unless
            given), 0.5 to 1 of HHT (0.9).

        Raises
        ------
        ModelError
            If there is no such scheme, or it would not be stable.
        """
        if name not in SCHEMES:
            raise ModelError(f"method is {name!r}; it may be 'modal', {', '.join(map(repr, SCHEMES))}")
        if name in ("Newmark", "central difference"):
            if rho_infinity is not None:
                raise ModelError(
                    f"{name} has no rho_infinity: it damps no frequency; say method='generalized-alpha'"
                )
            return cls(name, 0.0, 0.0, 0.25 if name == "Newmark" else 0.0, 0.5)
        rho = (0.9 if name == "HHT" else 0.8) if rho_infinity is None else float(rho_infinity)
        least = 0.5 if name == "HHT" else 0.0
        if isinstance(rho_infinity, bool) or not least <= rho <= 1.0:
            raise ModelError(f"rho_infinity of {name} is from {least:g} to 1, got {rho_infinity!r}")
        if name == "HHT":
            alpha = (1.0 - rho) / (1.0 + rho)
            return cls(name, 0.0, alpha, 0.25 * (1.0 + alpha) ** 2, 0.5 + alpha)
        alpha_m, alpha_f = (2.0 * rho - 1.0) / (rho + 1.0), rho / (rho + 1.0)
        late = alpha_f - alpha_m
        return cls(name, alpha_m, alpha_f, 0.25 * (1.0 + late) ** 2, 0.5 + late)

    @property
    def explicit(self) -> bool:
        """Whether a step solves for the mass alone, and is stable only below a critical size."""
        return self.beta == 0.0

    @cached_property
    def error(self) -> float:
        """Angle by which a step turns an oscillation too far or too little, over (frequency times h)^3."""
        angle = 0.02
        after = np.array([1.0 - self.alpha_m, 1.0 - self.alpha_f]) @ [1.0, angle**2 * self.beta]
        ahead = np.array([[1.0, angle, angle**2 * (0.5 - self.beta)], [0.0, 1.0, angle * (1.0 - self.gamma)]])
        rest = (1.0 - self.alpha_f) * ahead[0] + np.array([self.alpha_f, 0.0, 0.0])
        rest += [0.0, 0.0, self.alpha_m]
        a = -rest / after
        turn = np.vstack([ahead, np.zeros(3)]) + np.outer([angle**2 * self.beta, angle * self.gamma, 1.0], a)
        values = np.linalg.eigvals(turn)
        turned = float(np.abs(np.angle(values[np.abs(values - np.exp(1j * angle)).argmin()])))
        return abs(turned - angle) / angle**3


@dataclass(frozen=True, eq=False)
class State:
    """Displacement, velocity and acceleration at an instant, float64[size] each; zero where fixed."""

    time: float
    d: FloatArray
    v: FloatArray
    a: FloatArray


class Stepped(NamedTuple):
    """A step made.

    Parameters
    ----------
    state : State
    residual : float
        Of its equations, over the largest force in them.
    error : float
        Of displacement, as the phase of each frequency drifts: square root of e M e, m sqrt(kg).
    input, dissipated : float
        Work of the load and of damping in the step, J.
    kinetic, strain : float
        Energy at its end, J.
    """

    state: State
    residual: float
    error: float
    input: float
    dissipated: float
    kinetic: float
    strain: float


class Jacobi(Preconditioner):
    """The diagonal of a system as its approximate inverse: all that a mass matrix needs.

    Unknowns without any diagonal, as those without mass, are left out.
    """

    def __init__(self, system: System) -> None:
        self.system = system
        diagonal = np.where(system.free, system.diagonal(), 0.0)
        self.kept = diagonal > 1e-14 * float(diagonal.max(initial=0.0))
        self._inverse = np.divide(1.0, diagonal, out=np.zeros_like(diagonal), where=self.kept)
        self.ended, self.spared, self.exact = np.inf, 0, False
        self.notes: tuple[str, ...] = ()
        self.title = "conjugate gradients on the mass"

    def __call__(self, r: FloatArray) -> FloatArray:
        return self._inverse * r


class Stepper:
    """Steps of one scheme through the motion of one system.

    Parameters
    ----------
    motion : Motion
    scheme : Scheme
    rayleigh : (float, float)
        Damping a M + b K beside that of the motion itself, 1/s and s.
    solver : LinearSolver, optional
        Whose factors or levels precondition conjugate gradients; chosen by size unless given.
    """

    def __init__(
        self, motion: Motion, scheme: Scheme, *, rayleigh: tuple[float, float] = (0.0, 0.0),
        solver: LinearSolver | None = None, rtol: float = _RTOL,
    ) -> None:  # fmt: skip
        self.motion, self.scheme, self.rayleigh = motion, scheme, rayleigh
        self.solver, self.rtol = solver, rtol
        self.base: float | None = None
        """The step that set-ups are made for, times powers of two."""
        self.setups = self.iterations = 0
        self.seconds = {"set-up": 0.0, "solve": 0.0}
        self.title = ""
        self.notes: tuple[str, ...] = ()
        self._levels: dict[int, Preconditioner] = {}
        self._systems: dict[float, System] = {}
        self._mass: tuple[System, Jacobi] | None = None

    # Products

    @property
    def damped(self) -> bool:
        """Whether anything damps."""
        return self.motion.has_damping or any(self.rayleigh)

    def damping(self, v: FloatArray, mass: FloatArray | None = None) -> FloatArray:
        """C v, with M v if it is known."""
        a, b = self.rayleigh
        out = self.motion.damping(v) if self.motion.has_damping else np.zeros_like(v)
        if a:
            out = out + a * (self.motion.mass(v) if mass is None else mass)
        if b:
            out = out + b * self.motion.stiffness(v)
        return out

    def energies(self, state: State) -> tuple[float, float]:
        """Kinetic and strain energy, J."""
        kinetic = 0.5 * dot(state.v, self.motion.mass(state.v))
        return kinetic, 0.5 * dot(state.d, self.motion.stiffness(state.d))

    # Steps

    def begin(self, time: float, d: FloatArray, v: FloatArray, f: FloatArray) -> State:
        """The state with the acceleration that balances it, M a = f - C v - K d; 0 where there is no mass."""
        f = f - self.motion.stiffness(d)
        if self.damped:
            f = f - self.damping(v)
        return State(time, d, v, self._accelerated(f))

    def _accelerated(self, f: FloatArray) -> FloatArray:
        if self._mass is None:
            system = self.motion.system(0.0, 1.0, 0.0)
            self._mass = system, Jacobi(system)
        system, jacobi = self._mass
        return self._solve(system, jacobi, np.where(jacobi.kept, f, 0.0)).x

    def step(self, state: State, h: float, f0: FloatArray, f1: FloatArray) -> Stepped:
        """One step of length h, s; f0 and f1: load at its ends, float64[size], N.

        Raises
        ------
        ConvergenceError
            If its equations cannot be solved.
        """
        s, motion = self.scheme, self.motion
        d, v, a = state.d, state.v, state.a
        ahead_d = d + h * v + (h * h * (0.5 - s.beta)) * a
        ahead_v = v + (h * (1.0 - s.gamma)) * a
        new = 1.0 - s.alpha_f
        f = new * f1 + s.alpha_f * f0 if s.alpha_f else f1
        rest = f - motion.stiffness(new * ahead_d + s.alpha_f * d if s.alpha_f else ahead_d)
        if self.damped:
            rest = rest - self.damping(new * ahead_v + s.alpha_f * v if s.alpha_f else ahead_v)
        if s.alpha_m:
            rest = rest - s.alpha_m * motion.mass(a)
        largest = float(np.sqrt(max(dot(rest, rest), dot(f, f))))
        if not np.isfinite(largest):
            raise ConvergenceError(
                f"the motion grew beyond all bounds at {state.time:g} s; take smaller steps"
            )
        # From the acceleration before, of which the new one differs by little.
        system = self._system(h)
        rest = rest - system.apply(a)
        largest = max(largest, float(np.sqrt(dot(rest, rest))))
        found = self._solve(system, self._preconditioner(h, system), rest, largest)
        a1 = a + found.x
        after = State(state.time + h, ahead_d + (h * h * s.beta) * a1, ahead_v + (h * s.gamma) * a1, a1)
        moved, jerk = after.d - d, a1 - a
        momentum = motion.mass(after.v)
        error = s.error * h * h * float(np.sqrt(max(dot(jerk, motion.mass(jerk)), 0.0)))
        return Stepped(
            after,
            residual=float(np.sqrt(dot(found.rest, found.rest))) / max(largest, 1e-300),
            error=error,
            input=0.5 * dot(f0 + f1, moved),
            dissipated=dot(moved, self.damping(moved)) / h if self.damped else 0.0,
            kinetic=0.5 * dot(after.v, momentum),
            strain=0.5 * dot(after.d, motion.stiffness(after.d)),
        )

    def critical(self) -> float:
        """Largest stable step of an explicit scheme, s: 2 over the highest frequency, from below.

        The highest frequency is found by Lanczos' method on M^-1 K; damping is not counted, as it acts on the
        velocity half a step before.
        """
        motion = self.motion
        rng = np.random.default_rng(0)
        x = np.where(motion.free, rng.standard_normal(motion.size), 0.0)
        x = self._accelerated(x)
        before, length = np.zeros_like(x), 0.0
        x /= np.sqrt(dot(x, motion.mass(x)))
        on, off = [], []
        for _ in range(min(_LANCZOS, int(motion.free.sum()))):
            y = self._accelerated(motion.stiffness(x)) - length * before
            momentum = motion.mass(y)
            on.append(dot(x, momentum))
            y -= on[-1] * x
            length = float(np.sqrt(max(dot(y, motion.mass(y)), 0.0)))
            if length <= 1e-10 * abs(on[-1]):
                break
            off.append(length)
            before, x = x, y / length
        t = np.diag(on) + np.diag(off[: len(on) - 1], 1) + np.diag(off[: len(on) - 1], -1)
        values, vectors = np.linalg.eigh(t)
        missing = (off[-1] if len(off) == len(on) else 0.0) * abs(float(vectors[-1, -1]))
        return _STABLE * 2.0 / float(np.sqrt(values[-1] + missing))

    # Solving

    def _weights(self, h: float) -> tuple[float, float, float]:
        s, (a, b) = self.scheme, self.rayleigh
        damping = (1.0 - s.alpha_f) * h * s.gamma
        stiffness = (1.0 - s.alpha_f) * h * h * s.beta
        return (
            stiffness + damping * b,
            1.0 - s.alpha_m + damping * a,
            damping if self.motion.has_damping else 0.0,
        )

    def _system(self, h: float) -> System:
        if h not in self._systems:
            while len(self._systems) >= _KEPT:
                self._systems.pop(next(iter(self._systems)))
            self._systems[h] = self.motion.system(*self._weights(h))
        return self._systems[h]

    def _preconditioner(self, h: float, system: System) -> Preconditioner:
        """Factors or levels of the step of this size, or of the nearest one with a set-up of its own.

        Which one that is depends on the size alone, so that a run that goes on has the same digits.
        """
        if self._weights(h)[0] == 0.0:
            if self._mass is None or self._mass[0] is not system:
                self._mass = system, Jacobi(system)
                self.title = self._mass[1].title
            return self._mass[1]
        self.base = self.base or h
        level = round(float(np.log2(h / self.base)))
        made = self._levels.get(level)
        if made is None:
            start = clock.perf_counter()
            size = self.base * 2.0**level
            own = system if size == h else self._system(size)
            while len(self._levels) >= _KEPT:
                self._levels.pop(next(iter(self._levels)))
            made = self._levels[level] = Preconditioner(own, self.solver)
            self.setups += 1
            self.title, self.notes = made.title, made.notes
            self.seconds["set-up"] += clock.perf_counter() - start
        return made

    def _solve(
        self, system: System, precondition: Preconditioner, r: FloatArray, largest: float = 0.0
    ) -> Found:
        """x with A x = r, to a residual that is small against the largest force of the step."""
        start = clock.perf_counter()
        precondition.ended, precondition.spared = np.inf, 0  # what earlier solves saw must not change digits
        allowed = self.rtol * max(largest, float(np.sqrt(dot(r, r))))
        found = conjugate_gradients(
            system.apply, precondition, r, enough=lambda norm, _: norm <= allowed, most=_MOST
        )
        self.iterations += found.iterations
        self.seconds["solve"] += clock.perf_counter() - start
        return found


# Modal equations


@dataclass(frozen=True, eq=False)
class Recursion:
    """Exact steps of q'' + C q' + K q = p for p linear over the step.

    [q, v] after it = state @ [q, v] + now @ p0 + then @ p1; so is the integral of q over the step by `sums`.

    Parameters
    ----------
    h : float
        s.
    uncoupled : bool
        Whether each equation stands alone: arrays are then float64[m, 3, 4], one small matrix each; else
        float64[3 m, 4 m].
    table : float64[m, 3, 4] or float64[3 m, 4 m]
        From (q, v, p0, p1) to (q, v, integral of q).
    """

    h: float
    uncoupled: bool
    table: FloatArray

    @classmethod
    def of(cls, stiffness: FloatArray, damping: FloatArray, h: float) -> Recursion:
        """Of K as float64[m] (its diagonal) or float64[m, m], and C alike, over the unit mass."""
        if stiffness.ndim == 1 and damping.ndim == 1:
            return cls(h, True, _uncoupled(stiffness, damping, h))
        return cls(h, False, _coupled(_full(stiffness), _full(damping), h))

    def advance(
        self, q: FloatArray, v: FloatArray, p0: FloatArray, p1: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """q and v after the step, and the integral of q over it; float64[m] each."""
        if self.uncoupled:
            out = np.einsum("mij,jm->im", self.table, np.stack([q, v, p0, p1]))
        else:
            out = (self.table @ np.concatenate([q, v, p0, p1])).reshape(3, len(q))
        return out[0], out[1], out[2]


def _full(matrix: FloatArray) -> FloatArray:
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _uncoupled(k: FloatArray, c: FloatArray, h: float) -> FloatArray:
    from scipy.linalg import expm

    # In units of the step: time h, displacement h^2 p.
    m = len(k)
    a = np.zeros((m, 5, 5))  # q, v, p, change of p, integral of q
    a[:, 0, 1] = a[:, 1, 2] = a[:, 2, 3] = a[:, 4, 0] = 1.0
    a[:, 1, 0], a[:, 1, 1] = -k * h * h, -c * h
    # Fast equations: displacement in units of v over the frequency, so that no entry outgrows the others.
    scale = np.maximum(np.sqrt(np.maximum(k, 0.0)) * h, 1.0)
    unit = np.ones((m, 5))
    unit[:, 0] = unit[:, 4] = 1.0 / scale
    e = expm(a / unit[:, :, None] * unit[:, None, :]) * unit[:, :, None] / unit[:, None, :]
    rows = np.array([0, 1, 4])
    out = np.empty((m, 3, 4))
    out[:, :, :2] = e[:, rows, :2]
    out[:, :, 2] = e[:, rows, 2] - e[:, rows, 3]
    out[:, :, 3] = e[:, rows, 3]
    into = np.array([1.0, h, h * h, h * h])  # from q, v, p to the units of the step
    back = np.array([1.0, 1.0 / h, h])
    return np.asarray(out * into * back[:, None])


def _coupled(k: FloatArray, c: FloatArray, h: float) -> FloatArray:
    from scipy.linalg import expm

    m = len(k)
    a = np.zeros((5 * m, 5 * m))
    part = [slice(i * m, (i + 1) * m) for i in range(5)]
    one = np.eye(m)
    a[part[0], part[1]] = a[part[1], part[2]] = a[part[2], part[3]] = a[part[4], part[0]] = one
    a[part[1], part[0]], a[part[1], part[1]] = -k * h * h, -c * h
    scale = np.maximum(np.sqrt(np.maximum(np.diag(k), 0.0)) * h, 1.0)
    unit = np.ones(5 * m)
    unit[part[0]] = unit[part[4]] = 1.0 / scale
    e = expm(a / unit[:, None] * unit[None, :]) * unit[:, None] / unit[None, :]
    out = np.empty((3 * m, 4 * m))
    for i, (row, back) in enumerate(zip((0, 1, 4), (1.0, 1.0 / h, h), strict=True)):
        rows = e[part[row]] * back
        out[part[i], part[0]], out[part[i], part[1]] = rows[:, part[0]], h * rows[:, part[1]]
        out[part[i], part[2]] = h * h * (rows[:, part[2]] - rows[:, part[3]])
        out[part[i], part[3]] = h * h * rows[:, part[3]]
    return out


def hermite_energy(
    c: FloatArray, h: float, v0: FloatArray, a0: FloatArray, v1: FloatArray, a1: FloatArray
) -> float:
    """Integral of v C v over a step, J, with v the cubic of these ends; c float64[m] or float64[m, m]."""
    ends = np.stack([v0, h * a0, v1, h * a1])
    forces = ends * c if c.ndim == 1 else ends @ c
    weights = np.array([[156, 22, 54, -13], [22, 4, 13, -3], [54, 13, 156, -22], [-13, -3, -22, 4]]) / 420.0
    return float(h * np.einsum("ij,im,jm->", weights, ends, forces))
