"""Holds every request message to the rules written on its fields in the contract."""

from typing import Any

import protovalidate
from google.protobuf.descriptor import Descriptor

from buf.validate import validate_pb2
from mezzotint.runtime.errors import FieldInvalid, FieldViolation
from mezzotint.runtime.interceptors.pipeline import Call, Layer

# More are counted and not named: an answer longer than 8 KiB of metadata reaches nobody.
VIOLATIONS_MAX = 16


class ValidationLayer(Layer):
    """Refuses messages that break a rule, naming every field at fault."""

    def __init__(self) -> None:
        self._ruled: dict[Descriptor, bool] = {}

    def receive(self, call: Call, message: Any) -> None:
        """Raise FieldInvalid unless the message keeps all rules."""
        kind = message.DESCRIPTOR
        if kind not in self._ruled:
            self._ruled[kind] = has_rules(kind)
        # Going through a message takes its time also where there is nothing to hold it to.
        if self._ruled[kind]:
            validate(message)


def has_rules(kind: Descriptor) -> bool:
    """Whether the contract has a rule for messages of this kind or for anything in them."""
    seen, found = set[str](), [kind]
    while found:
        each = found.pop()
        if each.full_name in seen:
            continue
        seen.add(each.full_name)
        if each.GetOptions().HasExtension(validate_pb2.message):
            return True
        if any(oneof.GetOptions().HasExtension(validate_pb2.oneof) for oneof in each.oneofs):
            return True
        if any(field.GetOptions().HasExtension(validate_pb2.field) for field in each.fields):
            return True
        found += [field.message_type for field in each.fields if field.message_type is not None]
    return False


def validate(message: Any) -> None:
    """Raise FieldInvalid, with a violation for each of the first broken rules, unless `message` keeps all of the contract."""
    broken = protovalidate.collect_violations(message)
    if broken:
        violations = [FieldViolation(path(violation), violation.proto.message) for violation in broken[:VIOLATIONS_MAX]]
        told = "; ".join(f"{v.field}: {v.description}" for v in violations)
        more = f"; and {len(broken) - VIOLATIONS_MAX:,} more" if len(broken) > VIOLATIONS_MAX else ""
        raise FieldInvalid(told + more, violations=violations)


def path(violation: protovalidate.Violation) -> str:
    """Where the violation is: "jobs[3].kind". Rules on whole messages have the name of the field they are about as their id."""
    proto = violation.proto
    names = [step(element) for element in proto.field.elements] if proto.field else []
    whole = proto.rule is None and proto.rule_id != "required"
    return ".".join([*names, proto.rule_id] if whole else names)


def step(element: Any) -> str:
    """One part of a path: a field, with the place in it where it has many."""
    name: str = element.field_name
    place = element.subscript
    return f"{name}[{place.value}]" if place and place.field == "index" else name
