"""Pictures: on screen, off screen, in a notebook, and where no graphics library is to be had.

`designtwin.edge` is the door; nothing above it in the house imports this package.
"""

from designtwin.viz.animation import Animation, animate
from designtwin.viz.course import plot_heat_balance, plot_times
from designtwin.viz.envelopes import plot_envelope
from designtwin.viz.fields import colors_a_part, compare, default_name, field_name, plot_field
from designtwin.viz.history import plot_history
from designtwin.viz.models import plot_check, plot_mesh, plot_model
from designtwin.viz.picture import Picture
from designtwin.viz.screen import graphics, has_screen
from designtwin.viz.sensitivity import plot_sensitivity
from designtwin.viz.shapes import plot_modes
from designtwin.viz.spectra import plot_campbell, plot_psd, plot_response, plot_shock_spectrum
from designtwin.viz.study import plot_front, plot_study_sensitivity
from designtwin.viz.topology import TopologyFilm, plot_topology
from designtwin.viz.variants import plot_indices, plot_robustness, plot_variants
from designtwin.viz.web import web_view
from designtwin.viz.zones import plot_zones

__all__ = [
    "Animation",
    "Picture",
    "TopologyFilm",
    "animate",
    "colors_a_part",
    "compare",
    "default_name",
    "field_name",
    "graphics",
    "has_screen",
    "plot_campbell",
    "plot_check",
    "plot_envelope",
    "plot_field",
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
    "plot_sensitivity",
    "plot_shock_spectrum",
    "plot_study_sensitivity",
    "plot_times",
    "plot_topology",
    "plot_variants",
    "plot_zones",
    "web_view",
]
