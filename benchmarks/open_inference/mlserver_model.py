"""The ONNX file as a model of MLServer, which brings no runtime for it. Runs in MLServer's own environment."""

import onnxruntime
from mlserver import MLModel  # type: ignore[import-not-found, unused-ignore]  # in the peer's own environment
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found, unused-ignore]  # likewise
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found, unused-ignore]  # likewise
from mlserver.utils import get_model_uri  # type: ignore[import-not-found, unused-ignore]  # likewise


class OnnxModel(MLModel):  # type: ignore[misc, unused-ignore]  # likewise
    """One session with the options of the other servers; a call is so short that a thread would cost more than it frees."""

    async def load(self) -> bool:
        """Open the file."""
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        uri = await get_model_uri(self.settings)
        self._session = onnxruntime.InferenceSession(uri, options, providers=["CPUExecutionProvider"])
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """One call."""
        inputs = {each.name: NumpyCodec.decode_input(each) for each in payload.inputs}
        answers = self._session.run(None, inputs)
        names = [each.name for each in self._session.get_outputs()]
        outputs = [NumpyCodec.encode_output(name, answer) for name, answer in zip(names, answers, strict=True)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
