"""ONNX Runtime tells nobody that it is used."""

import os
import subprocess
import sys
from pathlib import Path

from tests.tidy.source import sources


def test_it_writes_and_sends_nothing_by_itself(tmp_path: Path) -> None:
    """Ensures that loading the engine leaves no trace of telemetry in the home folder."""
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import mezzotint.inference.graphs.graph as graph; graph.onnxruntime.get_available_providers()"
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_it_is_imported_in_one_place() -> None:
    """Ensures that no module of the services imports it before its telemetry is off."""
    importing = {
        source.path for source in sources() if source.path.startswith("services/") and "onnxruntime" in set(source.imports())
    }
    assert importing == {"services/mezzotint/inference/graphs/quiet_onnxruntime.py"}
