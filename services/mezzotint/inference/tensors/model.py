"""One version of a tensor model: an ONNX file as it is, opened and ready to be called."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mezzotint.inference.graphs.files import invalid, readable
from mezzotint.inference.graphs.graph import FAILURES, options, providers
from mezzotint.inference.graphs.quiet_onnxruntime import onnxruntime, state
from mezzotint.inference.tensors.model_settings import TensorSettings
from mezzotint.inference.tensors.telling import cut
from mezzotint.inference.tensors.types import BY_RUNTIME, Array, TensorSpec
from mezzotint.runtime.errors import FieldInvalid, Internal

FILE = "model.onnx"
# What ONNX Runtime says of a call can have a shape of any length in it.
REASON_CHARACTERS_MAX = 1000


class TensorModel:
    """Calls may be made at the same time in different threads."""

    def __init__(self, folder: Path, version: int, settings: TensorSettings) -> None:
        """Open the version's file in a model's folder. Blocks. Raises ModelInvalid, with the file and the reason."""
        self.name, self.version, self.settings = folder.name, version, settings
        self._file = f"{version}/{FILE}"
        path = readable(folder, self._file)
        try:
            self._session = onnxruntime.InferenceSession(str(path), options(settings.threads), providers=providers())
        except FAILURES as error:
            raise invalid(self._file, f"ONNX Runtime cannot load it: {error}") from error
        self.inputs = self._specs("input", self._session.get_inputs())
        self.outputs = self._specs("output", self._session.get_outputs())

    def __call__(self, outputs: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        """The outputs asked for. Blocks. Raises FieldInvalid when the graph refuses the inputs, Internal when it fails."""
        try:
            results: list[Array] = self._session.run(list(outputs), dict(inputs))
        except state.InvalidArgument as error:
            raise FieldInvalid(f"inputs: the model refuses them: {cut(str(error), REASON_CHARACTERS_MAX)}") from error
        except FAILURES as error:
            raise Internal(f"the model failed on these inputs: {cut(str(error), REASON_CHARACTERS_MAX)}") from error
        return results

    @property
    def device(self) -> str:
        """What it runs on: "CUDAExecutionProvider" or "CPUExecutionProvider"."""
        return str(self._session.get_providers()[0])

    def _specs(self, kind: str, found: Sequence[Any]) -> dict[str, TensorSpec]:
        """The tensors of one side. Raises ModelInvalid for a type that does not travel, or rows that cannot be batched."""
        specs = {}
        for each in found:
            if each.type not in BY_RUNTIME:
                raise invalid(self._file, f"{kind} {each.name} is {each.type}; served are {', '.join(BY_RUNTIME)}")
            shape = tuple(size if isinstance(size, int) and size >= 0 else None for size in each.shape)
            if self.settings.max_batch_size and (not shape or shape[0] is not None):
                why = "max_batch_size needs an open first dimension everywhere"
                raise invalid(self._file, f"{kind} {each.name} has the shape {list(each.shape)}; {why}")
            specs[each.name] = TensorSpec(each.name, BY_RUNTIME[each.type], shape)
        return specs
