"""Admits a call only if the contract admits its caller; see mezzotint/api/access/v1/access.proto."""

from collections.abc import Awaitable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from google.protobuf import descriptor_pool

from mezzotint.api.access.v1 import access_pb2
from mezzotint.runtime.errors import CallerNotAllowed, CredentialInvalid, CredentialMissing, ScopeMissing
from mezzotint.runtime.interceptors.pipeline import Call, Layer
from mezzotint.runtime.tls import SPIFFE_PREFIX

_BEARER = "bearer "
_SPIFFE_PREFIX = SPIFFE_PREFIX.encode()


@dataclass(frozen=True)
class Principal:
    """An end user whose credential was verified."""

    account_id: str
    credential_id: str
    tier: str
    scopes: frozenset[str]


class Verifier(Protocol):
    """Whoever can tell whose a credential is."""

    async def verify(self, credential: str) -> Principal:
        """The credential's holder. Raises CredentialInvalid, CredentialExpired, CredentialRevoked, DependencyUnavailable."""
        ...


# The end user whose call is being served; None when a service calls.
principal: ContextVar[Principal | None] = ContextVar("principal", default=None)


def caller() -> Principal:
    """The end user whose call is being served. Raises CallerNotAllowed when it is not an end user's call."""
    found = principal.get()
    if found is None:
        raise CallerNotAllowed("this call is for end users; send a credential of one")
    return found


@dataclass(frozen=True, slots=True)
class Rule:
    """The access option of a method, and what most calls are decided by."""

    access: access_pb2.Access
    anonymous: bool
    services: frozenset[str]

    @classmethod
    def of(cls, method: str) -> "Rule":
        """The rule of a method, by its full name."""
        access = rule_of(method)
        return cls(access, access.anonymous, frozenset(access.services) - {""})


class AccessLayer(Layer):
    """Checks the caller of each call against the method's rule. `verifier` is None where no end user may call."""

    def __init__(self, verifier: Verifier | None = None) -> None:
        self._verifier = verifier
        self._rules: dict[str, Rule] = {}

    def enter(self, call: Call) -> Awaitable[Principal] | None:
        """Let the call pass, or raise why not; an end user's credential takes a while."""
        found = self._rules.get(call.method) or self._rules.setdefault(call.method, Rule.of(call.method))
        service = _service_identity(call.context)
        call.about["caller"] = service or "end user"
        if found.anonymous or service in found.services:
            return None
        if not found.access.scopes or self._verifier is None:
            raise CallerNotAllowed(f"{call.method} is not for {service or 'end users'}", metadata={"method": call.method})
        return admit(call.metadata, found.access, self._verifier)


async def admit(metadata: dict[str, str], rule: access_pb2.Access, verifier: Verifier) -> Principal:
    """The end user whose credential is in `metadata`: from now on the caller.

    Raises CredentialMissing, ScopeMissing, and what `verify` raises.
    """
    found = await verifier.verify(_bearer(metadata))
    _require_scopes(found, rule)
    principal.set(found)
    structlog.contextvars.bind_contextvars(account_id=found.account_id)
    return found


def rule_of(method: str) -> access_pb2.Access:
    """The access option of a method, by its full name. A method without one admits nobody."""
    descriptor = descriptor_pool.Default().FindMethodByName(method.strip("/").replace("/", "."))
    rule: access_pb2.Access = descriptor.GetOptions().Extensions[access_pb2.access]
    return rule


def _service_identity(context: Any) -> str:
    """The identity in the peer's certificate; empty when it has none of ours.

    gRPC's peer identities are the certificate's alternative names; `auth_context` would copy the whole certificate as well.
    """
    for name in context.peer_identities() or ():
        if name.startswith(_SPIFFE_PREFIX):
            return str(name[len(_SPIFFE_PREFIX) :].decode())
    return ""


def _bearer(metadata: dict[str, str]) -> str:
    """The credential in the metadata. Raises CredentialMissing, CredentialInvalid."""
    header = metadata.get("authorization", "")
    if not header:
        raise CredentialMissing("send metadata `authorization: Bearer <API key or access token>`")
    if not header.lower().startswith(_BEARER):
        raise CredentialInvalid("the authorization metadata must begin with `Bearer `")
    return header[len(_BEARER) :].strip()


def _require_scopes(found: Principal, rule: access_pb2.Access) -> None:
    """Raise ScopeMissing unless the credential holds every scope of the rule."""
    for scope in rule.scopes:
        if scope not in found.scopes:
            raise ScopeMissing(f"this credential lacks the scope {scope}; use one that has it", metadata={"scope": scope})
