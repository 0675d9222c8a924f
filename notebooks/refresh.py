"""Run the notebooks and keep what they show: ``make notebooks``, or this file with names of some.

The picture of the README is made anew by its own example: name it ``README``.
Pictures are reduced to 256 colors, so that a run adds little to the repository.
"""

from __future__ import annotations

import base64
import contextlib
import io
import re
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent


def refresh(path: Path) -> None:
    """Run a notebook on a clean kernel and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    start = time.perf_counter()
    where = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources=where).execute()
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    size = 0
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:02d}"
        cell.metadata = {}
        for output in cell.get("outputs", ()):
            output.get("metadata", {}).pop("filenames", None)
            data = output.get("data", {})
            if "image/png" in data:
                png = with_few_colors(base64.b64decode(data["image/png"]))
                size += len(png)
                data["image/png"] = base64.b64encode(png).decode()
    nbformat.validate(notebook)
    path.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
    print(f"{path.name}: {time.perf_counter() - start:.0f} s, pictures {size / 1e3:.0f} kB")


def refresh_readme() -> None:
    """Run the example of the README as it stands and keep the picture it makes."""
    example = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    with contextlib.chdir(ROOT):
        exec(compile(example.group(1), "README.md", "exec"), {})
        picture = with_few_colors(Path("out/stress.png").read_bytes())
    (ROOT / "docs" / "bracket.png").write_bytes(picture)
    print(f"docs/bracket.png: {len(picture) / 1e3:.0f} kB; the verdict above stands in README.md")


def with_few_colors(png: bytes) -> bytes:
    """The picture with a palette of 256 colors of its own."""
    with Image.open(io.BytesIO(png)) as picture:
        full = picture.convert("RGB")
        palette = full.quantize(256, method=Image.Quantize.FASTOCTREE)
        out = io.BytesIO()
        full.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).save(
            out, format="PNG", optimize=True
        )
    return out.getvalue()


if __name__ == "__main__":
    for path in sorted(HERE.glob("*.ipynb")):
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            refresh(path)
    if not sys.argv[1:] or "README" in sys.argv[1:]:
        refresh_readme()
