"""Names of workers that outlive their processes."""

import subprocess
import sys
from pathlib import Path

from mezzotint.inference.work.worker_name import worker_name
from tests.support.clock import counting_ids

HOLD = """
import sys
from pathlib import Path
from mezzotint.inference.work.worker_name import worker_name
with worker_name(Path(sys.argv[1]), lambda prefix: prefix + "_child") as name:
    print(name, flush=True)
    sys.stdin.read()
"""


def test_name_is_the_same_after_a_restart(tmp_path: Path) -> None:
    """The next process gets the name of the one before, and one that runs beside it gets a name of its own."""
    new_id = counting_ids()
    with worker_name(tmp_path, new_id) as first:
        pass
    with worker_name(tmp_path, new_id) as again, worker_name(tmp_path, new_id) as beside:
        assert first == again == "worker_000001"
        assert beside == "worker_000002"


def test_name_is_free_after_a_kill(tmp_path: Path) -> None:
    """A process that is killed leaves its name to the next one; while it lives nobody else gets it."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout is not None
        assert child.stdout.readline().strip() == "worker_child"
        with worker_name(tmp_path, counting_ids()) as beside:
            assert beside == "worker_000001"
        child.kill()
    with worker_name(tmp_path, counting_ids()) as after:
        assert after == "worker_child"
