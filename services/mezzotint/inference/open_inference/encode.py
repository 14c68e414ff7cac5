"""The response to a request, from the outputs of its model."""

from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest, ModelInferResponse
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.types import Array
from mezzotint.inference.tensors.under_way import check_answer

FINAL_ASKED, FINAL = "triton_enable_empty_final_response", "triton_final_response"
# A response whose elements come so near to the bound is counted whole: with names, shapes and the request's id.
BESIDE_BYTES_MAX = 32 * 1024
# A stream puts it into another message.
WRAPPED_BYTES = 16


def encode(
    request: ModelInferRequest, model: TensorModel, names: tuple[str, ...], outputs: list[Array], bytes_max: int
) -> tuple[ModelInferResponse, int]:
    """The response with the outputs `names`, and the bytes of their elements. Raises LimitReached above `bytes_max`.

    They are typed where the request was and every type has such a form, else raw.
    """
    response = ModelInferResponse(model_name=model.name, model_version=str(model.version), id=request.id)
    types = [model.outputs[name].type for name in names]
    typed = not request.raw_input_contents and bool(request.inputs) and all(each.contents for each in types)
    size = 0
    for name, type_, output in zip(names, types, outputs, strict=True):
        tensor = response.outputs.add(name=name, datatype=type_.name, shape=output.shape)
        if typed:
            tensor.contents.CopyFrom(tensor_contents.to_contents(type_, output))
            size += tensor.contents.ByteSize()
        else:
            raw = tensor_contents.to_raw(type_, output)
            response.raw_output_contents.append(raw)
            size += len(raw)
        check_answer(size, bytes_max)
    if request.parameters and request.parameters[FINAL_ASKED].bool_param:
        response.parameters[FINAL].bool_param = True
    if size + BESIDE_BYTES_MAX > bytes_max:
        check_answer(response.ByteSize() + WRAPPED_BYTES, bytes_max)
    return response, size
