"""What a curve is kept by: whatever makes calls longer or shorter makes it another one."""

from pathlib import Path

from mezzotint.inference.curves.conditions import device_of, machine, model_of
from mezzotint.inference.models.onnx_engine import OnnxEngine
from tests.inference.tiny_model import write_tiny_model


def test_the_machine_is_named_by_its_processor_and_gpus(tmp_path: Path) -> None:
    """A GPU of another kind is another machine; where no driver tells of one there is none."""
    (tmp_path / "cpuinfo").write_text("processor : 0\nmodel name\t: A Fine CPU @ 2.0GHz\nmodel name : other\n")
    assert machine(tmp_path / "cpuinfo", tmp_path / "gpus") == "A Fine CPU @ 2.0GHz"
    for number, model in enumerate(("H100", "A10", "H100")):
        (tmp_path / f"gpus/{number}").mkdir(parents=True)
        (tmp_path / f"gpus/{number}/information").write_text(f"Model: \t\t NVIDIA {model}\nIRQ: 1\n")
    assert machine(tmp_path / "cpuinfo", tmp_path / "gpus") == "A Fine CPU @ 2.0GHz, NVIDIA A10, NVIDIA H100"
    assert machine(tmp_path / "none", tmp_path / "none")


def test_providers_and_threads_tell_devices_apart() -> None:
    """Both change how long a call takes, and the name is short enough to be kept."""
    names = {device_of(provider, threads) for provider in ("CPUExecutionProvider", "x" * 300) for threads in (1, 2)}
    assert len(names) == 3
    assert max(map(len, names)) == 256


def test_other_graphs_are_another_model(tmp_path: Path) -> None:
    """Under the same name and version, and of the same size, graphs that differ are told apart; equal ones are not."""
    first, same, other = (write_tiny_model(tmp_path / each / "tiny") for each in ("a", "b", "c"))
    graph = (other / "unet/model.onnx").read_bytes()
    assert graph.count(b"Tanh") == 1
    (other / "unet/model.onnx").write_bytes(graph.replace(b"Tanh", b"Relu"))
    names = [model_of(OnnxEngine(folder, threads=1, rows_max=2), folder) for folder in (first, same, other)]
    assert names[0] == names[1] != names[2]
