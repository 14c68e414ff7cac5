"""Holds every request message to the rules written on its fields in the contract."""

from typing import Any

import protovalidate

from mezzotint.runtime.errors import FieldInvalid, FieldViolation
from mezzotint.runtime.interceptors.pipeline import Call, Layer


class ValidationLayer(Layer):
    """Refuses messages that break a rule, naming every field at fault."""

    def receive(self, call: Call, message: Any) -> None:
        """Raise FieldInvalid unless the message keeps all rules."""
        validate(message)


def validate(message: Any) -> None:
    """Raise FieldInvalid, with one violation a broken rule, unless `message` keeps all rules of the contract."""
    broken = protovalidate.collect_violations(message)
    if broken:
        violations = [FieldViolation(path(violation), violation.proto.message) for violation in broken]
        raise FieldInvalid("; ".join(f"{v.field}: {v.description}" for v in violations), violations=violations)


def path(violation: protovalidate.Violation) -> str:
    """Where the violation is: "spec.prompt". Rules on whole messages have the name of the field they are about as their id."""
    proto = violation.proto
    names = [element.field_name for element in proto.field.elements] if proto.field else []
    whole = proto.rule is None and proto.rule_id != "required"
    return ".".join([*names, proto.rule_id] if whole else names)
