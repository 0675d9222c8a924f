"""Makes the virtual environment, or says in one line what the system lacks.

Runs on the system's Python before anything is installed, so it uses the standard library alone.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def stop(found: str, line: str) -> None:
    print(f"{found}\nrun this, then try again:\n\n    {line}\n", file=sys.stderr)
    raise SystemExit(1)


def make_environment(folder: str) -> None:
    if sys.version_info < (3, 11):  # noqa: UP036  (this file runs before anything can refuse)
        stop(
            f"Python 3.11 or newer is needed; {sys.executable} is {sys.version.split()[0]}",
            "make PYTHON=python3.12 ...   (with the interpreter you have)",
        )
    if (Path(folder) / "bin" / "python").exists():
        return
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        stop("this Python cannot make virtual environments", "sudo apt install -y python3-venv")
    done = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True)
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        stop("the virtual environment could not be made", "sudo apt install -y python3-venv")


# What VTK's wheels need from the system, by the library the loader misses.
_PACKAGES = {
    "libGL.so": "libgl1",
    "libX11.so": "libx11-6",
    "libXrender.so": "libxrender1",
    "libXext.so": "libxext6",
    "libxcb.so": "libxcb1",
    "libEGL.so": "libegl1",
    "libgomp.so": "libgomp1",
    "libSM.so": "libsm6",
    "libICE.so": "libice6",
    "libXcursor.so": "libxcursor1",
    "libXt.so": "libxt6",
}


def check_libraries() -> None:
    code = "import vtkmodules.vtkRenderingOpenGL2, vtkmodules.vtkRenderingFreeType, numba, scipy.sparse"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode == 0:
        return
    for name, package in _PACKAGES.items():
        if name in done.stderr:
            stop(
                f"a system library for pictures is missing: {name}",
                f"sudo apt install -y libgl1 libxrender1 {package}",
            )
    print(done.stderr, file=sys.stderr)
    raise SystemExit("the installed packages do not load; see above")


if __name__ == "__main__":
    if sys.argv[1:] == ["--libraries"]:
        check_libraries()
    else:
        make_environment(sys.argv[1])
