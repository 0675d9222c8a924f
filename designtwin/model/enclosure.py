"""Enclosures: gray, diffuse surfaces that radiate to each other, and through openings to the ambient."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from designtwin.errors import ConvergenceError, ModelError
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.view_factors import ViewFactors, open_shares, product, view_factors
from designtwin.model.domains import Domain, NodalMatrices, Patch, facet_domain, facets_of
from designtwin.model.heat import STEFAN_BOLTZMANN, HeatLoad, check_emissivity, refuse_celsius
from designtwin.model.loads import On, settle
from designtwin.model.magnitude import Magnitude, MagnitudeLike
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show

if TYPE_CHECKING:
    from designtwin.model.model import Model

__all__ = ["BoundEnclosure", "Enclosure", "EnclosureReport"]

HOLE = 0.01
"""Share of what a facet sees that may be missing (or too much) where nothing is said of openings."""

_BLIND = 1e-3  # a facet that sees less than this of all others faces away
_ALL_AT_ONCE = 4000  # facets up to which radiosity is solved once for all temperatures
_RTOL = 1e-13
_MOST = 2000

_BOUND: weakref.WeakKeyDictionary[Model, dict[str, BoundEnclosure]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True, eq=False)
class Enclosure(HeatLoad):
    """Surfaces that radiate to each other: gray, diffuse, with a transparent medium in between.

    Each facet sees what lies in front of it; what stands in between is found by rays (in plane models, which
    are of infinite depth, by strings). Irradiation is constant over a facet, emission follows T^4 point by
    point. Row sums and reciprocity are told as computed (``bind(model).report``), then enforced, so that no
    heat is lost.

    Parameters
    ----------
    on : str or Selection, or a list of these
        Exterior faces; may be left out where ``emissivity`` names them all.
    emissivity : number, or mapping of group name to number
        Above 0 and at most 1; one for all, or one for each group of faces.
    ambient : temperature, optional
        Of the black surroundings seen through openings, with its unit: constant or over time. Without it the
        surfaces have to close.
    occlusion : bool
        Whether the outside of the mesh, on these faces and elsewhere, stands in the way.

    Raises
    ------
    ModelError
        If an emissivity is missing or outside of 0 to 1, two groups share a facet, or the ambient is a plain
        number that was most likely meant in degC. On binding: if a facet sees less than 0.99 and no ambient
        is stated, faces away from all others, or the model is axisymmetric.

    Source: Siegel and Howell, Thermal Radiation Heat Transfer, 4th ed. (2002), ch. 7.
    """

    on: On | None = None
    emissivity: Any = None
    ambient: MagnitudeLike | None = None
    occlusion: bool = True

    def __post_init__(self) -> None:
        if self.emissivity is None:
            raise ModelError(
                "Enclosure lacks its emissivity, which no one can guess: about 0.05 for polished metal, 0.8 "
                "for oxidized steel, 0.9 for paint of any color; state emissivity=0.9, or one for each group "
                "of faces: emissivity={'lid': 0.9, 'tray': 0.05}"
            )
        on: Any = self.on
        if isinstance(self.emissivity, Mapping):
            for name in self.emissivity:
                if not isinstance(name, str):
                    raise ModelError(
                        f"Enclosure: emissivity is given for {name!r}; names of groups are wanted"
                    )
            if not self.emissivity:
                raise ModelError("Enclosure: emissivity is an empty mapping; name a group of faces")
            emissivity: Any = {
                name: _share(e, f"'{name}' of an Enclosure") for name, e in self.emissivity.items()
            }
            on = list(emissivity) if on is None else on
        else:
            emissivity = _share(self.emissivity, "Enclosure")
        if on is None:
            raise ModelError("Enclosure needs on=..., the faces that see each other")
        object.__setattr__(self, "on", on)
        settle(self, emissivity=emissivity)
        if self.ambient is not None:
            refuse_celsius(self.ambient, f"{self.said}: its ambient")
            ambient = Magnitude.of(self.ambient, "temperature", name="Enclosure ambient")
            if ambient.depends_on not in (None, "time"):
                raise ModelError(
                    f"{self.said}: its ambient is one temperature, constant or over time; it depends on "
                    f"{ambient.depends_on}"
                )
            settle(self, ambient=ambient)

    @property
    def varies(self) -> frozenset[str]:
        """Always "temperature": the fourth power is not linear."""
        return super().varies | {"temperature"}

    def level_nodes(self, model: Model) -> IntArray:
        """See `HeatLoad.level_nodes`; see ``joined_nodes`` for an enclosure without openings."""
        return model.region(self.on).nodes

    def joined_nodes(self, model: Model) -> IntArray:
        """Nodes whose temperature it fixes only through other parts, int64[k]: all, where nothing is open."""
        return np.empty(0, np.int64) if self.ambient is not None else self.level_nodes(model)

    def heat_at(self, model: Model, temperature: FloatArray, time: float | None = None) -> FloatArray:
        """See `HeatLoad.heat_at`."""
        return self.bind(model).nodal_heat(temperature, time)

    def check(self, model: Model) -> None:
        """Raise ModelError if it makes no sense on this model; what facets see is found on binding."""
        if model.axisymmetric:
            raise ModelError(
                f"{self.said}: radiation between surfaces of an axisymmetric model is not there, since rings "
                "see around the axis; model a part of the ring in 3D, or state Radiation to an ambient"
            )
        facets = facets_of(model, self.on, self.said)
        outside = set(map(tuple, model.mesh.exterior.tolist()))
        inner = [facet for facet in map(tuple, facets.tolist()) if facet not in outside]
        if inner:
            raise ModelError(
                f"{self.said}: {len(inner)} of {len(facets)} facets lie inside the part, between two cells, "
                f"where nothing radiates; the first is {_placed(model.mesh, np.array(inner[0]))}"
            )
        self._emissivities(model, facets)
        if model.dimension == 2:
            thickness = model.cell_scale()[facets[:, 0]]
            if np.ptp(thickness) > 1e-9 * thickness.max():
                raise ModelError(
                    f"{self.said}: the faces are {show(thickness.min(), 'length')} to "
                    f"{show(thickness.max(), 'length')} thick; radiation between surfaces of a plane model "
                    "needs one thickness"
                )

    def _emissivities(self, model: Model, facets: IntArray) -> FloatArray:
        """Of each facet, float64[n]."""
        if not isinstance(self.emissivity, Mapping):
            return np.full(len(facets), float(self.emissivity))
        row = {facet: i for i, facet in enumerate(map(tuple, facets.tolist()))}
        out, named = np.full(len(facets), np.nan), np.full(len(facets), -1)
        names = list(self.emissivity)
        for k, name in enumerate(names):
            rows = [row[f] for f in map(tuple, facets_of(model, name, self.said).tolist()) if f in row]
            taken = [i for i in rows if named[i] >= 0 and out[i] != self.emissivity[name]]
            if taken:
                raise ModelError(
                    f"{self.said}: groups {names[named[taken[0]]]!r} and {name!r} share {len(taken)} facets "
                    "and have different emissivities"
                )
            out[rows], named[rows] = self.emissivity[name], k
        without = np.flatnonzero(np.isnan(out))
        if len(without):
            raise ModelError(
                f"{self.said}: {len(without)} of {len(facets)} facets have no emissivity, the first is "
                f"{_placed(model.mesh, facets[without[0]])}; emissivity names {names}"
            )
        return out

    def bind(self, model: Model) -> BoundEnclosure:
        """View factors of this model, closed and ready to exchange heat; computed once per geometry.

        Raises
        ------
        ModelError
            If a facet sees less than 0.99 of all around it and no ambient is stated, or faces away from all
            others, or facets overlap.
        """
        known = _BOUND.setdefault(model, {})
        key = self.content_key()
        if key not in known:
            self.check(model)
            facets = facets_of(model, self.on, self.said)
            factors = view_factors(model.mesh, facets, occlusion=self.occlusion)
            self._check_sums(model.mesh, facets, factors)
            open_ = np.zeros(len(facets))
            if self.ambient is not None:
                open_ = open_shares(model.mesh, facets, factors, occlusion=self.occlusion)
            known[key] = _bound(
                facet_domain(model, facets), [block.rows for block in model.mesh.facets(facets)], factors,
                open_, self._emissivities(model, facets), self.ambient, self.said,
            )  # fmt: skip
        return known[key]

    def _check_sums(self, mesh: Mesh, facets: IntArray, factors: ViewFactors) -> None:
        sums = factors.row_sums
        worst = int(np.argmin(sums))
        blind = np.flatnonzero(sums < _BLIND)
        if self.ambient is None and len(blind):
            raise ModelError(
                f"{self.said}: {len(blind)} of {len(facets)} facets face away from all others and see none "
                f"of them, the first is {_placed(mesh, facets[blind[0]])}. Leave them out, or state what is "
                "seen through openings, as ambient='25 degC'"
            )
        if self.ambient is None and sums[worst] < 1.0 - HOLE:
            n_open = int((sums < 1.0 - HOLE).sum())
            raise ModelError(
                f"{self.said}: the enclosure has a hole: {n_open} of {len(facets)} facets see less than "
                f"{1 - HOLE:g} of all around them; the worst is {_placed(mesh, facets[worst])}, whose view "
                f"factors add up to {sums[worst]:.4f}. Add the faces that are missing, or state what is seen "
                "through the hole, as ambient='25 degC'"
            )
        most = int(np.argmax(sums))
        if sums[most] > 1.0 + HOLE:
            hint = "" if self.occlusion else " and occlusion=False lets them see through each other"
            raise ModelError(
                f"{self.said}: the view factors of {_placed(mesh, facets[most])} add up to {sums[most]:.4f}: "
                f"facets overlap or go through each other{hint}"
            )


def _share(value: Any, who: str) -> float:
    magnitude = Magnitude.of(value, "dimensionless", name=f"emissivity of {who}")
    if not magnitude.is_constant:
        raise ModelError(
            f"emissivity of {who}: surfaces that see each other are gray; one constant is wanted, not one "
            f"that depends on {magnitude.depends_on}"
        )
    check_emissivity(magnitude, who)
    return float(magnitude)


def _placed(mesh: Mesh, facet: IntArray) -> str:
    """A facet in words, with the groups it is in."""
    cell, local = int(facet[0]), int(facet[1])
    _, center = mesh.facet_vectors(facet.reshape(1, 2))
    names = [
        repr(name)
        for name, group in mesh.groups.items()
        if group.facets is not None and (group.facets == facet).all(axis=1).any()
    ]
    where = f" of {' and '.join(names)}" if names else ""
    return f"facet {local} of cell {cell}{where} at {show(center[0], 'length')}"


@dataclass(frozen=True, eq=False)
class EnclosureReport:
    """What view factors were before anything was enforced.

    Parameters
    ----------
    facets : int
    area : float
        m^2.
    lowest, highest, mean : float
        Of the row sums, the sum over j of F_ij; 1 if closed.
    closure : float
        Largest distance of a row sum, with what is seen through openings (found by rays), from 1.
    reciprocity : float
        Sum of |A_i F_ij - A_j F_ji| over that of A_i F_ij, each computed alone, over ``pairs`` pairs.
    pairs : int
    opening : float
        Exchange area with the ambient, m^2; 0 without one.
    self_seen : float
        Largest share of a row that scaling could not close and a facet now sees of itself.
    """

    facets: int
    area: float
    lowest: float
    highest: float
    mean: float
    closure: float
    reciprocity: float
    pairs: int
    opening: float
    self_seen: float

    def __str__(self) -> str:
        text = (
            f"{self.facets:,} facets, {show(self.area, 'area')}; as computed, view factors of a facet add up "
            f"to {self.lowest:.4f} to {self.highest:.4f} (mean {self.mean:.4f}), and A_i F_ij differs from "
            f"A_j F_ji by {self.reciprocity:.1e} of their sum ({self.pairs:,} pairs)"
        )
        if self.opening > 0.0:
            return text + (
                f"; with the ambient, of which {show(self.opening, 'area')} are seen, they close to "
                f"{self.closure:.1e}; both are enforced"
            )
        return text + "; both are enforced"


@dataclass(frozen=True, eq=False)
class BoundEnclosure:
    """An enclosure on a model: heat between its facets at given temperatures.

    Parameters
    ----------
    domain : Domain
        Integration points of its facets.
    rows : tuple of int64[k]
        Facet number of each row of each patch.
    area, emissivity : float64[n]
        Of the facets; m^2.
    factors : ViewFactors
    scale : float64[n]
        Exchange areas are scale_i A_i F_ij scale_j, m^2.
    own, opening : float64[n]
        What a facet sees of itself beyond that, and of the ambient, m^2.
    ambient : Magnitude, optional
    who : str
    report : EnclosureReport
    reflected : float64[n (n + 1) / 2], optional
        Exchange areas that count reflections, for few facets: packed, in the order of ``factors``, m^2.
    """

    domain: Domain
    rows: tuple[IntArray, ...]
    area: FloatArray
    emissivity: FloatArray
    factors: ViewFactors
    scale: FloatArray
    own: FloatArray
    opening: FloatArray
    ambient: Magnitude | None
    who: str
    report: EnclosureReport
    reflected: FloatArray | None

    def nodal_heat(self, temperature: FloatArray, time: float | None = None) -> FloatArray:
        """Heat into the nodes, float64[n_points], W.

        Parameters
        ----------
        temperature : float64[n_points]
            K.
        time : float, optional
            s; needed where the ambient varies in time.
        """
        emitted = [STEFAN_BOLTZMANN * t * np.abs(t) ** 3 for t in self._at_points(temperature)]
        irradiation = self.irradiation(self._mean(emitted), self._of_ambient(time))
        return self._spread(irradiation, emitted)

    def matrices(self, temperature: FloatArray, time: float | None = None) -> list[NodalMatrices]:
        """The local part of -d(heat)/dT, own emission: the integral of N 4 eps sigma T^3 N, W/K."""
        from designtwin.kernels.surface import facet_matrices

        out = []
        for patch, rows, slope in zip(self.domain.patches, self.rows, self._slopes(temperature), strict=True):
            value = self.emissivity[rows][:, None] * slope * patch.measure
            matrices = np.empty((len(rows), patch.conn.shape[1], patch.conn.shape[1]))
            facet_matrices(patch.shape, np.ascontiguousarray(value[:, :, None, None]), matrices)
            out.append(NodalMatrices(patch.conn, matrices))
        return out

    def tangent(
        self, temperature: FloatArray, time: float | None = None, *, transposed: bool = False
    ) -> Callable[[FloatArray], FloatArray]:
        """All of -d(heat)/dT at given temperatures, as a product: float64[n_points] (K) to the same (W).

        Transposed for adjoints: exchange between facets is symmetric, so that the slope of emission moves
        from the facets that emit to those that receive.
        """
        slopes = self._slopes(temperature)

        def apply(v: FloatArray) -> FloatArray:
            change = self._at_points(v)
            if not transposed:
                change = [slope * one for slope, one in zip(slopes, change, strict=True)]
            times = slopes if transposed else None
            return -self._spread(self.irradiation(self._mean(change), 0.0), change, times)

        return apply

    def irradiation(self, emitted: FloatArray, ambient: float = 0.0) -> FloatArray:
        """Irradiation of each facet from black-body emissive powers, float64[n], W/m^2.

        Solves H = F (eps E + (1 - eps) H) + (opening / area) E_ambient.

        Parameters
        ----------
        emitted : float64[n]
            sigma T^4, mean over each facet, W/m^2.
        ambient : float
            That of the ambient, W/m^2.

        Raises
        ------
        ConvergenceError
            If conjugate gradients do not converge.
        """
        direct = self._exchange(self.emissivity * emitted) + self.opening * ambient
        gray = np.sqrt(1.0 - self.emissivity)
        if not gray.any():
            return direct / self.area
        if self.reflected is not None:
            order = self.factors.order
            source = np.empty_like(direct)
            source[order] = product(self.reflected, (direct / self.area * gray**2)[order])
            return (direct + source) / self.area
        z = self._solve(gray, gray * direct)
        return (direct + self._exchange(gray * z)) / self.area

    def _exchange(self, x: FloatArray) -> FloatArray:
        """Exchange areas times x, float64[n]."""
        return self.scale * self.factors.apply(self.scale * x) + self.own * x

    def _solve(self, gray: FloatArray, right: FloatArray) -> FloatArray:
        """z with (A - gray G gray) z = right, by conjugate gradients; its condition is (1 + r) / (1 - r)."""

        def apply(x: FloatArray) -> FloatArray:
            return self.area * x - gray * self._exchange(gray * x)

        x = right / self.area
        residual = right - apply(x)
        wanted = _RTOL * float(np.sqrt(right @ (right / self.area)))
        z = residual / self.area
        direction, rz = z, float(residual @ z)
        for _ in range(_MOST):
            if np.sqrt(rz) <= wanted:
                return x
            applied = apply(direction)
            step = rz / float(direction @ applied)
            x = x + step * direction
            residual = residual - step * applied
            z = residual / self.area
            rz, before = float(residual @ z), rz
            direction = z + (rz / before) * direction
        raise ConvergenceError(
            f"{self.who}: radiosity did not converge in {_MOST} iterations; nearly all surfaces reflect "
            f"(least emissivity {self.emissivity.min():g})"
        )

    def _at_points(self, nodal: FloatArray) -> list[FloatArray]:
        return [nodal[patch.conn] @ patch.shape.T for patch in self.domain.patches]

    def _slopes(self, temperature: FloatArray) -> list[FloatArray]:
        return [4.0 * STEFAN_BOLTZMANN * np.abs(t) ** 3 for t in self._at_points(temperature)]

    def _mean(self, at_points: list[FloatArray]) -> FloatArray:
        """Means over facets, float64[n]."""
        out = np.empty(len(self.area))
        for patch, rows, value in zip(self.domain.patches, self.rows, at_points, strict=True):
            out[rows] = np.einsum("fq,fq->f", value, patch.measure)
        return out / self.area

    def _spread(
        self, irradiation: FloatArray, emitted: list[FloatArray], times: list[FloatArray] | None = None
    ) -> FloatArray:
        """Nodal heat of what facets absorb less what points emit, times so much, float64[n_points], W."""
        density = {
            id(patch): self.emissivity[rows][:, None] * (irradiation[rows][:, None] - value)
            for patch, rows, value in zip(self.domain.patches, self.rows, emitted, strict=True)
        }
        for patch, factor in zip(self.domain.patches, times or (), strict=times is not None):
            density[id(patch)] = density[id(patch)] * factor

        def of(patch: Patch) -> FloatArray:
            return density[id(patch)][..., None]

        return self.domain.spread(of, 1)[:, 0]

    def _of_ambient(self, time: float | None) -> float:
        if self.ambient is None:
            return 0.0
        return STEFAN_BOLTZMANN * float(self.ambient.at(time=time)) ** 4


def _bound(
    domain: Domain, rows: list[IntArray], factors: ViewFactors, open_: FloatArray, emissivity: FloatArray,
    ambient: MagnitudeLike | None, who: str,
) -> BoundEnclosure:  # fmt: skip
    """Close the view factors: exchange areas of a facet and its share of the ambient add up to its area."""
    area = np.empty(len(factors))
    for patch, of in zip(domain.patches, rows, strict=True):
        area[of] = patch.measure.sum(axis=1)
    seen = area * (1.0 - open_)
    scale = _closing(factors, seen, np.sqrt(area / factors.area))
    sums = scale * factors.apply(scale)
    scale = scale * np.minimum(1.0, seen / np.maximum(sums, 1e-300))
    # What scaling could not close goes to the ambient where some is seen, else to the facet itself.
    left = area - scale * factors.apply(scale)
    opening = np.where(open_ > 0.0, left, 0.0)
    own = left - opening
    sums = factors.row_sums
    report = EnclosureReport(
        len(factors), float(area.sum()), float(sums.min()), float(sums.max()),
        float(np.average(sums, weights=factors.area)), float(np.abs(sums + open_ - 1.0).max()),
        factors.reciprocity, factors.pairs, float(opening.sum()), float((own / area).max()),
    )  # fmt: skip
    assert ambient is None or isinstance(ambient, Magnitude)
    return BoundEnclosure(
        domain, tuple(rows), area, emissivity, factors, scale, own, opening, ambient, who, report,
        _reflected(factors, area, emissivity, scale, own),
    )  # fmt: skip


def _closing(factors: ViewFactors, area: FloatArray, scale: FloatArray) -> FloatArray:
    """Symmetric scaling after which rows of exchange areas add up to what they should, float64[n].

    Newton's method on s_i sum_j A_i F_ij s_j = A_i; each step is a product with a symmetric matrix inverted
    by conjugate gradients. Where no scaling does it (two plates of different areas that see nothing else) the
    best one is returned.
    """

    def sums(s: FloatArray) -> FloatArray:
        return s * factors.apply(s)

    row = sums(scale)
    most = float(area.max(initial=0.0))
    error = float(np.abs(area - row).max()) / most if most > 0.0 else 0.0
    for _ in range(10):
        if error < 1e-14:
            break
        diagonal = np.maximum(row, 1e-12 * most)
        rest = area - row
        x, z = np.zeros_like(rest), rest / diagonal
        direction, rz = z, float(rest @ z)
        start = rz
        for _ in range(30):
            if rz <= 1e-6 * start:
                break
            applied = diagonal * direction + scale * factors.apply(scale * direction)
            bend = float(direction @ applied)
            if bend <= 1e-9 * float(direction @ (diagonal * direction)):
                break  # nothing to gain that way: one side's sum is the other's
            step = rz / bend
            x, rest = x + step * direction, rest - step * applied
            z = rest / diagonal
            rz, before = float(rest @ z), rz
            direction = z + (rz / before) * direction
        better = scale * (1.0 + x.clip(-0.3, 0.3))
        row = sums(better)
        now = float(np.abs(area - row).max()) / most
        if now >= error:
            break
        scale, error = better, now
    return scale


def _reflected(
    factors: ViewFactors, area: FloatArray, emissivity: FloatArray, scale: FloatArray, own: FloatArray
) -> FloatArray | None:
    """G + G r G + ... with r = (1 - eps) / A: exchange by any number of reflections, packed; few facets."""
    from scipy.linalg import lapack

    n = len(factors)
    if n > _ALL_AT_ONCE or not (emissivity < 1.0).any():
        return None
    order = factors.order
    exchange = np.zeros((n, n))
    exchange[np.tril_indices(n)] = factors.packed
    exchange += np.tril(exchange, -1).T
    exchange *= scale[order][:, None] * scale[order]
    exchange[np.diag_indices(n)] += own[order]
    gray = np.sqrt(1.0 - emissivity)[order]
    # P = (1 - G r)^-1 G is symmetric: G + G s (A - s G s)^-1 s G, s = sqrt(1 - eps).
    matrix = np.diag(area[order]) - gray[:, None] * exchange * gray
    factor, info = lapack.dpotrf(matrix, lower=1)
    assert info == 0, "emissivities are positive, so the matrix is dominated by its diagonal"
    right = gray[:, None] * exchange
    solved, _ = lapack.dpotrs(factor, right, lower=1)
    full = exchange + right.T @ solved
    return np.ascontiguousarray((0.5 * (full + full.T))[np.tril_indices(n)])
