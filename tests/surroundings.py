"""Where a test run stands: shared meshes beside the repository, if any; how much is asked."""

import os
from pathlib import Path

SHARED = Path(__file__).parents[2] / "shared" / "verification" / "meshes"
FULL = os.environ.get("DESIGNTWIN_VERIFY") == "1"
"""True under ``make verify``: full counts."""
