"""Guests are replayed as any function is: what tests of replays share is shared with theirs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "replay"))
