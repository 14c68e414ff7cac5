"""A request from the wire held to the model it is for."""

from collections.abc import Mapping, Sequence
from itertools import islice

from mezzotint.api.open_inference.tensors_pb2 import InferParameter, ModelInferRequest
from mezzotint.inference.tensors import contents as tensor_contents
from mezzotint.inference.tensors.call import TensorRequest
from mezzotint.inference.tensors.model import TensorModel
from mezzotint.inference.tensors.telling import cut, dimensions, named, quoted
from mezzotint.inference.tensors.types import Array, TensorSpec
from mezzotint.runtime.errors import FieldInvalid

# Comes back in the response, and what waits is bounded by its tensors alone.
ID_CHARACTERS_MAX, PARAMETERS_MAX, PARAMETER_CHARACTERS_MAX = 4096, 64, 4096
SHARED_MEMORY = ("shared_memory_region", "shared_memory_byte_size", "shared_memory_offset")
CLASSIFICATION = ("classification",)


def decode(request: ModelInferRequest, model: TensorModel) -> TensorRequest:
    """What the model is asked to do. Raises FieldInvalid, naming the field at fault."""
    if len(request.id) > ID_CHARACTERS_MAX:
        raise FieldInvalid.of("id", f"it has at most {ID_CHARACTERS_MAX} characters; {len(request.id)} came")
    _hold_parameters("parameters", request.parameters)
    inputs = _inputs(request, model)
    # In the graph's order, so that equal requests have equal keys.
    ordered = {name: inputs[name] for name in model.inputs}
    settings = model.settings
    if settings.max_batch_size:
        rows, key = _rows(ordered, settings.max_batch_size), tuple(each.shape[1:] for each in ordered.values())
    else:
        rows, key = 1, ()
    return TensorRequest(
        ordered, _outputs(request, model), rows, key, _level(request, settings.priority_levels), _timeout(request)
    )


def _inputs(request: ModelInferRequest, model: TensorModel) -> dict[str, Array]:
    """The inputs by name, each as the graph has it, none missing and none twice."""
    raw, inputs = request.raw_input_contents, {}
    if raw and len(raw) != len(request.inputs):
        raise FieldInvalid.of("raw_input_contents", f"one for each of the {len(request.inputs)} inputs is due; {len(raw)} came")
    for number, each in enumerate(request.inputs):
        field = f"inputs[{number}]"
        spec = model.inputs.get(each.name)
        if spec is None or each.name in inputs:
            problem = "comes twice" if spec else "is no input of the model"
            raise FieldInvalid.of(field, f"{quoted(each.name)} {problem}; it has {named(list(model.inputs))}")
        _hold_parameters(f"{field}.parameters", each.parameters, SHARED_MEMORY)
        _hold(field, spec, each.datatype, each.shape)
        if raw and each.HasField("contents"):
            raise FieldInvalid.of(f"{field}.contents", "raw_input_contents came as well; send one of them")
        inputs[each.name] = (
            tensor_contents.from_raw(f"raw_input_contents[{number}]", spec.type, each.shape, raw[number])
            if raw
            else tensor_contents.from_contents(f"{field}.contents", spec.type, each.shape, each.contents)
        )
    if missing := model.inputs.keys() - inputs.keys():
        raise FieldInvalid.of("inputs", f"missing: {named(sorted(missing))}")
    return inputs


def _hold(field: str, spec: TensorSpec, datatype: str, shape: Sequence[int]) -> None:
    """Raise FieldInvalid unless type and dimensions are the graph's."""
    if datatype != spec.type.name:
        raise FieldInvalid.of(f"{field}.datatype", f"{spec.name} is {spec.type.name}; {quoted(datatype)} came")
    fits = len(shape) == len(spec.shape)
    if not fits or any(has is not None and has != size for has, size in zip(spec.shape, shape, strict=True)):
        wanted = [-1 if size is None else size for size in spec.shape]
        raise FieldInvalid.of(
            f"{field}.shape", f"{spec.name} has the shape {wanted}, -1 for any size; {dimensions(shape)} came"
        )


def _rows(inputs: dict[str, Array], rows_max: int) -> int:
    """The rows that all inputs have."""
    counts = {name: len(each) for name, each in inputs.items()}
    rows = next(iter(counts.values()), 1)
    if len(set(counts.values())) > 1:
        raise FieldInvalid.of("inputs", f"all need the same first dimension; they have {cut(str(counts))}")
    if rows > rows_max:
        raise FieldInvalid.of("inputs", f"{rows} rows came; this model takes {rows_max} at most in one request")
    return rows


def _outputs(request: ModelInferRequest, model: TensorModel) -> tuple[str, ...]:
    """The outputs asked for, all when none is."""
    names: dict[str, None] = {}
    for number, each in enumerate(request.outputs):
        if each.name not in model.outputs or each.name in names:
            problem = "comes twice" if each.name in names else "is no output of the model"
            raise FieldInvalid.of(f"outputs[{number}]", f"{quoted(each.name)} {problem}; it has {named(list(model.outputs))}")
        _hold_parameters(f"outputs[{number}].parameters", each.parameters, SHARED_MEMORY + CLASSIFICATION)
        names[each.name] = None
    return tuple(names or model.outputs)


def _level(request: ModelInferRequest, levels: int) -> int:
    """The level of priority, from 0."""
    asked = _whole(request, "priority")
    if asked > levels:
        raise FieldInvalid.of("parameters.priority", f"this model has the levels 1 to {levels}; {asked} came")
    return (asked or levels) - 1


def _timeout(request: ModelInferRequest) -> float | None:
    """The seconds the request may wait."""
    return _whole(request, "timeout") / 1e6 or None


def _whole(request: ModelInferRequest, name: str) -> int:
    """A parameter that is a whole number; 0 without one."""
    if name not in request.parameters:
        return 0
    parameter: InferParameter = request.parameters[name]
    chosen = parameter.WhichOneof("parameter_choice")
    value = getattr(parameter, chosen) if chosen in ("int64_param", "uint64_param") else -1
    if value < 0:
        raise FieldInvalid.of(f"parameters.{name}", "write a whole number, 0 or more, as int64_param or uint64_param")
    return int(value)


def _hold_parameters(field: str, given: Mapping[str, InferParameter], unserved: Sequence[str] = ()) -> None:
    """Raise FieldInvalid for parameters that would change the answer and have no effect here, and for too many or too long."""
    if not given:
        return
    if found := [name for name in unserved if name in given]:
        raise FieldInvalid.of(field, f"{found[0]} is not served here; leave it out and send or take the tensor in the message")
    # Not more than may be are looked at: this runs on the event loop.
    longest = max(max(len(name), len(each.string_param)) for name, each in islice(given.items(), PARAMETERS_MAX))
    if len(given) > PARAMETERS_MAX or longest > PARAMETER_CHARACTERS_MAX:
        limit = f"at most {PARAMETERS_MAX} with names and texts of at most {PARAMETER_CHARACTERS_MAX} characters"
        raise FieldInvalid.of(field, f"{limit}; {len(given)} came, the longest text with {longest} characters")
