"""A page as PDF, printed by a browser that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from designtwin.errors import PictureError

NAMES = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
    "microsoft-edge", "microsoft-edge-stable", "brave-browser",
)  # fmt: skip
"""Browsers that print without a window, as they are called on PATH."""
_PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
        r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
    ),
}
FLAGS = (
    "--headless=new", "--no-first-run", "--disable-extensions", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--no-default-browser-check",
    # The system's sandbox does not start for its administrator; the page is our own.
    *(("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()),
)  # fmt: skip
"""No window, no updates, no questions."""
_SECONDS = 120.0


def find_browser() -> str | None:
    """The program that can print a page; None where there is none."""
    for name in NAMES:
        found = shutil.which(name)
        if found:
            return found
    places = (os.path.expandvars(place) for place in _PLACES.get(sys.platform, ()))
    return next((place for place in places if Path(place).is_file()), None)


def need_browser() -> str:
    """The program that prints.

    Raises
    ------
    PictureError
        If there is none.
    """
    browser = find_browser()
    if browser is None:
        raise PictureError(
            "a PDF is printed by a browser, and none is installed: none of "
            f"{', '.join(NAMES)} is on PATH; write the report as .html and print it from any browser"
        )
    return browser


def print_pdf(page: str) -> bytes:
    """A page as PDF.

    Parameters
    ----------
    page : str
        HTML that asks for nothing from elsewhere.

    Raises
    ------
    PictureError
        If no browser is installed, or it does not print.
    """
    browser = need_browser()
    with tempfile.TemporaryDirectory(prefix="designtwin-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        source, target = folder / "report.html", folder / "report.pdf"
        source.write_text(page, encoding="utf-8")
        command = [
            browser, *FLAGS, "--disable-gpu", f"--user-data-dir={folder / 'profile'}",
            "--no-pdf-header-footer", f"--print-to-pdf={target}", source.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PictureError(f"{browser} did not print the report: {error}") from None
        pdf = target.read_bytes() if target.is_file() else b""
        if not pdf.startswith(b"%PDF-"):
            last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
            said = f": {last[0]}" if last else ""
            raise PictureError(
                f"{browser} ended with {done.returncode} and printed no PDF{said}; write the report as .html "
                "and print it by hand"
            )
    return pdf
