"""What a credential may do."""

from collections.abc import Collection, Iterable

from mezzotint.runtime.errors import ScopeMissing

# Held by every session.
ALL = ("images:generate", "images:read", "account:read", "account:manage", "keys:manage")
# Given to an API key that was asked for without scopes.
KEY_DEFAULT = ("images:generate", "images:read", "account:read")


def require(held: Collection[str], wanted: Iterable[str]) -> None:
    """Raise ScopeMissing unless every wanted scope is held: nobody hands on more than they may do themselves."""
    for scope in wanted:
        if scope not in held:
            raise ScopeMissing(f"this credential lacks the scope {scope} and cannot hand it on", metadata={"scope": scope})
