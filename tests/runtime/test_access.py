"""The contract's access rules hold for every method and every kind of caller; nothing is left without a rule."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from google.protobuf.descriptor import MethodDescriptor

from mezzotint.runtime.interceptors.access import rule_of

PROTOS = Path(__file__).parents[2] / "protos"
IDENTITIES = {"auth", "ratelimit", "queue", "inference", "gateway", "operator"}


def methods() -> Iterator[MethodDescriptor]:
    """Every method of the contract."""
    for path in sorted(PROTOS.rglob("*.proto")):
        module = import_module(".".join(path.relative_to(PROTOS).with_suffix("").parts) + "_pb2")
        for service in module.DESCRIPTOR.services_by_name.values():
            yield from service.methods


@pytest.mark.parametrize("method", list(methods()), ids=lambda method: method.full_name.removeprefix("mezzotint.api."))
def test_every_method_names_its_callers(method: MethodDescriptor) -> None:
    """Ensures that each method admits somebody, and that all it admits exist."""
    rule = rule_of(f"/{method.containing_service.full_name}/{method.name}")
    assert rule.anonymous or rule.scopes or rule.services
    assert set(rule.services) <= IDENTITIES
    assert not (rule.anonymous and (rule.scopes or rule.services))
