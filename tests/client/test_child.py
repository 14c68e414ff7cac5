"""A child process ends with its parent, whatever becomes of the parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from mezzotint_client.process import CHILD

# Says that it runs, and stops in an orderly way when asked to.
POLITE = """
import signal, sys
def stop(number, frame):
    print("stopped in order", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("runs", flush=True)
signal.pause()
while True:
    signal.pause()
"""
STUBBORN = (
    "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('runs', flush=True)\nwhile True: signal.pause()\n"
)
# A parent that starts the child as ServiceProcess does, says its id, and waits.
PARENT = """
import subprocess, sys
command = [sys.executable, "-P", sys.argv[1], sys.argv[2], "service"]
child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=open(sys.argv[3], "w"))
print(child.pid, flush=True)
child.wait()
"""
SECONDS_MAX = 15


def start_family(folder: Path, program: str, drain_seconds: str) -> tuple[subprocess.Popen[str], psutil.Process, Path]:
    """A parent and its child, running; and the file with the child's output."""
    (folder / "service.py").write_text(program)
    output = folder / "output"
    command = [sys.executable, "-c", PARENT, str(CHILD), drain_seconds, str(output)]
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    assert parent.stdout is not None
    child = psutil.Process(int(parent.stdout.readline()))
    while "runs" not in output.read_text():
        assert parent.poll() is None
    return parent, child, output


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_child_stops_in_order_when_its_parent_is_gone(tmp_path: Path, how: signal.Signals) -> None:
    """A parent killed outright leaves no orphan, and the child still gets to stop in an orderly way."""
    parent, child, output = start_family(tmp_path, POLITE, "10")
    with parent:
        parent.send_signal(how)
    child.wait(SECONDS_MAX)
    assert output.read_text().splitlines() == ["runs", "stopped in order"]


def test_a_child_that_ignores_sigterm_is_killed_in_the_end(tmp_path: Path) -> None:
    """Not even a child that does not stop outlives its parent for longer than the drain time."""
    parent, child, _ = start_family(tmp_path, STUBBORN, "0.2")
    with parent:
        parent.kill()
    child.wait(SECONDS_MAX)
    assert not child.is_running()


def test_a_child_runs_a_module_as_python_does(tmp_path: Path) -> None:
    """The module sees the name __main__, its own arguments and its exit code comes through."""
    (tmp_path / "service.py").write_text("import sys\nprint(__name__, sys.argv[1:])\nsys.exit(7)\n")
    command = [sys.executable, "-P", str(CHILD), "1", "service"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.read() == "__main__ []\n"
        assert child.wait(SECONDS_MAX) == 7
