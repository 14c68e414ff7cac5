"""The command line as a real process."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

SECONDS_MAX = 60
MEZZOTINT = str(Path(sys.executable).with_name("mezzotint"))
# No shell of the developer's decides what the command does; its scripts are where a reader would have them.
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("MEZZOTINT_")} | {
    "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}",
    "NO_COLOR": "1",
}


def mezzotint(*arguments: object, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [MEZZOTINT, *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=ENVIRONMENT | environment, capture_output=True, text=True, timeout=SECONDS_MAX, check=False
    )


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a line as somebody would who copied it into a terminal."""
    command = ["bash", "-c", line]
    return subprocess.run(command, cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)


@contextmanager
def started(*arguments: object, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """The command, running; killed at the end if it still is."""
    with subprocess.Popen(
        [MEZZOTINT, *map(str, arguments)],
        cwd=cwd,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def lines_until(process: subprocess.Popen[str], last: str) -> list[str]:
    """What the process prints up to a line that begins with `last`."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if line.startswith(last):
            return lines
    raise AssertionError(f"it ended before {last!r}: {lines}")


def services_of(process: subprocess.Popen[str]) -> dict[str, psutil.Process]:
    """The services that a process has started, by name."""
    children = psutil.Process(process.pid).children()
    return {child.cmdline()[-1].removeprefix("mezzotint."): child for child in children}
