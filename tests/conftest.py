"""What all tests share; its place puts this folder on the path, so that ``import builders`` works."""

import os

# No test finds what another run kept; those of the cache name folders of their own.
os.environ["DESIGNTWIN_CACHE"] = "off"
