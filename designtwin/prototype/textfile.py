"""A prototype test as text: ``part.toml`` holds mesh, materials, load cases and requirements.

    name = "bracket"
    requirements = [
        'yield_margin(excluding=near("bolt_holes", "4 mm")) >= 1.5',
        'displacement("lug", "z") <= "0.4 mm"',
    ]

    [mesh]
    file = "bracket.msh"                  # beside this file
    length_unit = "mm"

    [materials]
    body = "S355"                         # from the library; or a table with properties

    [[supports]]
    type = "FixedSupport"
    on = "bolt_holes"

    [[connections]]
    type = "Tie"
    a = "lid_face"
    b = "body_face"

    [[cases.lift]]
    type = "Force"
    on = "lug"
    value = ["0 N", "0 N", "-2.5 kN"]

    [[cases.brake]]
    type = "Pressure"
    on = 'faces(normal="+x", at="max")'
    magnitude = "4 MPa"

    [[cases.hot]]
    type = "Temperature"
    value = { thermal = "power" }         # solved first; { thermal = "power", time = "9 min" } over time
    reference = "23 degC"

    [combinations]
    both = { lift = 1.35, brake = 1.5 }

Amounts may vary, and coefficients come from correlations:

    total = { over = "time", at = ["0 s", "2 min"], values = ["0 W", "40 W"], outside = "hold" }
    total = { log = "drive.csv", time = "t", column = "power", unit = "kW" }    # beside this file
    value = { points = "T.csv", length_unit = "mm", unit = "degC" }             # of a Temperature
    coefficient = { natural_convection = "vertical plate", length = "0.1 m", ambient = "25 degC" }
    coefficient = { forced_convection = "cylinder", diameter = "9 mm", speed = "2 m/s", ambient = "25 degC" }

A thermal test over time says how long, from where, and if need be how to step:

    [test]
    duration = "20 min"
    initial = "23 degC"
    store = "heat"                        # a folder beside this file: an interrupted test goes on from there

What shakes the part stands by name; places, tables and units are as in Python:

    [excitations]
    transport = { base_psd = "z", table = [["10 Hz", "0.01 g**2/Hz"], ["2 kHz", "0.01 g**2/Hz"]] }
    sweep = { base_harmonic = "x", amplitude = "1 g", low = "10 Hz", high = "2 kHz" }
    shock = { half_sine = "z", peak = "50 g", duration = "11 ms" }
    motor = { force_psd = "lift", table = [["20 Hz", "0.1 1/Hz"], ["200 Hz", "0.1 1/Hz"]] }
    both = { correlated = [{ base_psd = "x", table = [...] }, { base_psd = "y", ... }], coherence = 0.3 }

    [test]
    modes_up_to = "4 kHz"
    damping = "1.5 %"                     # pairs over frequency, { structural = "2 %" }, { rayleigh = ... }
    prestress = "lift"
    dead = "weight"                       # of a buckling test: acts in full however much the rest grows
    kind = "vibration"                    # decides where excitations and load cases could both answer

Any test may refine its mesh until it can tell, within a budget:

    [test]
    refine = "auto"                       # or "uniform"
    max_time = "5 min"                    # and max_unknowns, max_rounds

A life test (`damage() <= 0.3`, `life() >= "10 years"`) has a log, and a load case for each of its channels:

    [test]
    curve = "S355 base metal"             # or a table; { body = "...", lug = "..." } part by part
    mean_stress = "Goodman"               # or { method = "Walker", exponent = 0.5 }
    scatter = 0.2                         # standard deviation of log10 N
    constant = ["dead"]                   # load cases that act all the time
    stress = 'hot_spot_stress("toe", "+x", "8 mm")'     # at weld toes; the notch stress unless given
    history = { log = "crane.csv", time = "t", units = { boom_force = "kN" } }     # beside this file

    [test.channels]
    boom_force = { case = "pull", per = "1 kN" }

Types and keys are those of Python. Places and requirements are read by a small grammar of their own: public
names, strings, numbers; nothing is ever evaluated.
"""

from __future__ import annotations

import dataclasses
import inspect
import operator
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from designtwin import requirements as quantities
from designtwin.criteria.verdict import Verdict, overall
from designtwin.errors import DesignTwinError, ModelError
from designtwin.fatigue import MeanStress, SNCurve, fatigue_curve
from designtwin.io import read_mesh
from designtwin.io.logs import SensorLog, Signal, read_log
from designtwin.io.points import read_points
from designtwin.mesh import selections
from designtwin.mesh.mesh import Mesh
from designtwin.mesh.selections import Selection
from designtwin.model import (
    connections,
    convection,
    coordinates,
    damping,
    enclosure,
    excitation,
    loads,
    magnitude,
    materials,
    sections,
    supports,
)
from designtwin.model.model import Model, Temperature, combine
from designtwin.prototype.cache import ResultCache
from designtwin.prototype.coupled import ThermalStressTest
from designtwin.prototype.grammar import (
    QUANTITIES,
    WHOLE,
    nearest,
    parse_place,
    parse_quantity,
    parse_requirement,
)
from designtwin.prototype.life import LifeTest, UnitCase, unit_case
from designtwin.prototype.refine import WAYS, Budget
from designtwin.prototype.tests import PrototypeTest, StrengthTest, ThermalTest
from designtwin.prototype.vibration import BucklingTest, VibrationTest
from designtwin.requirements import Quantity, Requirement
from designtwin.units import to_si

_LIMITS: dict[str, Callable[[Any, Any], Any]] = {
    "at_most": operator.le, "at_least": operator.ge, "below": operator.lt, "above": operator.gt,
}  # fmt: skip
_TOP = (
    "name", "mesh", "materials", "supports", "connections", "cases", "combinations", "excitations",
    "requirements", "test",
)  # fmt: skip
_SOLVERS = ("auto", "direct", "multigrid")
_AMOUNTS = {
    "duration": "time", "tolerance": "temperature_difference", "step": "time", "max_step": "time",
}  # fmt: skip
_OVER_TIME = ("duration", "initial", "method", "tolerance", "step", "max_step", "times", "store")
_REFINEMENT = ("refine", "max_unknowns", "max_time", "max_rounds")
_VIBRATION = ("modes_up_to", "count", "damping", "prestress")
_BUCKLING = ("count", "dead")
_LIFE = ("curve", "channels", "history", "constant", "mean_stress", "scatter", "stress")
_EXAMPLES = {
    "curve": "curve = 'S355 base metal'",
    "channels": "boom_force = { case = 'pull', per = '1 kN' } under [test.channels]",
    "history": "history = { log = 'crane.csv', time = 't', units = { boom_force = 'kN' } }",
}
"""What a life test cannot do without."""
_TESTS: dict[str, Callable[..., PrototypeTest]] = {
    "static": StrengthTest, "thermal": ThermalTest, "vibration": VibrationTest, "buckling": BucklingTest,
    "life": LifeTest,
}  # fmt: skip
_KINDS = {
    "strength": "static", "thermal": "thermal", "vibration": "vibration", "buckling": "buckling",
    "life": "life",
}  # fmt: skip
_EXCITATIONS = (
    "base_psd", "force_psd", "correlated", "base_harmonic", "harmonic", "response_spectrum", "half_sine",
    "base_motion", "force_history", "together",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Design:
    """What a text file states: a model and the tests it must pass.

    Parameters
    ----------
    name : str
    model : Model
    tests : tuple of PrototypeTest
        Strength, thermal, vibration and buckling tests, as the requirements ask.
    refinement : mapping, optional
        How far tests refine, as [test] says it: refine, max_unknowns, max_time, max_rounds.
    """

    name: str
    model: Model
    tests: tuple[PrototypeTest, ...]
    refinement: Mapping[str, Any] = field(default_factory=dict)

    def run(self, *, cache: ResultCache | None = None, **refinement: Any) -> tuple[Verdict, ...]:
        """Run all tests.

        Parameters
        ----------
        cache : ResultCache, optional
            What is unchanged is taken from it; without one everything is solved.
        **refinement
            In place of what the file says, as ``refine="auto"``, ``max_time="5 min"``; ``refine="off"`` for
            none.

        Raises
        ------
        DesignTwinError
            As `PrototypeTest.run`.
        """
        options = {**self.refinement, **{k: v for k, v in refinement.items() if v is not None}}
        if options.get("refine", "off") == "off":
            stray = [name for name in refinement if name != "refine" and refinement[name] is not None]
            if stray:
                raise ModelError(f"{' and '.join(stray)}: a budget of refinement, and none is asked for")
            options = {}
        cannot = {test.physics: test._cannot_refine() if options else "" for test in self.tests}
        found: dict[str, Verdict] = {}
        for test in sorted(self.tests, key=lambda one: one.physics != "thermal"):  # before what it warms
            if isinstance(test, ThermalStressTest) and "thermal" in found:
                test = replace(test, solved=lambda: found["thermal"].result)
            # Where none of the tests can refine, the first says why.
            as_given = bool(cannot[test.physics]) and not all(cannot.values())
            how = {} if as_given else options
            verdict = test.run(**how) if cache is None else cache.run(test, **how)
            if as_given:
                why = f"the mesh is as given: {cannot[test.physics]}"
                verdict = replace(verdict, notes=(*verdict.notes, why))
            found[test.physics] = verdict
        return tuple(found[test.physics] for test in self.tests)

    def passes(self, **options: Any) -> bool:
        """Whether every requirement of every test passes; options as of `run`."""
        return overall(verdict.status for verdict in self.run(**options)) == quantities.PASS


def read_design(path: str | Path) -> Design:
    """Read a prototype test from a TOML file.

    Parameters
    ----------
    path : path
        The mesh is looked for beside it.

    Raises
    ------
    ModelError
        If the file cannot be read, holds an unknown key or type, or states what cannot be tested; the message
        gives the line.
    """
    return _Reader(Path(path)).design()


_STRAY = {
    "thermal": "{key}: a test over time is a thermal one, and no requirement asks for one; add e.g. "
    "'temperature() <= \"95 degC\"'",
    "vibration": "{key} is of a vibration or buckling test, and no requirement asks for one; add e.g. "
    "'frequency(1) >= \"65 Hz\"' or 'buckling_factor() >= 3'",
    "life": "{key} is of a life test, and no requirement asks for one; add e.g. 'damage() <= 0.3' or "
    "'life() >= \"10 years\"'",
    "excitations": "excitations belong to a vibration test, and no requirement asks for one; add e.g. "
    "'frequency(1) >= \"65 Hz\"', or case='...' to a requirement",
}

# ---------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------

_Path = tuple[str | int, ...]
_P = ParamSpec("_P")
_T = TypeVar("_T")


class _Reader:
    """One pass over one file; every step knows the path of its keys, and so its line."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError:
            beside = sorted(p.name for p in path.parent.glob("*.toml")) if path.parent.is_dir() else []
            raise ModelError(
                f"{path}: there is no such file{nearest(path.name, beside) if beside else ''}"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise ModelError(f"{path}: cannot be read: {error}") from None
        try:
            self.data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ModelError(f"{path}: not valid TOML: {error}") from None
        self.warmed: dict[str, tuple[str, Any]] = {}
        self.warmed_at: dict[str, _Path] = {}
        self.text = text.splitlines()
        self.lines = key_lines(text)

    # Messages

    def where(self, at: _Path) -> str:
        while at and at not in self.lines:
            at = at[:-1]
        return f"{self.path}, line {self.lines[at]}: " if at else f"{self.path}: "

    def fail(self, at: _Path, message: str) -> NoReturn:
        raise ModelError(self.where(at) + message)

    def told(self, at: _Path, make: Callable[_P, _T], /, *args: _P.args, **options: _P.kwargs) -> _T:
        """Call a constructor; what it says gets file and line in front."""
        try:
            return make(*args, **options)
        except DesignTwinError as error:
            raise ModelError(self.where(at) + str(error)) from error
        except (TypeError, ValueError) as error:  # a value of a kind no constructor expects
            raise ModelError(f"{self.where(at)}{error}") from error

    def known(self, table: Mapping[str, Any], names: Iterable[str], at: _Path, what: str) -> None:
        names = list(names)
        for key in table:
            if key not in names:
                hint = nearest(key, names)
                if not at and key in (*_OVER_TIME, "time", "thermal"):
                    hint = "; of a thermal test over time it stands under [test], as duration = '20 min'"
                self.fail((*at, key), f"unknown key {key!r} in {what}{hint}")

    def table(self, data: Mapping[str, Any], key: str, at: _Path = ()) -> dict[str, Any]:
        found = data.get(key, {})
        if not isinstance(found, dict):
            self.fail((*at, key), f"{key} is a table, [{key}]; got {found!r}")
        return found

    def array(self, data: Mapping[str, Any], key: str, at: _Path = ()) -> list[Any]:
        found = data.get(key, [])
        if not isinstance(found, list):
            self.fail((*at, key), f"{key} is a list, or tables [[{key}]]; got {found!r}")
        return found

    # The recipe

    def design(self) -> Design:
        data = self.data
        self.known(data, _TOP, (), "the file")
        name = data.get("name", self.path.stem)
        if not isinstance(name, str):
            self.fail(("name",), f"name is text, got {name!r}")
        mesh = self.mesh()
        stated = [
            self.requirement(entry, ("requirements", i), mesh)
            for i, entry in enumerate(self.array(data, "requirements"))
        ]
        if not stated:
            raise ModelError(
                f"{self.path}: no requirements; add e.g. requirements = ['yield_margin() >= 1.5']"
            )
        made = {
            self.place(on, ("materials", on), mesh): self.material(given, ("materials", on))
            for on, given in self.table(data, "materials").items()
        }
        held = [self.item(t, ("supports", i), mesh) for i, t in enumerate(self.array(data, "supports"))]
        joined = [
            self.connection(t, ("connections", i), mesh)
            for i, t in enumerate(self.array(data, "connections"))
        ]
        cases: dict[str, Any] = {}
        for case in self.table(data, "cases"):
            entries = self.array(data["cases"], case, ("cases",))
            cases[case] = [self.item(t, ("cases", case, i), mesh) for i, t in enumerate(entries)]
        for case, factors in self.table(data, "combinations").items():
            at = ("combinations", case)
            if case in cases:
                self.fail(at, f"{case!r} is a load case and a combination; name one of them otherwise")
            if not isinstance(factors, dict):
                self.fail(at, f"a combination is factors by case, as {{ lift = 1.35 }}; got {factors!r}")
            cases[case] = self.told(at, combine, factors)
        model = self.told(
            (), Model, mesh, materials=made, supports=held, load_cases=cases, name=name, connections=joined
        )
        tests = self.tests(model, stated, name, self.excitations(model))
        return Design(name, model, tests, self.refinement())

    def mesh(self) -> Mesh:
        stated = self.table(self.data, "mesh")
        self.known(stated, ("file", "length_unit"), ("mesh",), "[mesh]")
        for key in ("file", "length_unit"):
            if not isinstance(stated.get(key), str):
                self.fail(("mesh",), f"[mesh] needs {key}, as file = 'part.msh' and length_unit = 'mm'")
        path = self.path.parent / stated["file"]
        return self.told(("mesh", "file"), read_mesh, path, length_unit=stated["length_unit"])

    def place(self, text: Any, at: _Path, mesh: Mesh) -> str | Selection:
        if isinstance(text, list):
            return self.told(at, selections.select, [self.told(at, parse_place, one, mesh) for one in text])
        return self.told(at, parse_place, text, mesh)

    def value(self, given: Any) -> Any:
        """An amount of the file: text and numbers stay, tables become tables, fields, logs, coefficients."""
        if isinstance(given, list):
            return tuple(given)
        if not isinstance(given, dict):
            return given
        if {"over", "at", "values"} <= given.keys():
            return magnitude.table(**given)
        if isinstance(given.get("points"), str):
            rest = {key: entry for key, entry in given.items() if key not in ("points", "outside")}
            cloud = read_points(self.path.parent / given["points"], **rest)
            return magnitude.field(cloud.points, cloud.values, outside=given.get("outside", "raise"))
        if {"points", "values"} <= given.keys():
            return magnitude.field(**given)
        if "log" in given:
            return self.signal(given)
        for function in (convection.natural_convection, convection.forced_convection):
            if function.__name__ in given:
                rest = {key: entry for key, entry in given.items() if key != function.__name__}
                return function(shape=given[function.__name__], **rest)
        return given

    def signal(self, given: Mapping[str, Any]) -> Signal:
        """A column of a sensor log, whose file is looked for beside this one."""
        needs, may = ("log", "column", "time"), ("unit", "time_unit")
        for key, entry in given.items():
            if key not in (*needs, *may):
                raise ModelError(f"unknown key {key!r} in a log{nearest(key, (*needs, *may))}")
            if not isinstance(entry, str):
                raise ModelError(f"{key} of a log is text; got {entry!r}")
        missing = [key for key in needs if key not in given]
        if missing:
            raise ModelError(
                f"a log lacks {', '.join(map(repr, missing))}; write it as "
                "{ log = 'drive.csv', time = 't', column = 'power' }"
            )
        units = {given["column"]: given.get("unit"), given["time"]: given.get("time_unit")}
        stated = {name: unit for name, unit in units.items() if unit is not None}
        return read_log(self.path.parent / given["log"], time=given["time"], units=stated)[given["column"]]

    def material(self, given: Any, at: _Path) -> Any:
        if isinstance(given, str):
            return self.told(at, materials.material, given)
        if not isinstance(given, dict):
            self.fail(at, f"a material is a name of the library or a table of properties; got {given!r}")
        if "section" in given:
            known = _classes(sections.Section)
            cls = self.kind(given, "section", known, at)
            inner = given.get("material")
            if inner is None:
                self.fail(at, f"section {cls.__name__} needs a material, as material = 'S355'")
            rest = {k: v for k, v in given.items() if k not in ("section", "material")}
            made = self.material(inner, (*at, "material"))
            return self.build(cls, rest, at, first=(made,), without=("material",))
        if "library" in given:
            rest = {k: self.entry(k, v, (*at, k)) for k, v in given.items() if k != "library"}
            return self.told(at, materials.material, given["library"], **rest)
        known = _classes(materials.Material)
        cls = self.kind({"type": "LinearElastic", **given}, "type", known, at)
        return self.build(cls, {k: v for k, v in given.items() if k != "type"}, at)

    def item(self, given: Any, at: _Path, mesh: Mesh) -> Any:
        """A load, support or temperature."""
        if not isinstance(given, dict):
            self.fail(at, f"a table with a type is wanted, got {given!r}")
        known = {
            **_classes(loads.Load),
            **_classes(supports.Support),
            "Enclosure": enclosure.Enclosure,
            "Temperature": Temperature,
        }
        cls = self.kind(given, "type", known, at)
        fields = {k: v for k, v in given.items() if k != "type"}
        for key in ("on", "to"):
            if key in fields:
                fields[key] = self.place(fields[key], (*at, key), mesh)
        if cls is Temperature and isinstance(fields.get("value"), dict) and "thermal" in fields["value"]:
            return self.solved_first(fields, at)
        return self.build(cls, fields, at)

    def solved_first(self, fields: dict[str, Any], at: _Path) -> Temperature:
        """A temperature that a thermal case gives: kept in mind, and until then one that strains nothing."""
        source, case = fields["value"], at[1]
        if at[0] != "cases" or not isinstance(case, str):
            self.fail(at, "a temperature belongs to a load case, [[cases.hot]]")
        self.known(source, ("thermal", "time"), (*at, "value"), "value")
        if not isinstance(source["thermal"], str):
            self.fail((*at, "value"), f"thermal is the name of a load case; got {source['thermal']!r}")
        self.warmed[case] = (source["thermal"], source.get("time"))
        self.warmed_at[case] = (*at, "value")
        free = fields.get("reference", 293.15)
        fields["value"] = next(iter(free.values()), 293.15) if isinstance(free, dict) else free
        made: Temperature = self.build(Temperature, fields, at)
        return made

    def excitations(self, model: Model) -> dict[str, Any]:
        made = {}
        for name, given in self.table(self.data, "excitations").items():
            at = ("excitations", name)
            if name in model.cases or name in model.combinations:
                self.fail(at, f"{name!r} is a load case and an excitation; name one of them otherwise")
            made[name] = self.excitation(given, at, model.mesh)
            self.told(at, made[name].check, model)
        return made

    def excitation(self, given: Any, at: _Path, mesh: Mesh) -> Any:
        """What a table such as { base_psd = "z", table = [...] } says: the function, what it takes first."""
        known = f"known: {', '.join(_EXCITATIONS)}"
        if not isinstance(given, dict):
            self.fail(at, f"an excitation is a table, as {{ base_psd = 'z', table = [...] }}; got {given!r}")
        named = [key for key in given if key in _EXCITATIONS]
        if len(named) != 1:
            said = f"two excitations, {' and '.join(named)}" if named else "no excitation"
            self.fail(at, f"{said} in {', '.join(given) or 'an empty table'}; {known}")
        function = getattr(excitation, named[0])
        first, rest = given[named[0]], {key: entry for key, entry in given.items() if key != named[0]}
        if named[0] in ("correlated", "together"):
            if not isinstance(first, list):
                self.fail(at, f"{named[0]} joins a list of excitations; got {first!r}")
            members = [self.excitation(one, at, mesh) for one in first]
            taken: tuple[Any, ...] = (members,) if named[0] == "correlated" else tuple(members)
        else:
            if isinstance(first, list) and any(isinstance(one, dict) for one in first):
                first = [self.item(one, at, mesh) for one in first]
            taken = (first,)
        code = function.__code__
        names = [*code.co_varnames[: code.co_argcount][1:], *(function.__kwdefaults__ or ())]
        if named[0] == "correlated":
            names = ["coherence", "phase"]
        self.known(rest, names, at, named[0])
        options = {key: self.told((*at, key), self.value, entry) for key, entry in rest.items()}
        try:
            return self.told(at, function, *taken, **options)
        except TypeError as error:  # what is missing: Python's own words are clear
            self.fail(at, str(error))

    def damping(self, given: Any) -> Any:
        """Damping of the file: what `designtwin.damping` takes, or a table of how it is made."""
        at = ("test", "damping")
        if not isinstance(given, dict):
            return self.told(at, damping.damping, given)
        if "structural" in given:
            self.known(given, ("structural",), at, "damping")
            return self.told(at, damping.structural, given["structural"])
        if "rayleigh" in given:
            self.known(given, ("rayleigh",), at, "damping")
            pairs = given["rayleigh"]
            if isinstance(pairs, dict):
                self.known(pairs, ("mass", "stiffness"), at, "rayleigh")
                return self.told(at, damping.rayleigh, **pairs)
            if isinstance(pairs, list) and len(pairs) == 2 and all(isinstance(pair, list) for pair in pairs):
                return self.told(at, damping.rayleigh, *map(tuple, pairs))
        self.fail(
            at,
            "damping is '1.5 %', a list, { structural = '2 %' }, { rayleigh = [['10 Hz', '2 %'], "
            "['100 Hz', '3 %']] } or { rayleigh = { mass = '3 1/s', stiffness = '1e-5 s' } }; got "
            f"{given!r}",
        )

    def connection(self, given: Any, at: _Path, mesh: Mesh) -> Any:
        """What joins parts; its places are read as those of loads."""
        if not isinstance(given, dict):
            self.fail(at, f"a table with a type is wanted, got {given!r}")
        cls = self.kind(given, "type", _classes(connections.Connection), at)
        fields = {k: v for k, v in given.items() if k != "type"}
        for key in ("on", "a", "b", "low", "high", "node"):
            if key in fields and (key != "node" or isinstance(fields[key], str)):
                fields[key] = self.place(fields[key], (*at, key), mesh)
        if isinstance(fields.get("terms"), list):
            here = (*at, "terms")
            fields["terms"] = [
                (self.place(term[0], here, mesh), *term[1:]) if isinstance(term, list) and term else term
                for term in fields["terms"]
            ]
        return self.build(cls, fields, at)

    def kind(
        self, given: Mapping[str, Any], key: str, known: Mapping[str, type[Any]], at: _Path
    ) -> type[Any]:
        name = given.get(key)
        if name is None:
            self.fail(at, f"{key} is missing; known: {', '.join(known)}")
        if name not in known:
            self.fail((*at, key), f"{key} {name!r} is unknown{nearest(str(name), known)}")
        return known[name]

    def build(
        self, cls: type[Any], given: Mapping[str, Any], at: _Path, *, first: tuple[Any, ...] = (),
        without: tuple[str, ...] = (),
    ) -> Any:  # fmt: skip
        names = [f.name for f in dataclasses.fields(cls) if f.init and f.name not in without]
        self.known(given, names, at, cls.__name__)
        fields: dict[str, Any] = {}
        for key, entry in given.items():
            fields[key] = self.entry(key, entry, (*at, key))
        missing = [
            f.name
            for f in dataclasses.fields(cls)
            if f.init and f.name in names and f.name not in fields
            and f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        ]  # fmt: skip
        if missing:
            self.fail(at, f"{cls.__name__} lacks {', '.join(map(repr, missing))}")
        return self.told(at, cls, *first, **fields)

    def entry(self, key: str, given: Any, at: _Path) -> Any:
        """One field of an object: an amount, or an object of its own."""
        if key in ("coordinates", "orientation") and isinstance(given, dict):
            system = self.kind(given, "type", _classes(coordinates.CoordinateSystem), at)
            return self.build(system, {k: v for k, v in given.items() if k != "type"}, at)
        if key == "creep_rupture" and isinstance(given, dict):
            return self.build(materials.LarsonMiller, given, at)
        return self.told(at, self.value, given)

    def requirement(self, given: Any, at: _Path, mesh: Mesh) -> Requirement:
        if isinstance(given, str):
            line = next((n for n, one in enumerate(self.text, 1) if given in one), None)
            if line is not None:
                self.lines.setdefault(at, line)
            return self.told(at, parse_requirement, given)
        if not isinstance(given, dict):
            self.fail(at, f"a requirement is text such as 'yield_margin() >= 1.5', or a table; got {given!r}")
        name = given.get("quantity")
        if name not in QUANTITIES:
            self.fail((*at, "quantity"), f"quantity {name!r} is unknown{nearest(str(name), QUANTITIES)}")
        limits = [key for key in _LIMITS if key in given]
        if len(limits) != (0 if name in WHOLE else 1):
            self.fail(
                at,
                f"{name} has no limit but its band; leave {' and '.join(limits)} out"
                if name in WHOLE
                else f"a requirement has one limit of {', '.join(_LIMITS)}; got "
                f"{' and '.join(limits) or 'none'}",
            )
        function = getattr(quantities, name)
        names = list(function.__kwdefaults__ or ()) + list(
            function.__code__.co_varnames[: function.__code__.co_argcount]
        )
        rest = {k: v for k, v in given.items() if k not in ("quantity", *limits)}
        self.known(rest, names, at, f"{name} (and one limit of {', '.join(_LIMITS)})")
        for key in ("on", "excluding", "toe"):
            if key in rest and not (key == "toe" and isinstance(rest[key], list)):  # a toe may be a point
                rest[key] = self.place(rest[key], (*at, key), mesh)
        try:
            quantity = self.told(at, function, **rest)
        except TypeError as error:
            self.fail(at, str(error))
        if name in WHOLE:
            return quantity  # type: ignore[no-any-return]
        made = self.told((*at, limits[0]), _LIMITS[limits[0]], quantity, given[limits[0]])
        assert isinstance(made, Requirement)
        return made

    def tests(
        self, model: Model, stated: Sequence[Requirement], name: str, excitations: Mapping[str, Any]
    ) -> tuple[PrototypeTest, ...]:
        options = dict(self.table(self.data, "test"))
        known = ("kind", "solver", *_REFINEMENT, *_OVER_TIME, *_VIBRATION, *_BUCKLING, *_LIFE)
        self.known(options, dict.fromkeys(known), ("test",), "[test]")
        solver = self.solver(options.pop("solver", "auto"))
        kind = options.pop("kind", None)
        if kind is not None and kind not in _KINDS:
            self.fail(("test", "kind"), f"kind {kind!r} is unknown{nearest(str(kind), _KINDS)}")
        asked = self.sorted_out(model, stated, excitations, None if kind is None else _KINDS[kind])
        if kind is not None and _KINDS[kind] not in asked:
            found = " and ".join(sorted(asked))
            self.fail(
                ("test", "kind"), f"kind {kind!r}, and no requirement is of that test; they are of: {found}"
            )
        given = {key: self.option(key, one) for key, one in options.items() if key not in _REFINEMENT}
        of = {"thermal": _OVER_TIME, "vibration": _VIBRATION, "buckling": _BUCKLING, "life": _LIFE}
        if self.warmed:
            of["static"] = _OVER_TIME
        # A duration is that of temperatures where any are asked for, else that of shocks.
        if "thermal" not in asked and not ("static" in asked and self.warmed):
            of["vibration"] = (*_VIBRATION, "duration")
        taken = {need: {key: given[key] for key in of.get(need, ()) if key in given} for need in asked}
        for key in given:
            if not any(key in some for some in taken.values()):
                stray = "thermal" if key in _OVER_TIME else "life" if key in _LIFE else "vibration"
                self.fail(("test", key), _STRAY[stray].format(key=key))
        if excitations:
            if "vibration" not in asked:
                self.fail(("excitations", next(iter(excitations))), _STRAY["excitations"])
            taken["vibration"]["cases"] = excitations
        for key in _LIFE[:3] if "life" in asked else ():
            if not given.get(key):
                self.fail(("test", key), f"a life test needs {key}, as {_EXAMPLES[key]}")
        self.check_warmed(model, taken)
        if self.warmed and "static" in asked:
            heat = {key: one for key, one in taken["static"].items() if key != "store"}
            taken["static"] = {"warmed": self.warmed, "heat": heat}
        return tuple(
            self.test(need, model, asked[need], solver, name, taken[need]) for need in _TESTS if need in asked
        )

    def check_warmed(self, model: Model, taken: Mapping[str, Mapping[str, Any]]) -> None:
        """Only strength tests solve for temperatures first; others would see the part without them."""
        if not self.warmed:
            return
        used: dict[str, list[Any]] = {}
        if "buckling" in taken:
            used["buckling"] = list(self.warmed)
        if "vibration" in taken:
            used["vibration"] = [taken["vibration"].get("prestress")]
        if "life" in taken:
            constant = taken["life"].get("constant", ())
            used["life"] = [constant] if isinstance(constant, str) else list(constant)
            used["life"] += [one.case for one in taken["life"].get("channels", {}).values()]
        for kind, names in used.items():
            for name in names:
                for case in (name, *model.combinations.get(name, ())):
                    if case in self.warmed:
                        self.fail(
                            self.warmed_at[case],
                            f"case {case!r} is as warm as thermal case {self.warmed[case][0]!r}, which "
                            f"strength tests solve for first and a {kind} test does not; state its "
                            "temperatures as a field, or test it from Python with "
                            "Temperature(solve_thermal(model)[...])",
                        )

    def refinement(self) -> dict[str, Any]:
        """How far tests refine, as [test] says it."""
        stated = self.table(self.data, "test")
        options = {key: stated[key] for key in _REFINEMENT if key in stated}
        way, ways = options.get("refine", "off"), (*WAYS, "off")
        if way not in ways:
            self.fail(("test", "refine"), f"refine {way!r} is unknown{nearest(str(way), ways)}")
        if options and "refine" not in options:
            key = next(iter(options))
            self.fail(("test", key), f"{key} is a budget of refinement; give refine = 'auto' too")
        if options:
            for key in options:  # one by one, so that each has its line
                one = {name: options[name] if name == key else 1 for name in _REFINEMENT[1:]}
                self.told(("test", key), Budget.of, *one.values())
        return options

    def test(
        self, need: str, model: Model, asked: Sequence[Requirement], solver: Any, name: str,
        options: Mapping[str, Any],
    ) -> PrototypeTest:  # fmt: skip
        """One test; what it says about an option gets the line of that option."""
        kind = ThermalStressTest if "warmed" in options else _TESTS[need]
        try:
            return kind(model, requirements=asked, solver=solver, name=name, **options)
        except DesignTwinError as error:
            at: _Path = ("requirements",)
            if "warmed" in options:
                said = [at for case, at in self.warmed_at.items() if str(error).startswith(f"case {case!r}")]
                at = said[0] if said else at
            elif need in ("thermal", "life") and options:
                at = ("test",)
            named = next((key for key in options if re.match(rf"{key}\b", str(error))), None)
            raise ModelError(self.where(at if named is None else ("test", named)) + str(error)) from error

    def option(self, key: str, given: Any) -> Any:
        """One entry of [test]."""
        at = ("test", key)
        if key == "damping":
            return self.damping(given)
        if key in _AMOUNTS:
            self.told(at, to_si, given, _AMOUNTS[key], name=key)
        if key == "store":
            if not isinstance(given, str):
                self.fail(at, f"store is a folder beside this file, got {given!r}")
            return self.path.parent / given
        if key == "curve":
            return self.curve(given, at)
        if key == "mean_stress" and isinstance(given, dict):
            return self.build(MeanStress, given, at)
        if key == "channels":
            return self.channels(given, at)
        if key == "history":
            return self.history(given, at)
        if key == "constant":
            return self.words(given, at, key)
        if key == "stress" and isinstance(given, str) and "(" in given:
            return self.told(at, parse_quantity, given)
        return self.told(at, self.value, given)

    # Life

    def curve(self, given: Any, at: _Path) -> Any:
        """A curve by name, stated as a table, or a table of one for each part."""
        if isinstance(given, str):
            return self.told(at, fatigue_curve, given)
        if not isinstance(given, dict):
            self.fail(at, f"a curve is a name, as 'S355 base metal', or a table; got {given!r}")
        if "name" in given and "cycles" not in given:
            rest = {key: self.value(one) for key, one in given.items() if key != "name"}
            return self.told(at, fatigue_curve, given["name"], **rest)
        if "range" in given:
            names = [field.name for field in dataclasses.fields(SNCurve) if field.name != "amplitude"]
            self.known(given, ["range", *names], at, "a curve")
            rest = {key: self.value(one) for key, one in given.items() if key != "range"}
            return self.told(at, SNCurve.of_range, given["range"], **rest)
        if "amplitude" in given:
            return self.build(SNCurve, given, at)
        return {part: self.curve(one, (*at, part)) for part, one in given.items()}

    def channels(self, given: Any, at: _Path) -> dict[str, UnitCase]:
        """Unit cases by the column of the log that drives them."""
        if not isinstance(given, dict) or not all(isinstance(one, dict) for one in given.values()):
            self.fail(at, f"channels are tables, as {_EXAMPLES['channels']}; got {given!r}")
        made = {}
        for name, one in given.items():
            self.known(one, ("case", "per"), (*at, name), "a channel")
            if len(one) < 2:
                self.fail(
                    (*at, name),
                    f"channel {name!r} lacks {'per' if 'case' in one else 'case'}: the load case it "
                    "drives, and the reading at which that acts as stated: { case = 'pull', per = '1 kN' }",
                )
            made[name] = self.told((*at, name), unit_case, one["case"], per=one["per"])
        return made

    def history(self, given: Any, at: _Path) -> SensorLog:
        """A whole sensor log, whose file is looked for beside this one."""
        if not isinstance(given, dict) or not isinstance(given.get("log"), str):
            self.fail(at, f"write it as {_EXAMPLES['history']}; got {given!r}")
        names = [name for name in inspect.signature(read_log).parameters if name != "path"]
        rest = {key: one for key, one in given.items() if key != "log"}
        self.known(rest, names, at, "a history")
        if "time" not in rest:
            self.fail(at, "history lacks the column of time, as time = 't'")
        if not isinstance(rest.get("units", {}), dict):
            self.fail(at, f"units are a table, as {{ boom_force = 'kN' }}; got {rest['units']!r}")
        for key in ("columns", "clean"):
            if key in rest:
                rest[key] = self.words(rest[key], at, key)
        return self.told(at, read_log, self.path.parent / given["log"], **rest)

    def words(self, given: Any, at: _Path, what: str) -> tuple[str, ...]:
        """One text or several."""
        several = [given] if isinstance(given, str) else given
        if not isinstance(several, list) or not all(isinstance(one, str) for one in several):
            self.fail(at, f"{what} is a text or a list of texts; got {given!r}")
        return tuple(several)

    def sorted_out(
        self, model: Model, stated: Sequence[Requirement], excitations: Mapping[str, Any], kind: str | None
    ) -> dict[str, list[Requirement]]:
        """Requirements by the analysis that answers them, in the order stated.

        Where load cases and excitations could both answer, the case asked for decides, then the kind of test,
        then whether there are load cases. What any result answers is judged once.
        """
        static = any(case.is_static for case in model.cases.values())
        usual = kind or ("static" if static or not excitations else "vibration")

        def home_of(quantity: Quantity) -> str:
            several = quantity.read_from
            if len(several) == 1:
                return several[0]
            if getattr(quantity, "case", None) in excitations:
                return "vibration"
            if getattr(quantity, "case", None) is not None:
                return several[0]
            return usual if usual in several else several[0]

        homes = [home_of(requirement.quantity) for requirement in stated]
        needed = [home for home in homes if home != "model"]
        if kind is not None:
            first = kind
        elif "static" in needed or (static and not needed):
            first = "static"
        else:
            otherwise = "vibration" if excitations else "thermal"
            first = next((home for home in _TESTS if home in needed), otherwise)
        out: dict[str, list[Requirement]] = {}
        for home, requirement in zip(homes, stated, strict=True):
            out.setdefault(first if home == "model" else home, []).append(requirement)
        return out

    def solver(self, name: Any) -> Any:
        if name not in _SOLVERS:
            self.fail(("test", "solver"), f"solver {name!r} is unknown{nearest(str(name), _SOLVERS)}")
        if name == "auto":
            return None
        from designtwin import solvers

        return solvers.Direct() if name == "direct" else solvers.MultigridCG()


def _classes(base: type[Any]) -> dict[str, type[Any]]:
    """Public descendants of a class that can be built, by name."""
    found: dict[str, type[Any]] = {}
    for cls in base.__subclasses__():
        found.update(_classes(cls))
        if (
            not cls.__name__.startswith("_")
            and dataclasses.is_dataclass(cls)
            and cls.__module__.startswith("designtwin.")
        ):
            found[cls.__name__] = cls
    return dict(sorted(found.items()))


_HEADER = re.compile(r"\s*(\[\[?)\s*(.+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_WORD = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


def key_lines(text: str) -> dict[_Path, int]:
    """The line, from 1, of each table and key of a TOML text; keys inside inline tables have their parent's.

    ``("cases", "lift", 0, "value")`` is the key of the first ``[[cases.lift]]``.
    """
    lines: dict[_Path, int] = {}
    count: dict[_Path, int] = {}
    table: _Path = ()

    def words(dotted: str) -> _Path:
        return tuple(word.strip("\"'") for word in _WORD.findall(dotted))

    def current(path: _Path) -> _Path:
        """The path with the numbers of the latest tables put in: [cases.lift.x] after [[cases.lift]]."""
        out: _Path = ()
        for word in path:
            out = (*out, word)
            if out in count:
                out = (*out, count[out] - 1)
        return out

    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            path = words(header[2])
            if header[1] == "[[":
                base = (*current(path[:-1]), path[-1])
                count[base] = count.get(base, 0) + 1
                table = (*base, count[base] - 1)
            else:
                table = current(path)
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *words(key[1])), number)
    return lines
