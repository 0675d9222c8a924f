"""Damaged files give our own error or a valid mesh: no crash, no hang over 5 s, no memory beyond 1 GiB."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import mutations
import pytest
from surroundings import FULL

COUNT = 2000 if FULL else 300
WORKERS = 2


def test_sound_files_are_read():
    """The damage below begins with files that are right."""
    with tempfile.TemporaryDirectory() as folder:
        for name, suffix, content in mutations.seeds():
            path = Path(folder) / f"sound{suffix}"
            path.write_bytes(content)
            assert mutations.outcome(path) == "mesh", name


def test_damaged_files_are_refused_or_read_whole(tmp_path, record_property):
    share = COUNT // WORKERS
    runs = []
    for i in range(WORKERS):
        folder = tmp_path / str(i)
        folder.mkdir()
        arguments = [sys.executable, mutations.__file__, str(i * share), str(share), str(folder)]
        runs.append(subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    totals = {"refused": 0, "mesh": 0}
    for run in runs:
        out, errors = run.communicate(timeout=60 + 5 * share)
        assert run.returncode == 0, f"the reader took its process along: {errors[-2000:]}"
        result = json.loads(out.splitlines()[-1])
        assert result["wrong"] == []
        assert result["slowest"] < mutations.SECONDS
        for key in totals:
            totals[key] += result[key]
    assert sum(totals.values()) == WORKERS * share
    record_property("damaged files, seeds from 0", COUNT)
    record_property("refused", totals["refused"])
    # Both answers occur: damage that is never refused would not be damage.
    assert totals["refused"] > 0.5 * COUNT
    assert totals["mesh"] > 0.05 * COUNT


def test_damage_is_the_same_every_time():
    assert [mutations.mutated(i) for i in range(20)] == [mutations.mutated(i) for i in range(20)]
    assert len({mutations.mutated(i)[1] for i in range(100)}) >= 6


@pytest.mark.parametrize(
    "bad", [b"$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$Nodes\n1 6000000000 1 6000000000\n3 1 0 6000000000\n"]
)
def test_known_traps(bad, tmp_path):
    """A file of 142 bytes that made meshio ask for 44.7 GiB (nschloe/meshio 1562)."""
    path = tmp_path / "a.msh"
    path.write_bytes(bad + b"$EndNodes\n$Elements\n0 0 0 0\n$EndElements\n")
    assert mutations.outcome(path) == "refused"
