"""designtwin: a physics-based product design twin.

Import a mesh, state materials, supports, loads and requirements, run virtual prototype tests,
read the verdict, tune the design. Public names load when first used, so that the import itself
costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_ROOMS: dict[str, tuple[str, ...]] = {
    "errors": (
        "DesignTwinError", "UnitError", "MeshError", "MeshReadError", "SelectionError", "MaterialError",
        "ModelError", "SingularSystemError", "MissingPropertyError", "ConvergenceError", "ResourceError",
        "RequirementError", "StoreError", "StudyError", "FatigueError", "PictureError",
        "OptimizationError", "EvaluationFailed",
    ),
    "units": ("display_units",),
    "model.coordinates": ("Cartesian", "Cylindrical"),
    "model.magnitude": ("field", "function", "nodal", "table"),
    "model.materials": ("LarsonMiller", "LinearElastic", "Orthotropic", "material", "material_names"),
    "model.sections": ("Axisymmetric", "PlaneStrain", "PlaneStress", "Solid", "Truss"),
    "model.loads": (
        "Acceleration", "BearingLoad", "Centrifugal", "Force", "Gravity", "HydrostaticPressure", "Moment",
        "Pressure", "RemoteForce", "Traction", "resultant",
    ),
    "model.convection": ("forced_convection", "natural_convection", "optimal_fin_spacing"),
    "model.heat": ("Convection", "HeatFlow", "HeatFlux", "HeatSource", "Radiation"),
    "model.enclosure": ("Enclosure",),
    "model.damping": ("damping", "rayleigh", "structural"),
    "model.excitation": (
        "base_harmonic", "base_motion", "base_psd", "correlated", "force_history", "force_psd", "half_sine",
        "harmonic", "response_spectrum", "together",
    ),
    "model.supports": (
        "Damper", "ElasticFoundation", "FixedSupport", "FixedTemperature", "InertiaRelief", "PointMass",
        "PrescribedDisplacement", "Spring", "Symmetry",
    ),
    "model.connections": (
        "CyclicSymmetry", "LinearConstraint", "Periodic", "RigidLink", "SpreadLink", "Tie",
    ),
    "model.contact": ("ContactConductance", "HeatPipe", "ThermalInterface"),
    "model.model": ("Model", "Temperature", "combine"),
    "assembly.reduced": ("ReducedModel",),
    "assembly.directions": ("Directions",),
    "analysis.adjoint": ("sensitivities",),
    "results.sensitivity": ("Sensitivity",),
    "solvers": ("AutomaticSolver", "Direct", "MultigridCG"),
    "results": (
        "Frames", "ModalCase", "ModalResult", "Mode", "Peak", "StaticCase", "StaticHistory", "StaticResult",
        "StepRecord", "ThermalCase", "ThermalInstant", "ThermalResult", "TimeHistory", "TransientCase",
        "TransientResult",
    ),
    "results.buckling": ("BucklingCase", "BucklingMode", "BucklingResult"),
    "results.life": ("Hotspot", "LifeCase", "LifeResult", "RemainingLife"),
    "results.dynamics": ("DynamicInstant", "DynamicsCase", "EnergyBalance"),
    "results.frequency": ("FrequencyResponse", "HarmonicCase"),
    "results.random": ("RandomCase", "ResponsePsd"),
    "results.spectrum": ("ShockSpectrum", "SpectrumCase"),
    "results.transfer": ("Transferred", "transfer"),
    "io.points": ("PointCloud", "read_points"),
    "requirements": (
        "Outcome", "Place", "Quantity", "Requirement", "Value", "acceleration", "brittle_margin",
        "buckling_factor", "composite_margin", "creep_life", "creep_margin", "displacement", "fkm_margin",
        "frequency", "heat", "heat_balance", "hot_spot_stress", "linearized_stress", "mass", "no_mode_in",
        "reaction", "strain", "stress", "temperature", "time_to", "yield_margin",
    ),
    "requirements.life": ("damage", "life"),
    "requirements.quality": ("mesh_quality",),
    "requirements.compliance": ("compliance",),
    "prototype.life": ("LifeTest", "unit_case"),
    "criteria": ("Envelope", "FailureZone", "Verdict", "envelope", "failure_zones", "utilization"),
    "prototype": (
        "BucklingTest", "ResultCache", "StrengthTest", "ThermalStressTest", "ThermalTest", "VibrationTest",
        "read_design",
    ),
    "analysis": (
        "campbell", "reduce", "reduction_error", "shock_spectrum", "solve_buckling", "solve_dynamics",
        "solve_harmonic", "solve_modes", "solve_random", "solve_spectrum", "solve_static", "solve_thermal",
        "solve_transient",
    ),
    "study": ("Study", "variable"),
    "study.indices": ("sobol_indices",),
    "study.scatter": ("scatter", "tolerance"),
    "topology": ("RAMP", "SIMP", "Topology"),
    "topology.grid": ("GridProblem", "VoxelGrid", "stiffest"),
    "study.freeform": ("FreeForm", "Shaped"),
    "edge": (
        "animate", "compare", "plot", "plot_campbell", "plot_check", "plot_envelope", "plot_heat_balance",
        "plot_history", "plot_mesh", "plot_model", "plot_modes", "plot_psd", "plot_response",
        "plot_shock_spectrum", "plot_times", "plot_zones", "write_report",
    ),
    "io": ("read_mesh", "write_mesh"),
    "io.cad": ("Cad",),
    "io.logs": ("SensorLog", "read_log"),
    "fatigue": (
        "Cycles", "MeanStress", "Rainflow", "SNCurve", "base_metal_curve", "fatigue_curve",
        "fatigue_curve_names", "mean_stress_sensitivity", "rainflow",
    ),
    "fatigue.strain_life": ("StrainLife", "strain_life", "strain_life_names"),
    "fatigue.crack": ("CrackLife", "Flaw", "ParisLaw", "crack_life", "critical_depth", "paris_law"),
    "fatigue.multiaxial": ("CriticalPlane", "critical_plane", "signed_von_mises"),
    "fatigue.spectral": ("damage_rate", "spectral_moments"),
    "mesh": (
        "Group", "Lattice", "Mesh", "MeshReport", "Selection", "bore", "box", "cylinder", "everything",
        "exterior", "faces", "feature", "fillet", "group", "ids", "move", "near", "nearest", "offset",
        "plane", "scale", "select", "sphere", "stretch",
    ),
}  # fmt: skip
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        from difflib import get_close_matches

        near = " or ".join(map(repr, get_close_matches(name, _HOME, n=2)))
        raise AttributeError(
            f"designtwin has no {name!r}; " + (f"did you mean {near}?" if near else "see dir()")
        )
    value = getattr(import_module(f"designtwin.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
