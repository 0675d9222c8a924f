"""Model: mesh, materials, supports and load cases, bound together and checked once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np

from designtwin.elements import ELEMENTS
from designtwin.errors import (
    DesignTwinError,
    MissingPropertyError,
    ModelError,
    SelectionError,
    did_you_mean,
)
from designtwin.io.points import PointCloud
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.selections import Region, Selection, select
from designtwin.model import contact as contact  # so that plain data knows its types
from designtwin.model import enclosure as enclosure  # likewise, and those of heat
from designtwin.model.connections import Connection, equations_of
from designtwin.model.domains import said
from designtwin.model.loads import Load, place, resultant
from designtwin.model.magnitude import Magnitude, MagnitudeLike, nodal
from designtwin.model.materials import ROOM_TEMPERATURE, Material
from designtwin.model.sections import Axisymmetric, Section, Solid
from designtwin.model.supports import InertiaBalance, InertiaRelief, PointMass, Support, check_compatible
from designtwin.plain import Plain
from designtwin.typing import FloatArray, IntArray
from designtwin.units import show, to_si

Item: TypeAlias = "Load | Support | Temperature"


@dataclass(frozen=True, eq=False)
class Temperature(Plain):
    """Temperature as a state of a load case: it strains the part and sets its properties.

    Parameters
    ----------
    value : temperature, field, array float64[n_points] in K, or a thermal case
        What solved it may be given as it is: ``Temperature(solve_thermal(model)["hot"])``, and so may what
        ``transfer`` brought from another mesh. A transient case, ``nodal(values, times)`` or a table over
        time makes the load case a history: it is solved at every instant.
    reference : temperature, or a mapping of part to temperature
        At which the part is free of stress; where parts differ ``{"die": "183 degC", "base": "23 degC"}``, by
        the names that the model's materials go by.
    """

    value: Any
    reference: Any = 293.15
    _mesh: Mesh | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_mesh", getattr(self.value, "mesh", None))
        object.__setattr__(self, "value", _temperatures(self.value))
        if isinstance(self.reference, Mapping):
            if not self.reference or not all(isinstance(part, str) for part in self.reference):
                raise ModelError("Temperature reference: parts go by name, as {'die': '23 degC'}")
            reference: Any = {part: self._free_at(one) for part, one in self.reference.items()}
        else:
            reference = self._free_at(self.reference)
        object.__setattr__(self, "reference", reference)

    def _free_at(self, given: Any) -> float:
        reference = to_si(given, "temperature", name="Temperature reference")
        if not isinstance(reference, float):
            raise ModelError(f"Temperature reference: one temperature is wanted, got {given!r}")
        return reference

    @property
    def times(self) -> FloatArray:
        """Instants of a history, float64[k], s, ascending; none of a steady state."""
        if self.value.over != "time":
            return np.empty(0)
        knots: FloatArray = self.value.knots
        return knots

    def at(self, time: float) -> Temperature:
        """The state at one time, s; linear between the instants of a history."""
        if not len(self.times):
            return self
        out = replace(self, value=self.value.frozen(time))
        object.__setattr__(out, "_mesh", self._mesh)
        return out

    def at_nodes(self, model: Model) -> FloatArray:
        """Temperature of every mesh point, float64[n_points], K.

        Raises
        ------
        ModelError
            If it is a history: ``at(time)`` is steady.
        """
        return np.broadcast_to(self.value.at(points=model.mesh.points), (model.mesh.n_points,)).copy()

    def check(self, model: Model) -> None:
        """Raise ModelError if the values do not fit the model's mesh, or a part has no reference."""
        other = self._mesh
        if other is not None and other is not model.mesh and not _same_nodes(other, model.mesh):
            raise ModelError(
                f"its values belong to another mesh ({other.n_points:,} nodes; the model's has "
                f"{model.mesh.n_points:,}, or elsewhere): bring them over with "
                "Temperature(dtw.transfer(case, model.mesh))"
            )
        self.at(float(self.times[0]) if len(self.times) else 0.0).at_nodes(model)
        self.references(model)

    def references(self, model: Model) -> FloatArray:
        """Stress-free temperature of each part, float64[n_parts], K.

        Raises
        ------
        ModelError
            If the reference goes by parts and names one the model lacks, or leaves one out.
        """
        names = [part.name for part in model.parts]
        if not isinstance(self.reference, Mapping):
            return np.full(len(names), float(self.reference))
        for name in self.reference:
            if name not in names:
                raise ModelError(
                    f"reference names the part {name!r}{did_you_mean(name, names)}; parts go by the names in "
                    f"materials: {', '.join(map(repr, names))}"
                )
        for name in names:
            if name not in self.reference:
                raise ModelError(f"reference leaves out the part {name!r}; state where it is free of stress")
        return np.array([self.reference[name] for name in names])

    @property
    def said(self) -> str:
        """The state in a sentence."""
        if isinstance(self.reference, Mapping):
            each = [f"{show(one, 'temperature')} ({part})" for part, one in self.reference.items()]
            return f"Temperature {self.value}, free of stress at {', '.join(each)}"
        return f"Temperature {self.value}, free of stress at {show(self.reference, 'temperature')}"


def _temperatures(given: Any) -> Magnitude:
    """What a user gave for a temperature as a magnitude; a solved history without copies of it."""
    times = getattr(given, "times", None)
    if times is not None and hasattr(given, "frames"):
        # A transient case: instants are read one by one, as they may lie on disk.
        values = np.empty((len(times), given.mesh.n_points))
        for row, frame in zip(values, given.frames, strict=True):
            row[:] = frame.temperature
        given, times = (values[0], None) if len(times) == 1 else (values, times)
    elif hasattr(given, "temperature"):
        given = given.temperature
    elif isinstance(given, PointCloud):
        raise ModelError("Temperature value is a point cloud; bring it to the mesh: transfer(cloud, mesh)")
    elif getattr(given, "by_case", None):
        raise ModelError(
            f"Temperature value: a result of {len(given.by_case)} cases; say which: "
            f"result[{next(iter(given.by_case))!r}]"
        )
    if isinstance(given, np.ndarray) and given.ndim == 1:
        given = nodal(given)
    elif isinstance(given, np.ndarray) and given.ndim == 2 and times is not None:
        for array in (given, times):
            array.setflags(write=False)
        return Magnitude(
            dimension="temperature", kind="nodal", values=given, over="time", knots=times,
            name="Temperature value",
        )  # fmt: skip
    value = Magnitude.of(given, "temperature", name="Temperature value")
    if value.depends_on == "temperature":
        raise ModelError("Temperature value is stated over temperature; over time is what makes sense here")
    if value.over == "time" and value.kind == "function":
        raise ModelError(
            "Temperature value is a function of time, which has no instants at which to look at the stress; "
            "state it as table(over='time', ...) or nodal(values, times)"
        )
    return value


def _same_nodes(a: Mesh, b: Mesh) -> bool:
    return a.points.shape == b.points.shape and bool((a.points == b.points).all())


@dataclass(frozen=True, eq=False)
class Combination(Plain):
    """Load cases added with factors; see ``combine``."""

    factors: Mapping[str, float]

    def __str__(self) -> str:
        return " + ".join(f"{factor:g} × {name}" for name, factor in self.factors.items())


def combine(cases: Mapping[str, float] | None = None, /, **factors: float) -> Combination:
    """A load case that is the sum of others, each times a factor.

    Parameters
    ----------
    cases : mapping of case name to factor, optional
        For names that are no Python words: ``combine({"lift 2": 1.35})``.
    **factors : float
        ``combine(lift=1.35, brake=1.5)``.
    """
    both = {**(cases or {}), **factors}
    if not both:
        raise ModelError("combine: name at least one load case, as in combine(lift=1.35, brake=1.5)")
    return Combination(
        {name: float(to_si(f, "dimensionless", name=f"combine {name}")) for name, f in both.items()}
    )


@dataclass(frozen=True, eq=False)
class Part:
    """Cells of one section.

    Parameters
    ----------
    name : str
        The group, or the rule in words.
    section : Section
    cells : int64[k]
    """

    name: str
    section: Section
    cells: IntArray


@dataclass(frozen=True, eq=False)
class LoadCase:
    """What acts in one case, sorted by physics.

    Parameters
    ----------
    name : str
    loads, heat_loads : tuple of Load
    supports, heat_supports : tuple of Support
        In addition to the model's own.
    temperature : Temperature, optional
    stiffness_varies : bool
        Whether a material's stiffness depends on temperature.
    """

    name: str
    loads: tuple[Load, ...] = ()
    heat_loads: tuple[Load, ...] = ()
    supports: tuple[Support, ...] = ()
    heat_supports: tuple[Support, ...] = ()
    temperature: Temperature | None = None
    stiffness_varies: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        """All that was stated, as one list."""
        state = () if self.temperature is None else (self.temperature,)
        loads = (load for load in self.loads if not isinstance(load, InertiaBalance))
        return (*loads, *self.heat_loads, *self.supports, *self.heat_supports, *state)

    @property
    def is_thermal(self) -> bool:
        return bool(self.heat_loads or self.heat_supports)

    @property
    def is_static(self) -> bool:
        """Anything mechanical in it, or nothing at all."""
        return bool(self.loads or self.supports or self.temperature) or not self.is_thermal

    @property
    def times(self) -> FloatArray:
        """Instants at which a history is solved, float64[k], s; none of a steady case."""
        return np.empty(0) if self.temperature is None else self.temperature.times

    def at(self, time: float) -> LoadCase:
        """The case at one time, s: its temperature as it is then."""
        return self if self.temperature is None else replace(self, temperature=self.temperature.at(time))

    def setup_key(self) -> str:
        """Equal for cases of equal supports and stiffness, which can share one factorization."""
        parts = [support.content_key() for support in self.supports]
        if self.stiffness_varies and self.temperature is not None:
            parts.append(self.temperature.content_key())
        return hashlib.sha256(json.dumps(sorted(parts)).encode()).hexdigest()


@dataclass(frozen=True, eq=False, repr=False)
class Model:
    """A part as it will be tested: what it is made of, what holds it, what acts on it.

    One model holds statics and heat; an analysis takes what is its own.

    Parameters
    ----------
    mesh : Mesh
    materials : mapping of group or selection to Material or Section
        A bare material on solid cells is ``Solid(material)``.
    supports : sequence of Support
        They hold in every case.
    load_cases : mapping of name to a list of loads, supports and a Temperature, or to ``combine(...)``
    name : str
    connections : sequence of Connection
        What joins parts without common nodes, in every case: ``Tie``, ``RigidLink`` ...

    Raises
    ------
    ModelError
        If it contradicts itself: a group the mesh lacks, cells without material or with two, a load that
        makes no sense in this dimension, supports that prescribe different values, an unknown case in a
        combination. The message says which item, where, and what to do.
    """

    mesh: Mesh
    materials: Mapping[Any, Any] = field(default_factory=dict)
    supports: Sequence[Support] = ()
    load_cases: Mapping[str, Sequence[Item] | Combination] = field(default_factory=dict)
    name: str = ""
    connections: Sequence[Connection] = ()
    heat_supports: tuple[Support, ...] = field(init=False, default=())
    parts: tuple[Part, ...] = field(init=False, default=())
    part_of_cell: IntArray = field(init=False)
    cases: dict[str, LoadCase] = field(init=False, default_factory=dict)
    combinations: dict[str, dict[str, float]] = field(init=False, default_factory=dict)

    type_name: ClassVar[str] = "Model"

    def __post_init__(self) -> None:
        if not isinstance(self.mesh, Mesh):
            raise ModelError(
                f"Model: the first argument is a mesh, as read_mesh returns it; got {_kind(self.mesh)}"
            )
        self._bind_materials()
        self._bind_supports()
        self._bind_connections()
        self._bind_cases()
        self._check_items()
        self._bind_combinations()

    # Binding

    def _bind_materials(self) -> None:
        if not isinstance(self.materials, Mapping) or not self.materials:
            raise ModelError(
                'Model: materials says what each group of cells is made of, as {"body": material("S355")}; '
                f"the mesh has the cell groups {self._cell_groups() or 'none: use everything()'}"
            )
        parts: list[Part] = []
        of_cell = np.full(self.mesh.n_cells, -1, np.int64)
        materials: dict[Any, Section] = {}
        for on, given in self.materials.items():
            on = place(on, "materials")
            cells = self._cells(on, f"material {_label(given)}")
            if not len(cells):
                raise ModelError(
                    f"material {_label(given)} is given to {said(on)}, which holds no cells; "
                    f"cell groups of the mesh: {self._cell_groups() or 'none: use everything()'}"
                )
            section = self._section(on, given, cells)
            taken = of_cell[cells]
            if (taken >= 0).any():
                other = parts[int(taken[taken >= 0][0])]
                raise ModelError(
                    f"{int((taken >= 0).sum()):,} cells have two materials: they are in "
                    f"{_quoted(other.name)} ({_label(other.section)}) and in {said(on)} ({_label(given)}); "
                    f"take them out of one, as in group({said(on)}) - {_quoted(other.name)}"
                )
            of_cell[cells] = len(parts)
            parts.append(Part(on if isinstance(on, str) else str(on), section, cells))
            materials[on] = section
        rest = np.flatnonzero(of_cell < 0)
        if len(rest):
            raise ModelError(self._without_material(rest))
        flat = [part for part in parts if isinstance(part.section, Axisymmetric)]
        if flat and len(flat) < len(parts):
            other = next(part for part in parts if not isinstance(part.section, Axisymmetric))
            raise ModelError(
                f"{_quoted(flat[0].name)} is axisymmetric and {_quoted(other.name)} is not; all parts of a "
                "model are, or none"
            )
        of_cell.setflags(write=False)
        object.__setattr__(self, "materials", materials)
        object.__setattr__(self, "parts", tuple(parts))
        object.__setattr__(self, "part_of_cell", of_cell)

    def _cells(self, on: Any, who: str) -> IntArray:
        """Cells of a group or selection; a group's own, without looking at its faces."""
        if isinstance(on, str) and on in self.mesh.groups:
            own = self.mesh.groups[on].cells
            return np.empty(0, np.int64) if own is None else own
        return self._resolve(on, who).cells

    def _section(self, on: Any, given: Any, cells: IntArray) -> Section:
        """The section of a group, checked against the dimension of its cells."""
        names = [name for name, _ in self.mesh.rows_by_block(cells)]
        dimensions = {ELEMENTS[name].dimension for name in names}
        where = f"material {_label(given)} on {said(on)}"
        if isinstance(given, Material):
            if dimensions == {3}:
                return Solid(given)
            if dimensions == {2}:
                raise ModelError(
                    f"{where}: the mesh is plane, so say what the plane stands for: "
                    'PlaneStress(material, thickness="5 mm"), PlaneStrain(material) or Axisymmetric(material)'
                )
            raise ModelError(f'{where}: line cells need a cross-section: Truss(material, area="20 mm2")')
        if not isinstance(given, Section):
            raise ModelError(
                f'{said(on)} is given {_kind(given)}; a material such as material("S355") or a section '
                "such as PlaneStress(material, thickness=...) is wanted"
            )
        wanted = given.dimension
        wrong = [name for name in names if ELEMENTS[name].dimension != wanted]
        if wrong:
            fits = {3: "Solid", 2: "PlaneStress, PlaneStrain or Axisymmetric", 1: "Truss"}
            raise ModelError(
                f"{where}: {type(given).__name__} is for cells of dimension {wanted}, but {said(on)} has "
                f"{wrong[0]!r} cells; use {fits[ELEMENTS[wrong[0]].dimension]}"
            )
        if wanted == 2 and not self.mesh.is_plane:
            raise ModelError(
                f"{where}: plane cells lie in z = 0, and this mesh is a surface in space; fill its volume "
                "with solid cells first (shells are not part of designtwin yet)"
            )
        if isinstance(given, Axisymmetric) and self.mesh.extents[0, 0] < -1e-9 * self.mesh.size:
            raise ModelError(
                f"{where}: an axisymmetric part lies at x >= 0 (x is the radius, y the axis), but this mesh "
                f"begins at x = {show(self.mesh.extents[0, 0], 'length')}"
            )
        return given

    def _without_material(self, rest: IntArray) -> str:
        holders = [
            name for name, group in self.mesh.groups.items()
            if group.cells is not None and len(group.cells) and np.isin(group.cells, rest).all()
        ]  # fmt: skip
        text = (
            f"{len(rest):,} of {self.mesh.n_cells:,} cells have no material; the first is cell {rest[0]} "
            f"near {show(self.mesh.cell_centers[rest[0]], 'length')}"
        )
        if holders:
            named = ", ".join(map(repr, holders[:5]))
            one = f"{{{holders[0]!r}: material(...)}}"
            return f"{text}. They are in {named}: add {one} to materials"
        return (
            f"{text}. No group holds them alone: add a material for a selection of them, or for everything()"
        )

    def _cell_groups(self) -> list[str]:
        return [n for n, g in self.mesh.groups.items() if g.cells is not None and len(g.cells)]

    def _bind_supports(self) -> None:
        given: list[Any] = [self.supports] if isinstance(self.supports, Support) else list(self.supports)
        for item in given:
            if not isinstance(item, Support):
                hint = "; loads go into load_cases" if isinstance(item, Load | Temperature) else ""
                raise ModelError(f"supports holds {_kind(item)}, which is no support{hint}")
        object.__setattr__(self, "supports", tuple(s for s in given if s.physics == "static"))
        object.__setattr__(self, "heat_supports", tuple(s for s in given if s.physics != "static"))

    def _bind_connections(self) -> None:
        one = isinstance(self.connections, Connection)
        given: list[Any] = [self.connections] if one else list(self.connections)
        for item in given:
            if not isinstance(item, Connection):
                hint = "; it goes into supports" if isinstance(item, Support) else ""
                raise ModelError(f"connections holds {_kind(item)}, which is no connection{hint}")
        twice = [item for i, item in enumerate(given) if item in given[:i]]
        if twice:
            raise ModelError(f"connections: {twice[0].said} is stated twice; once is enough")
        object.__setattr__(self, "connections", tuple(given))

    def _bind_cases(self) -> None:
        if not isinstance(self.load_cases, Mapping):
            raise ModelError(
                'load_cases is a dictionary by name: {"lift": [Force(...), Gravity()]}; '
                f"got {_kind(self.load_cases)}"
            )
        varies = any(part.section.material.depends_on_temperature("stiffness") for part in self.parts)
        cases = {}
        for name, items in self.load_cases.items():
            if not isinstance(name, str) or not name:
                raise ModelError(f"load case {name!r}: a name is text")
            if isinstance(items, Combination):
                continue
            cases[name] = self._case(name, [items] if isinstance(items, Plain) else items, varies)
        object.__setattr__(self, "load_cases", dict(self.load_cases))
        object.__setattr__(self, "cases", cases)

    def _case(self, name: str, items: Any, varies: bool) -> LoadCase:
        if isinstance(items, str) or not isinstance(items, Sequence):
            raise ModelError(
                f"load case {name!r} holds {_kind(items)}; a list of loads is wanted, or combine(...)"
            )
        states = [item for item in items if isinstance(item, Temperature)]
        if len(states) > 1:
            raise ModelError(f"load case {name!r} has {len(states)} temperatures; a part has one at a time")
        for item in items:
            if isinstance(item, PointMass):
                raise ModelError(
                    f"load case {name!r}: {item.said} is part of the model in every case; "
                    "put it among the model's supports="
                )
            if not isinstance(item, Load | Support | Temperature):
                raise ModelError(
                    f"load case {name!r} holds {_kind(item)}; loads, supports and a Temperature are wanted"
                )
        loads = [item for item in items if isinstance(item, Load)]
        supports = [item for item in items if isinstance(item, Support)]
        static = [item for item in supports if item.physics == "static"]
        if any(isinstance(s, InertiaRelief) for s in (*self.supports, *static)):
            others = [s for s in static if not isinstance(s, InertiaRelief)]
            if others:
                raise ModelError(
                    f"load case {name!r}: with InertiaRelief nothing else holds the part, but the case has "
                    f"{others[0].said}; planes of symmetry go among the model's supports="
                )
            forces = tuple(x for x in loads if x.physics == "static")
            loads.append(InertiaBalance(loads=forces))
        return LoadCase(
            name,
            loads=tuple(x for x in loads if x.physics == "static"),
            heat_loads=tuple(x for x in loads if x.physics != "static"),
            supports=tuple(x for x in supports if x.physics == "static"),
            heat_supports=tuple(x for x in supports if x.physics != "static"),
            temperature=states[0] if states else None,
            stiffness_varies=varies,
        )

    def _bind_combinations(self) -> None:
        stated = {n: c for n, c in self.load_cases.items() if isinstance(c, Combination)}
        flat: dict[str, dict[str, float]] = {}

        def expand(name: str, above: tuple[str, ...]) -> dict[str, float]:
            if name in above:
                raise ModelError(f"combination {name!r} holds itself: {' > '.join((*above, name))}")
            out: dict[str, float] = {}
            for part, factor in stated[name].factors.items():
                if part not in self.load_cases:
                    hint = did_you_mean(part, self.load_cases)
                    raise ModelError(
                        f"combination {name!r} names the load case {part!r}, which does not exist"
                        f"{hint or '.'} There are: {[n for n in self.load_cases if n != name]}"
                    )
                inner = expand(part, (*above, name)) if part in stated else {part: 1.0}
                for case, share in inner.items():
                    out[case] = out.get(case, 0.0) + factor * share
            return out

        for name in stated:
            flat[name] = expand(name, ())
            for case in flat[name]:
                if not self.cases[case].is_static:
                    raise ModelError(
                        f"combination {name!r} adds the case {case!r}, which has only heat: temperatures do "
                        "not add; state one case with all the heat, or strain the part by what was solved: "
                        f"dtw.Temperature(dtw.solve_thermal(model)[{case!r}])"
                    )
            courses = [case for case in flat[name] if len(self.cases[case].times)]
            for case in courses[1:]:
                if not np.array_equal(self.cases[case].times, self.cases[courses[0]].times):
                    raise ModelError(
                        f"combination {name!r} adds {courses[0]!r} and {case!r}, whose temperatures are "
                        "known at different instants; give both at the same ones"
                    )
            keys = {case: self._held(self.cases[case]) for case in flat[name]}
            if len(set(keys.values())) > 1:
                a, b = next((a, b) for a in keys for b in keys if keys[a] != keys[b])
                raise ModelError(
                    f"combination {name!r} adds {a!r} and {b!r}, whose supports (or stiffness) differ: their "
                    "displacements cannot be added; state a case with all loads instead"
                )
            self._check_factors(name, flat[name])
        object.__setattr__(self, "combinations", flat)

    def _held(self, case: LoadCase) -> str:
        """Equal for cases whose displacements may be added: the same directions held, the same stiffness."""
        flags = np.zeros((self.mesh.n_points, 3), bool)
        digest = hashlib.sha256()
        if case.stiffness_varies and case.temperature is not None:
            digest.update(case.temperature.content_key().encode())
        for support in case.supports:
            for one in support.prescribed(self):
                if one.axes is None:
                    flags[one.nodes] |= one.fixed
                else:
                    digest.update(one.nodes.tobytes() + one.fixed.tobytes() + one.axes.tobytes())
            if support.matrices(self):
                digest.update(support.content_key().encode())
        digest.update(flags.tobytes())
        return digest.hexdigest()

    def _check_factors(self, name: str, factors: Mapping[str, float]) -> None:
        """Refuse a sum of cases in which a prescribed displacement would count several times."""
        if len(factors) < 2 or abs(sum(factors.values()) - 1.0) < 1e-12:
            return
        for support in (*self.supports, *(s for case in factors for s in self.cases[case].supports)):
            if any(one.value.any() for one in support.prescribed(self)):
                raise ModelError(
                    f"combination {name!r} would count {support.said} {sum(factors.values()):g} times, "
                    "once for every case it is in; let one case have the displacement, and the others 0.0"
                )
        for connection, one in zip(self.connections, equations_of(self, self.connections), strict=True):
            if one.value.any():
                raise ModelError(
                    f"combination {name!r} would count {connection.said} {sum(factors.values()):g} times, "
                    "for it gives a displacement in every case; state a case with all loads instead"
                )

    def _check_items(self) -> None:
        for support in (*self.supports, *self.heat_supports):
            self._check_one(support, "supports: ")
        self._check_supports(self.supports, self.heat_supports, "")
        for connection in self.connections:
            self._check_one(connection, "connections: ")
        for case in self.cases.values():
            where = f"case {case.name!r}: "
            for item in case.items:
                self._check_one(item, where)
            if case.supports or case.heat_supports:
                self._check_supports(
                    (*self.supports, *case.supports), (*self.heat_supports, *case.heat_supports), where
                )

    def _check_one(self, item: Item | Connection, where: str) -> None:
        try:
            item.check(self)
        except MissingPropertyError as error:
            raise MissingPropertyError(where + str(error)) from error
        except DesignTwinError as error:
            text = str(error)
            who = "" if item.said in text else f"{item.said}: "
            raise ModelError(where + who + text) from error

    def _check_supports(self, static: Sequence[Support], heat: Sequence[Support], where: str) -> None:
        check_compatible(self, static, where)
        check_compatible(self, heat, where)

    # What analyses ask

    def region(self, on: Any) -> Region:
        """Nodes, facets and cells of a group or selection on this model's mesh.

        Raises
        ------
        SelectionError
            If it finds nothing, or names a group the mesh lacks (with the nearest names).
        """
        return select(on).resolve(self.mesh)

    def _resolve(self, on: Any, who: str) -> Region:
        try:
            return select(on).resolve(self.mesh)
        except SelectionError as error:
            raise ModelError(f"{who} on {said(on)}: {error}") from error

    @property
    def dimension(self) -> int:
        """Displacement components: 2 for plane meshes in z = 0, else 3."""
        flat = self.mesh.dimension <= 2 and not self.mesh.points[:, 2].any()
        return 2 if flat else 3

    @property
    def axisymmetric(self) -> bool:
        """Whether x is a radius and y the axis of a part that goes all around."""
        return isinstance(self.parts[0].section, Axisymmetric)

    @cached_property
    def _scale(self) -> FloatArray:
        scale = np.ones(self.mesh.n_cells)
        for part in self.parts:
            scale[part.cells] = part.section.scale(self.mesh.cell_centers[part.cells])
        scale.setflags(write=False)
        return scale

    def cell_scale(self) -> FloatArray:
        """What turns a cell's measure into a volume: thickness, area or 1, float64[n_cells]."""
        return self._scale

    def cell_density(self, needed_by: str) -> FloatArray:
        """Density of every cell, float64[n_cells], kg/m^3.

        Raises
        ------
        MissingPropertyError
            If a material states none; the message names what needed it.
        """
        out = np.empty(self.mesh.n_cells)
        for part in self.parts:
            # Mass does not change with temperature: a tabulated density counts at 20 degC.
            out[part.cells] = part.section.material.at("density", ROOM_TEMPERATURE, test=needed_by)
        return out

    def cell_loss_factor(self) -> FloatArray | None:
        """Loss factor of every cell, float64[n_cells], 0 where a material states none; None if none does."""
        out = np.zeros(self.mesh.n_cells)
        for part in self.parts:
            if part.section.material.magnitude("loss_factor") is not None:
                # Moduli of vibration are those at rest; the loss counts at 20 degC as the density does.
                out[part.cells] = part.section.material.at("loss_factor", ROOM_TEMPERATURE)
        return out if out.any() else None

    @property
    def point_masses(self) -> tuple[PointMass, ...]:
        """Masses attached to the part."""
        return tuple(s for s in self.supports if isinstance(s, PointMass))

    # Others like it

    def with_(self, **changes: Any) -> Model:
        """The same model with some of mesh, materials, supports, load_cases, connections, name replaced."""
        known = ("mesh", "materials", "supports", "load_cases", "connections", "name")
        for key in changes:
            if key not in known:
                raise ModelError(f"a model has no {key!r}; it has {', '.join(known)}")
        changes.setdefault("supports", (*self.supports, *self.heat_supports))
        return replace(self, **changes)

    def with_case(self, name: str, items: Sequence[Item] | Combination) -> Model:
        """The same model with a load case added or replaced."""
        return self.with_(load_cases={**self.load_cases, name: items})

    # Plain data

    def _plain(self, *, exact: bool) -> dict[str, Any]:
        def write(item: Any) -> Any:
            if isinstance(item, Plain):
                return item.to_dict() if exact else item.content_hash()
            return item if isinstance(item, str) else [write(one) for one in item]

        # Without connections a model has the hash it had before there were any.
        joined = {"connections": [write(c) for c in self.connections]} if self.connections else {}
        return joined | {
            "type": "Model",
            "name": self.name,
            "mesh": {"hash": self.mesh.content_hash(), "source": self.mesh.source},
            "materials": [[write(on), write(section)] for on, section in self.materials.items()],
            "supports": [write(s) for s in (*self.supports, *self.heat_supports)],
            "load_cases": {
                name: write(items if isinstance(items, Combination) else self.cases[name].items)
                for name, items in self.load_cases.items()
            },
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able data; the mesh is named by its content hash and its source."""
        return self._plain(exact=True)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, mesh: Mesh) -> Model:
        """Build the model that ``to_dict`` described, on its mesh.

        Raises
        ------
        ModelError
            If the mesh is another one than the data was written for.
        """
        if not isinstance(data, Mapping) or data.get("type") != "Model":
            raise ModelError("plain data of a Model is wanted: a dictionary with type 'Model'")
        wanted = data.get("mesh", {})
        if wanted.get("hash") != mesh.content_hash():
            source = f" of {wanted['source']!r}" if wanted.get("source") else ""
            raise ModelError(
                f"this mesh is not the one the model was saved with{source}: its points, cells or groups "
                "differ; read that mesh, or build the model anew on this one"
            )

        def read(item: Any) -> Any:
            return item if isinstance(item, str) else Plain.from_dict(item)

        return cls(
            mesh,
            materials={read(on): read(section) for on, section in data.get("materials", ())},
            supports=[read(item) for item in data.get("supports", ())],
            load_cases={
                name: read(items) if isinstance(items, Mapping) else [read(item) for item in items]
                for name, items in data.get("load_cases", {}).items()
            },
            name=data.get("name", ""),
            connections=[read(item) for item in data.get("connections", ())],
        )

    @cached_property
    def _hash(self) -> str:
        plain = self._plain(exact=False)
        plain["mesh"] = plain["mesh"]["hash"]
        text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def content_hash(self) -> str:
        """Hexadecimal SHA-256 of mesh and statement; equal content, equal hash."""
        return self._hash

    # In words

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        return f"<Model{name}: {self.mesh.n_cells:,} cells, load cases {list(self.load_cases)}>"

    def __str__(self) -> str:
        mesh = self.mesh
        lines = [
            f"Model{f' {self.name!r}' if self.name else ''}: {mesh.n_cells:,} cells, {mesh.n_points:,} points"
            + (", axisymmetric about y" if self.axisymmetric else ", plane" if self.dimension == 2 else "")
        ]
        lines += [
            f"  material {_quoted(part.name)}: {_label(part.section)}, {len(part.cells):,} cells"
            for part in self.parts
        ]
        lines += [f"  support  {item.said}" for item in (*self.supports, *self.heat_supports)]
        lines += [
            f"  joined   {item.said}" + (f", {item.amount}" if item.amount else "")
            for item in self.connections
        ]
        for case in self.cases.values():
            lines.append(f"  case {case.name!r}")
            lines += [f"    {self._said(item)}" for item in case.items]
            for load in case.loads:
                if isinstance(load, InertiaBalance):
                    lines.append(f"    {self._said(load)}")
            if len(case.loads) > 1:
                lines.append(f"    applied in all: {self._resultant(case.loads)}")
        lines += [
            f"  case {name!r}: " + " + ".join(f"{factor:g} × {case}" for case, factor in factors.items())
            for name, factors in self.combinations.items()
        ]
        return "\n".join(lines)

    def _said(self, item: Item) -> str:
        if isinstance(item, Load) and item.physics == "static":
            return f"{item.said}: {self._resultant([item])}"
        if isinstance(item, Load):
            try:
                heat = item.summary(self)
            except DesignTwinError as error:
                return f"{item.said}: {error}"
            return f"{item.said}: {heat}" if heat else item.said
        return item.said

    def _resultant(self, loads: Sequence[Load]) -> str:
        try:
            nodal = [load.nodal_forces(self) for load in loads]
        except DesignTwinError as error:
            return str(error)
        # What is left of sums that cancel is rounding, and is printed as zero.
        small = 1e-12 * sum(float(np.abs(one).sum()) for one in nodal)
        arm = max(self.mesh.size, float(np.abs(self.mesh.points).max()))
        force, moment = resultant(loads, self)
        force = np.where(np.abs(force) < small, 0.0, force)
        moment = np.where(np.abs(moment) < small * arm, 0.0, moment)
        text = f"force {show(force, 'force')}"
        return text if self.axisymmetric else f"{text}, moment about the origin {show(moment, 'moment')}"


def _kind(thing: Any) -> str:
    text = repr(thing)
    return f"{type(thing).__name__} {text if len(text) <= 40 else text[:37] + '...'}"


def _label(thing: Any) -> str:
    """A material or section in a few words."""
    if isinstance(thing, Section):
        return f"{type(thing).__name__} {_label(thing.material)}"
    return repr(thing.name) if getattr(thing, "name", "") else type(thing).__name__


def _quoted(name: str) -> str:
    return name if "'" in name or " " in name else repr(name)


__all__ = [
    "Combination",
    "Item",
    "LoadCase",
    "MagnitudeLike",
    "Model",
    "Part",
    "Selection",
    "Temperature",
    "combine",
]
