"""Where training keeps its data, and where the exported model lies."""

import os
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
MODEL_DIR = REPOSITORY_ROOT / "models" / "aquatint"
CACHE_VARIABLE = "AQUATINT_CACHE"
# In the cache, in the order of the records.
BASE_FILE, FULL_FILE = "base_views.npy", "full_pictures.npy"


def default_cache_dir() -> Path:
    """Return ``$AQUATINT_CACHE``, or ``aquatint`` in the user's cache directory."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "aquatint"
