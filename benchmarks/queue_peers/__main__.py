"""python -m benchmarks.queue_peers [--json] [--quick]: see README.md beside this file."""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.queue_peers.environments import PeerAbsent, python_of
from benchmarks.queue_peers.peers import PEERS, Peer

ROOT = Path(__file__).parents[2]
CACHE = Path(tempfile.gettempdir()) / "mezzotint-benchmark-peers"
RUN_SECONDS_MAX = 400.0


def measured(peer: Peer, options: argparse.Namespace) -> dict[str, Any]:
    """What one peer did, or under `absent` why it did nothing."""
    about = {"fsync_before_ack": peer.fsync_before_ack}
    try:
        python = python_of(peer, options.cache, install=not options.no_install)
        jobs = peer.jobs_quick if options.quick else peer.jobs
        done = run(peer, python, jobs, options.folder)
        return done | {"jobs": jobs, "load": round(os.getloadavg()[0], 2), **about}
    except PeerAbsent as reason:
        return {"absent": str(reason), **about}


def run(peer: Peer, python: Path, jobs: int, parent: Path | None) -> dict[str, Any]:
    """Run the peer's module in its environment. Raises PeerAbsent when it fails or takes too long."""
    with tempfile.TemporaryDirectory(dir=parent, prefix=f"{peer.name}-") as folder:
        # A server that does not run as root reads what is in here.
        Path(folder).chmod(0o755)
        module = f"benchmarks.queue_peers.runners.{peer.runner}"
        command = [str(python), "-m", module, "--jobs", str(jobs), "--folder", folder]
        environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
        try:
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=RUN_SECONDS_MAX, check=False
            )
        except subprocess.TimeoutExpired:
            raise PeerAbsent(f"it was not done in {RUN_SECONDS_MAX:g} s") from None
    if done.returncode:
        raise PeerAbsent(f"it failed: {' '.join(done.stderr.split())[-300:]}")
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in figures.items()}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue_peers")
    parser.add_argument("--json", action="store_true", help="one JSON object only")
    parser.add_argument("--quick", action="store_true", help="fewer jobs, within 50 seconds once the environments are there")
    parser.add_argument("--only", nargs="+", choices=[peer.name for peer in PEERS], help="some of the peers")
    parser.add_argument("--no-install", action="store_true", help="leave out peers whose environment is not there yet")
    parser.add_argument("--cache", type=Path, default=CACHE, help=f"where the peers' environments are kept; default: {CACHE}")
    parser.add_argument("--folder", type=Path, help="where the databases are made: on the disk to be measured")
    options = parser.parse_args()
    figures: dict[str, Any] = {"load_before": round(os.getloadavg()[0], 2), "processors": os.cpu_count()}
    for peer in PEERS:
        if options.only is None or peer.name in options.only:
            figures[peer.name] = measured(peer, options)
            if not options.json:
                print(f"{peer.name:22}", json.dumps(figures[peer.name]), flush=True)
    figures["load_after"] = round(os.getloadavg()[0], 2)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
