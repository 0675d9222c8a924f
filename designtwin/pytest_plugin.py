"""Parts tested like software: a fixture for pytest.

    def test_bracket(design):
        assert design("bracket.toml").passes()

What fails shows its verdict as the message: every requirement with value, error and status, and why nothing
could be told. Files are looked for beside the test. What is unchanged is taken from the result cache, which
workers of pytest-xdist may share; ``DESIGNTWIN_CACHE`` names its folder, or says "off".

Nothing of this package is loaded until a test asks for a design.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from designtwin.criteria import Verdict

_ASKED = pytest.StashKey[list["TestedDesign"]]()


class TestedDesign:
    """A text file and the verdicts of its tests, which run when first asked for.

    Parameters
    ----------
    path : Path
    refinement : mapping
        As of ``Design.run``.
    """

    __test__ = False  # not one of pytest's

    def __init__(self, path: Path, refinement: dict[str, Any]) -> None:
        self.path, self._refinement = path, refinement

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One for each kind of test; a file that cannot be tested fails the test with its message."""
        from designtwin.errors import DesignTwinError
        from designtwin.prototype import ResultCache, read_design
        from designtwin.prototype.cache import default_folder

        cache = None if default_folder() is None else ResultCache()
        try:
            return read_design(self.path).run(cache=cache, **self._refinement)
        except DesignTwinError as error:
            why = f"{self.path.name} cannot be tested: {error}"
        pytest.fail(why, pytrace=False)  # its message says all; where we raised it helps nobody

    @property
    def status(self) -> str:
        """PASS, FAIL or CANNOT TELL, of all its tests."""
        from designtwin.criteria.verdict import overall

        return overall(verdict.status for verdict in self.verdicts)

    def passes(self) -> bool:
        """Whether every requirement surely holds: what cannot be told does not pass."""
        return self.status == "PASS"

    def __str__(self) -> str:
        return "\n\n".join(str(verdict) for verdict in self.verdicts)

    def __repr__(self) -> str:
        return f"<design {self.path.name}>"


@pytest.fixture
def design(request: pytest.FixtureRequest) -> Callable[..., TestedDesign]:
    """A prototype test as text, by its path beside the test: ``design("part.toml", refine="auto")``."""
    asked = request.node.stash.setdefault(_ASKED, [])

    def read(path: str | Path, **refinement: Any) -> TestedDesign:
        one = TestedDesign(request.path.parent / path, refinement)
        asked.append(one)
        return one

    return read


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Put the verdicts of designs that do not pass into the message of an assertion that fails."""
    try:
        return (yield)
    except AssertionError as error:
        ran = [one for one in item.stash.get(_ASKED, []) if "verdicts" in vars(one)]
        failed = [str(one) for one in ran if not one.passes()]
        if failed:
            error.args = ("\n\n".join([*failed, *map(str, error.args[:1])]),)
        raise
