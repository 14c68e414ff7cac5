"""Each benchmark in its quick form, as a reader would start it."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.queue_peers.environments import PeerAbsent, python_of
from benchmarks.queue_peers.peers import PEERS, Peer

ROOT = Path(__file__).parents[2]
QUEUE_RATES = ("echo_unary", "enqueue_unary", "echo_stream", "enqueue_batch", "lifecycle")
QUEUE_FIELDS = {
    *(f"{name}_per_s" for name in (*QUEUE_RATES, "raw_sqlite", "pickup_jobs", "watchers_opened", "engine_enqueue")),
    *(f"{name}_cpu_us" for name in QUEUE_RATES),
    *("pickup_p50_ms", "pickup_p99_ms", "pickup_from_call_p50_ms", "pickup_from_call_p99_ms", "pick_us_10k", "pick_us_1m"),
    *("recovery_1m_s", "start_1m_s", "rss_1m_mb", "rss_job_bytes", "start_empty_s", "rss_empty_mb"),
    *("watchers_10k_kb", "watchers_10k_processors", "watchers", "recovery_jobs", "pick_jobs"),
    *("load_before", "load_after", "processors", "quick"),
}

STEP_BATCHING_FIELDS = {
    *(
        "engine_overhead",
        "engine_overhead_cpu",
        "previews_cost",
        "previews_cost_cpu",
        "cancel_frees_within_steps",
        "capacity_images_per_s",
    ),
    *("p50_request_over_step", "first_step_p99_request_over_step", "throughput_step_over_request", "batch", "cells"),
}


def last_line(*command: str) -> dict[str, Any]:
    """The JSON object that a benchmark prints as its last line."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def test_queue_prints_every_promised_field(tmp_path: Path) -> None:
    """Ensures that a quick run of the queue's benchmark ends well and that each figure is there and was measured."""
    figures = last_line("benchmarks.queue", "--quick", "--json", "--folder", str(tmp_path))
    assert figures.keys() == QUEUE_FIELDS
    # A lease may reach its worker before the acknowledgement reaches the caller; the few messages of a quick round of the echo
    # stream may take less processor time than one tick of the clock that counts it.
    maybe_zero = {"pickup_p50_ms", "pickup_p99_ms", "load_before", "load_after", "echo_stream_cpu_us"}
    unsigned = figures.keys() - maybe_zero
    assert not [name for name in unsigned if not figures[name] > 0]
    assert figures["quick"] == 1


def test_queue_peers_names_absent_peers_and_their_reason(tmp_path: Path) -> None:
    """Ensures that ours is measured, and that a peer that cannot run is reported, not dropped."""
    options = ("--quick", "--json", "--no-install", "--cache", str(tmp_path / "none"), "--folder", str(tmp_path))
    figures = last_line("benchmarks.queue_peers", *options)
    assert figures["mezzotint"].keys() >= {"enqueue_per_s", "lifecycle_per_s", "fsync_before_ack", "jobs", "version"}
    for peer in PEERS[1:]:
        assert "nothing is to be installed" in figures[peer.name]["absent"]
        assert figures[peer.name]["fsync_before_ack"] == peer.fsync_before_ack


def test_a_peer_whose_packages_cannot_be_installed_is_absent(tmp_path: Path) -> None:
    """Ensures that a failed installation leaves a peer out with the installer's words, and counts as not done."""
    peer = Peer("broken", "broken", (str(tmp_path / "no-such-package.whl"),), 1, 1, "")
    with pytest.raises(PeerAbsent, match="no-such-package"):
        python_of(peer, tmp_path / "cache", install=True)
    with pytest.raises(PeerAbsent, match="nothing is to be installed"):
        python_of(peer, tmp_path / "cache", install=False)


def test_step_batching_prints_every_promised_field() -> None:
    """Ensures that a quick run compares the modes, and that a cancelled slot was free within a step."""
    figures = last_line("benchmarks.step_batching", "--quick", "--json", "--rows", "4")
    assert figures.keys() >= STEP_BATCHING_FIELDS
    assert figures["cancel_frees_within_steps"] <= 1
    assert {(cell["mode"], cell["load"]) for cell in figures["cells"]} == {
        (mode, 0.8) for mode in ("step", "request", "serial")
    }
    assert all(cell[name] > 0 for cell in figures["cells"] for name in ("p50_s", "p99_s", "first_step_p99_s", "requests"))


def test_open_inference_measures_ours_and_names_an_absent_peer(tmp_path: Path) -> None:
    """Ensures that a quick run without the peer ends well, measures ours and the ceiling, and says why nothing is compared."""
    figures = last_line("benchmarks.open_inference", "--quick", "--json", "--no-install", "--cache", str(tmp_path / "none"))
    fields = [f"mezzotint_{field}_{callers}" for field in ("per_s", "p50_ms", "p99_ms", "cpu_us") for callers in (1, 8, 64)]
    assert not [name for name in (*fields, "bare_calls_per_s", "bare_rows_per_s_batch_64") if not figures[name] > 0]
    assert "nothing is to be installed" in figures["mlserver_absent"]
    assert not [name for name in figures if name.startswith("ahead")]
