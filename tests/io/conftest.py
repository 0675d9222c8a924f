"""Files written in a test and read back through the door."""

import sys
from pathlib import Path

import pytest
from surroundings import SHARED

from designtwin.io import read_mesh

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def read_text(tmp_path):
    """Read text as a file of that name; more files may stand beside it."""

    def read(text, name="deck.inp", *, length_unit="m", **others):
        for other, content in others.items():
            (tmp_path / other.replace("__", ".")).write_text(content)
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_mesh(path, length_unit=length_unit)

    return read


@pytest.fixture
def shared_mesh():
    """A file of the shared verification folder, or a skip that says so."""

    def find(name):
        if not SHARED.is_dir():
            pytest.skip("the shared folder of verification meshes is not here")
        return SHARED / name

    return find
