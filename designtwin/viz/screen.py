"""What this process can draw on: a screen, a notebook, a graphics library, or none of them.

A graphics library that does not fit its machine ends the process instead of raising, so it is tried once in
a process of its own. The answer is kept in ``DESIGNTWIN_GL``, which child processes inherit and a user may
set: ``screen`` (a window system), ``egl`` or ``osmesa`` (off screen), ``none`` (our own renderer).
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

from designtwin.progress import in_notebook

logger = logging.getLogger("designtwin.viz")

_WINDOW = {"egl": "vtkEGLRenderWindow", "osmesa": "vtkOSOpenGLRenderWindow"}
if sys.platform.startswith("linux"):
    # Without being told, VTK answers a dead DISPLAY with an off-screen window and a crash when it is shown.
    _WINDOW["screen"] = "vtkXOpenGLRenderWindow"
_FALSE = ("", "0", "false", "no", "off")
_lock = threading.Lock()

# One red triangle; nothing but the exit code and the word "drawn" is believed.
_PROBE = """
import vtkmodules.vtkRenderingOpenGL2
from vtkmodules.vtkRenderingCore import vtkActor, vtkPolyDataMapper, vtkRenderer, vtkRenderWindow
from vtkmodules.vtkRenderingCore import vtkWindowToImageFilter
from vtkmodules.vtkFiltersSources import vtkSphereSource
source = vtkSphereSource()
mapper = vtkPolyDataMapper()
mapper.SetInputConnection(source.GetOutputPort())
actor = vtkActor()
actor.SetMapper(mapper)
scene = vtkRenderer()
scene.AddActor(actor)
scene.SetBackground(0, 0, 0)
window = vtkRenderWindow()
window.SetOffScreenRendering(1)
window.SetSize(64, 64)
window.AddRenderer(scene)
window.Render()
grab = vtkWindowToImageFilter()
grab.SetInput(window)
grab.Update()
if grab.GetOutput().GetScalarRange()[1] > 64:
    print("drawn")
"""


def graphics() -> str:
    """The way VTK can draw here: "screen", "egl", "osmesa" or "none"; tried once.

    The environment of this process is set accordingly, before VTK makes its first window.
    """
    with _lock:
        known = os.environ.get("DESIGNTWIN_GL", "")
        if known not in ("screen", "egl", "osmesa", "none"):
            known = _find()
            os.environ["DESIGNTWIN_GL"] = known
        if known in _WINDOW:
            os.environ["VTK_DEFAULT_OPENGL_WINDOW"] = _WINDOW[known]
        return known


def give_up() -> None:
    """Draw without VTK from now on."""
    os.environ["DESIGNTWIN_GL"] = "none"


def _find() -> str:
    if sys.platform in ("win32", "darwin"):
        candidates = ["screen"]
    else:
        candidates = ["screen"] if _window_system() else []
        candidates += ["egl", "osmesa"]
    for candidate in candidates:
        if _draws(candidate):
            return candidate
    logger.warning(
        "no graphics library works here (tried %s): pictures come from designtwin's own renderer; "
        "libegl1 and libgl1-mesa-dri (Debian's names) would let VTK draw them",
        ", ".join(candidates),
    )
    return "none"


def _draws(candidate: str) -> bool:
    environment = dict(os.environ)
    environment.pop("VTK_DEFAULT_OPENGL_WINDOW", None)
    if candidate in _WINDOW:
        environment["VTK_DEFAULT_OPENGL_WINDOW"] = _WINDOW[candidate]
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", _PROBE],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and b"drawn" in done.stdout


def _window_system() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def has_screen() -> bool:
    """True where a window would be seen by someone."""
    if in_notebook() or os.environ.get("CI", "").lower() not in _FALSE:
        return False
    if os.environ.get("PYVISTA_OFF_SCREEN", "").lower() not in _FALSE:
        return False
    if sys.platform in ("win32", "darwin"):
        return "SSH_CONNECTION" not in os.environ
    return _window_system() and graphics() == "screen"
