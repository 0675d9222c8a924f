"""The main job on a real part, from mesh to verdict to tuned design: what ``designtwin demo`` runs."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import designtwin as dtw
from designtwin.errors import MeshReadError

MESHES = Path(__file__).resolve().parents[1] / "meshes"


def bracket(values: dict[str, float], mesh: dtw.Mesh) -> dtw.Model:
    """The bracket of another thickness, rib width and fillet radius, on the same cells.

    Parameters
    ----------
    values : thickness of both plates, width of the rib, radius of the fillet between the plates, m.
    mesh : bracket.msh or bracket_fine.msh: 5 mm, 10 mm and 6 mm.
    """
    thickness, rib = values["thickness"], values["rib"]
    shaped = mesh.morphed(
        # The plates grow outward: all that lies in the corner stays where it is.
        dtw.stretch("x", {"-5 mm": "-5 mm", "0 mm": thickness - 0.005}),
        dtw.stretch("z", {"0 mm": 0.005 - thickness, "5 mm": "5 mm"}),
        dtw.stretch(
            "y",
            {"-30 mm": "-30 mm", "-5 mm": -rib / 2, "5 mm": rib / 2, "30 mm": "30 mm"},
            only={"z": (None, "36 mm")},
            blend="12 mm",
        ),
        dtw.fillet("root_fillet", values["fillet"]),
    )
    return loaded(shaped)


def loaded(mesh: dtw.Mesh) -> dtw.Model:
    """Steel, bolted down, lifted and braked, and next to something hot."""
    return dtw.Model(
        mesh,
        materials={"body": dtw.material("S355")},
        supports=[dtw.FixedSupport(on="bolt_holes")],
        load_cases={
            "lift": [dtw.Force(on="lug", value=("0 N", "0 N", "-2.5 kN")), dtw.Gravity(direction="-z")],
            "brake": [dtw.Pressure(on=dtw.faces(normal="+x", at="max"), magnitude="4 MPa")],
            "both": dtw.combine(lift=1.35, brake=1.5),
            "hot pin": [
                dtw.HeatFlow(on="lug", total="20 W"),
                dtw.FixedTemperature(on="base", value="40 degC"),
                dtw.Convection(
                    on=dtw.exterior() & ~dtw.group("base") & ~dtw.group("lug"),
                    coefficient="10 W/(m2*K)",
                    ambient="25 degC",
                ),
            ],
        },
        name="bracket",
    )


def strength(model: dtw.Model) -> list[Any]:
    """What the bracket must withstand."""
    return [
        dtw.StrengthTest(
            model,
            requirements=[
                dtw.yield_margin(excluding=dtw.near("bolt_holes", "4 mm")) >= 1.5,
                dtw.displacement("lug", "z") <= "0.4 mm",
            ],
        )
    ]


def main(out: str | Path = "out") -> Any:
    """Run the demo, write pictures and a page into a folder, and return the verdict on the tuned design.

    Raises
    ------
    MeshReadError
        If the meshes of the project are not where this installation can see them.
    """
    from designtwin import edge

    folder = Path(out)
    start = time.perf_counter()

    def say(text: str) -> None:
        print(f"\n[{time.perf_counter() - start:5.1f} s] {text}", flush=True)

    source = next((p for p in (MESHES, Path("meshes")) if (p / "bracket.msh").exists()), None)
    if source is None:
        raise MeshReadError(
            "the demo's meshes come with the source of the project: say `make demo` in a clone"
        )

    say("import the mesh of a bracket and check it")
    mesh = dtw.read_mesh(source / "bracket.msh", length_unit="mm")
    print(mesh)
    print(mesh.check())

    say("strength test: two load cases and their combination")
    model = loaded(mesh)
    print(model)
    verdict = strength(model)[0].run()
    print(verdict)
    say("pictures: stress, safety factor, failure zones")
    for name, case in (("von_mises", "lift"), ("von_mises", "brake"), ("safety_factor", "both")):
        print("  ", verdict.plot(name, case=case, screenshot=folder / f"{name}_{case}.png").path)
    zones = verdict.failure_zones()
    print("failure zones:", *(zones or ["none"]), sep="\n  ")

    say("steady thermal test: the pin in the lug gives off 20 W")
    thermal = dtw.ThermalTest(model, requirements=[dtw.temperature("lug") <= "95 degC"]).run()
    print(thermal)
    print("  ", thermal.plot("temperature", screenshot=folder / "temperature.png").path)

    say("design loop: thickness, rib and fillet for the least mass that meets the requirements")
    store = folder / "study"
    # The demo shows the search; a study of yours would keep its store and resume from it.
    shutil.rmtree(store, ignore_errors=True)
    study = dtw.Study(
        build=bracket,
        mesh=mesh,
        variables={
            "thickness": dtw.variable("3 mm", "8 mm", start="5 mm"),
            "rib": dtw.variable("4 mm", "20 mm"),
            "fillet": dtw.variable("2 mm", "10 mm"),
        },
        tests=strength,
        minimize=dtw.mass(),
        store=store,
        name="bracket",
    )
    best = study.run(max_analyses=24, max_time="80 s", tolerance=3e-3)
    print(best)
    print("  ", best.history.plot(screenshot=folder / "history.png").path)
    tuned = best.verdicts[0]
    picture = folder / "before_after.png"
    print("  ", edge.compare(verdict, tuned, "von_mises", case="both", screenshot=picture).path)

    say("the tuned design again, on a finer mesh the optimizer never saw")
    check = best.verify(dtw.read_mesh(source / "bracket_fine.msh", length_unit="mm"))
    print(check)

    say("one page with all of it")
    page = edge.write_report(
        [
            ("Strength", verdict),
            ("Heat", thermal),
            ("Design loop", best),
            ("Tuned design on a finer mesh", check),
        ],
        folder / "summary.html",
        title="Bracket: from mesh to tuned design",
    )
    print("  ", page)
    say(f"done: first design {verdict.status}, tuned design {check.status} on the finer mesh")
    return check


if __name__ == "__main__":
    main()
