"""Which messages are held to rules: all that have one anywhere, so that leaving out the others lets nothing through."""

from typing import Any

import pytest
from google.protobuf.message import Message

from mezzotint.api.inference.v1.generation_pb2 import GenerationSpec
from mezzotint.api.inference.v1.inference_pb2 import GenerateRequest, ListModelsRequest, UnloadModelResponse
from mezzotint.api.open_inference.tensors_pb2 import ModelInferRequest
from mezzotint.api.queue.v1.work_pb2 import WorkRequest
from mezzotint.runtime.errors import FieldInvalid
from mezzotint.runtime.interceptors.pipeline import Call
from mezzotint.runtime.interceptors.validation import ValidationLayer, has_rules


@pytest.mark.parametrize(
    ("message", "ruled"),
    [
        (GenerateRequest, True),
        (GenerationSpec, True),
        (ListModelsRequest, True),
        (WorkRequest, True),
        (UnloadModelResponse, False),
        (ModelInferRequest, False),
    ],
)
def test_rules_are_found_at_any_depth(message: type[Message], ruled: bool) -> None:
    """Ensures that rules of fields, of oneofs and of messages within messages count."""
    kind: Any = message.DESCRIPTOR
    assert has_rules(kind) is ruled


def test_every_message_with_a_rule_is_held_to_it() -> None:
    """Ensures that the second message of a kind is checked as the first."""
    layer, call = ValidationLayer(), Call("/m", None, {}, 0.0)  # type: ignore[arg-type]  # the layer does not look at it
    for _ in range(2):
        with pytest.raises(FieldInvalid, match="page_size"):
            layer.receive(call, ListModelsRequest(page_size=101))
        layer.receive(call, ModelInferRequest())
