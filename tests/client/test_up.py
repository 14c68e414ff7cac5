"""`mezzotint up` and `mezzotint demo` as a newcomer runs them."""

import json
import signal
from pathlib import Path

import psutil
import pytest

from tests.client.programs import SECONDS_MAX, lines_until, mezzotint, services_of, shell, started

LAST = "Ctrl-C stops everything"


def values(lines: list[str]) -> dict[str, str]:
    """What `up` says, by what stands in front of it."""
    return {line[2:12].strip(): line[13:].split("   ")[0] for line in lines if line.startswith("  ")}


def to_try(lines: list[str]) -> list[str]:
    """The commands that `up` prints; one of them goes over two lines."""
    text = "\n".join(lines[lines.index("try:") + 1 : -2])
    return [line.strip() for line in text.replace("|\n", "| ").splitlines()]


def test_what_up_prints_works(tmp_path: Path) -> None:
    """Each printed command runs as it stands; a killed service ends it with a report; a second start shows the same key."""
    data = tmp_path / "the data"
    with started("up", "--free-ports", "--data", data, cwd=tmp_path) as process:
        lines = lines_until(process, LAST)
        first = values(lines)
        generate, curl, grpcurl = to_try(lines)
        assert Path(shell(generate, tmp_path).stdout.strip()).suffix == ".png"
        assert shell(curl, tmp_path).stderr == ""
        assert (tmp_path / "red-heart.png").read_bytes().startswith(b"\x89PNG")
        assert "mezzotint.api.queue.v1.QueueService" in shell(grpcurl, tmp_path).stdout
        assert first["API key"] not in generate + curl + grpcurl
        services = services_of(process)
        services["inference"].kill()
        _, report = process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 1
        assert "the inference service ended by SIGKILL" in report
        assert not any(service.is_running() for service in services.values())
    with started("up", "--free-ports", "--data", data, cwd=tmp_path) as process:
        assert values(lines_until(process, LAST))["API key"] == first["API key"]
        services = services_of(process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=SECONDS_MAX)
        assert process.returncode == 0
        assert not any(service.is_running() for service in services.values())


def test_up_killed_outright_leaves_no_orphan(tmp_path: Path) -> None:
    """Even after SIGKILL of `up`, every service stops by itself."""
    with started("up", "--free-ports", "--data", tmp_path / "data", cwd=tmp_path) as process:
        lines_until(process, LAST)
        services = services_of(process)
        assert sorted(services) == ["auth", "gateway", "inference", "queue", "ratelimit"]
        process.kill()
    _, alive = psutil.wait_procs(services.values(), timeout=20)
    assert not alive


@pytest.mark.parametrize("prompt", ["A red heart!"])
def test_the_demo_draws_and_leaves_only_the_picture(tmp_path: Path, prompt: str) -> None:
    """From nothing to a picture in one command, which says where it is and how long each part took."""
    done = mezzotint("demo", prompt, "--steps", "2", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "out/a-red-heart.png\n")
    assert (tmp_path / "out" / "a-red-heart.png").read_bytes().startswith(b"\x89PNG")
    assert all(part in done.stderr for part in ("started in", "account", "picture", "stopped in"))
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert json.dumps("Traceback") not in done.stderr
