"""The one door from a model, a result or a verdict to its picture or page.

Everything that draws or writes pages is imported here and nowhere else, when it is called: computing needs
neither VTK nor matplotlib.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from designtwin.requirements import Quantity
    from designtwin.viz.animation import Animation
    from designtwin.viz.picture import Picture

__all__ = [
    "animate",
    "compare",
    "plot",
    "plot_campbell",
    "plot_check",
    "plot_envelope",
    "plot_front",
    "plot_heat_balance",
    "plot_history",
    "plot_indices",
    "plot_mesh",
    "plot_model",
    "plot_modes",
    "plot_psd",
    "plot_response",
    "plot_robustness",
    "plot_sensitivity", "plot_shock_spectrum",
    "plot_times",
    "plot_topology",
    "plot_variants",
    "plot_verdict",
    "plot_zones",
    "report",
    "write_report",
]  # fmt: skip


def plot(source: Any, name: str | Quantity = "von_mises", **options: Any) -> Picture:
    """Draw a field of a result; see `designtwin.viz.plot_field` for the options."""
    from designtwin.viz import plot_field

    return plot_field(source, name, **options)


def animate(
    source: Any, path: str | os.PathLike[str], name: str | Quantity = "", **options: Any
) -> Animation:
    """Show a field over time as GIF, WebP, MP4 or a page with a slider; see `designtwin.viz.animate`."""
    from designtwin.viz import animate as draw

    return draw(source, path, name, **options)


def plot_times(histories: Any, **options: Any) -> Picture:
    """Draw one or several histories over time; see `designtwin.viz.plot_times`."""
    from designtwin.viz import plot_times as draw

    return draw(histories, **options)


def plot_heat_balance(case: Any, **options: Any) -> Picture:
    """Draw heat in, out and stored over time; see `designtwin.viz.plot_heat_balance`."""
    from designtwin.viz import plot_heat_balance as draw

    return draw(case, **options)


def plot_modes(modes: Any, name: str = "shape", **options: Any) -> Picture:
    """Draw the first modes side by side; see `designtwin.viz.plot_modes`."""
    from designtwin.viz import plot_modes as draw

    return draw(modes, name, **options)


def plot_response(responses: Any, **options: Any) -> Picture:
    """Draw amplitude and phase over frequency; see `designtwin.viz.plot_response`."""
    from designtwin.viz import plot_response as draw

    return draw(responses, **options)


def plot_psd(densities: Any, **options: Any) -> Picture:
    """Draw spectral densities of responses and input; see `designtwin.viz.plot_psd`."""
    from designtwin.viz import plot_psd as draw

    return draw(densities, **options)


def plot_shock_spectrum(spectra: Any, **options: Any) -> Picture:
    """Draw shock response spectra; see `designtwin.viz.plot_shock_spectrum`."""
    from designtwin.viz import plot_shock_spectrum as draw

    return draw(spectra, **options)


def plot_campbell(diagram: Any, **options: Any) -> Picture:
    """Draw natural frequencies over the speed of a rotor; see `designtwin.viz.plot_campbell`."""
    from designtwin.viz import plot_campbell as draw

    return draw(diagram, **options)


def plot_verdict(verdict: Any, name: str | Quantity = "", **options: Any) -> Picture:
    """Draw a field with the verdict's limits and failure zones; without a name, what is worst off."""
    from designtwin.viz import plot_field

    return plot_field(verdict, name, **options)


def plot_zones(verdict: Any, zones: Sequence[Any] | None = None, **options: Any) -> Picture:
    """Draw failure zones: close-up, cut through the peak, whereabouts; see `designtwin.viz.plot_zones`."""
    from designtwin.viz import plot_zones as draw

    return draw(verdict, zones, **options)


def plot_envelope(envelope: Any, what: str = "values", **options: Any) -> Picture:
    """Draw the worst over cases and time, or what governs where; see `designtwin.viz.plot_envelope`."""
    from designtwin.viz import plot_envelope as draw

    return draw(envelope, what, **options)


def plot_mesh(mesh: Any, **options: Any) -> Picture:
    """Draw a mesh with its named groups; see `designtwin.viz.plot_mesh`."""
    from designtwin.viz import plot_mesh as draw

    return draw(mesh, **options)


def plot_model(model: Any, **options: Any) -> Picture:
    """Draw what holds and what loads a part; see `designtwin.viz.plot_model`."""
    from designtwin.viz import plot_model as draw

    return draw(model, **options)


def plot_check(mesh: Any, report: Any = None, **options: Any) -> Picture:
    """Draw what the mesh doctor found; see `designtwin.viz.plot_check`."""
    from designtwin.viz import plot_check as draw

    return draw(mesh, report, **options)


def plot_history(history: Any, **options: Any) -> Picture:
    """Draw the course of a study; see `designtwin.viz.plot_history`."""
    from designtwin.viz import plot_history as draw

    return draw(history, **options)


def plot_study_sensitivity(table: Any, **options: Any) -> Picture:
    """Draw how responses move with variables; see `designtwin.viz.plot_study_sensitivity`."""
    from designtwin.viz import plot_study_sensitivity as draw

    return draw(table, **options)


def plot_front(front: Any, **options: Any) -> Picture:
    """Draw the front between two quantities; see `designtwin.viz.plot_front`."""
    from designtwin.viz import plot_front as draw

    return draw(front, **options)


def plot_topology(optimum: Any, what: str = "density", **options: Any) -> Picture:
    """Draw a design of densities beside its design space; see `designtwin.viz.plot_topology`."""
    from designtwin.viz import plot_topology as draw

    return draw(optimum, what, **options)


def follow_topology(live: bool | None) -> Callable[[Any], None] | None:
    """A picture that follows a run, in a notebook unless said otherwise; None where nobody looks."""
    from designtwin.progress import watcher

    if not (watcher() == "notebook" if live is None else live):
        return None
    from designtwin.viz import TopologyFilm

    return TopologyFilm()


def plot_variants(variants: Any, kind: str = "scatter", **options: Any) -> Picture:
    """Draw a table of designs; see `designtwin.viz.plot_variants`."""
    from designtwin.viz import plot_variants as draw

    return draw(variants, kind, **options)


def plot_indices(indices: Any, **options: Any) -> Picture:
    """Draw Sobol indices; see `designtwin.viz.plot_indices`."""
    from designtwin.viz import plot_indices as draw

    return draw(indices, **options)


def plot_robustness(robustness: Any, **options: Any) -> Picture:
    """Draw what scatter does to a design; see `designtwin.viz.plot_robustness`."""
    from designtwin.viz import plot_robustness as draw

    return draw(robustness, **options)


def plot_sensitivity(sensitivity: Any, **options: Any) -> Picture:
    """Draw what moving the surface does to a response; see `designtwin.viz.plot_sensitivity`."""
    from designtwin.viz import plot_sensitivity as draw

    return draw(sensitivity, **options)


def compare(before: Any, after: Any, name: str | Quantity = "von_mises", **options: Any) -> Picture:
    """Draw one field of two results side by side; see `designtwin.viz.compare`."""
    from designtwin.viz import compare as draw

    return draw(before, after, name, **options)


def report(source: Any | Sequence[Any], path: str | os.PathLike[str], **options: Any) -> Path:
    """Write a verdict, or sections of a longer story, as one HTML page; see `designtwin.report`."""
    from designtwin import viz
    from designtwin.report import write_report as write

    return write(source, path, artist=viz, **options)


def need_browser() -> str:
    """The program that prints pages as PDF; see `designtwin.report.browser`."""
    from designtwin.report.browser import need_browser as find

    return find()


write_report = report
"""The same under a name that no folder has: ``designtwin.report`` is a room."""
