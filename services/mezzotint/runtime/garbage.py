"""Python's garbage collection, kept from looking again and again at what stays.

Almost everything a service makes is freed by its count of references. The collector is for cycles, and walks over containers
to find them: over those of the imports and of whatever was loaded at the start, for nothing.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

# New containers between two looks at the youngest, and how many of these come before one at the older, and at the oldest.
THRESHOLDS = (20_000, 20, 50)


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside the block: for loading much that stays."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def settle(_port: int = 0) -> None:
    """What is there now stays until the end, and is not looked at any more. To be called once, when a service is ready."""
    gc.freeze()
    gc.set_threshold(*THRESHOLDS)
