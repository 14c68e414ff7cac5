"""The private authority: made once, keys kept private, certificates renewed in time."""

import stat
from pathlib import Path

import pytest
from cryptography import x509

from mezzotint.runtime.tls import Authority, load_identity, open_identity


def names_of(pem: bytes) -> set[str]:
    extension = x509.load_pem_x509_certificate(pem).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {str(name.value) for name in extension.value}


def test_a_certificate_names_its_service_and_its_hosts(authority: Authority) -> None:
    """Ensures that access rules, clients and tools each find the name they go by."""
    identity = authority.identity("queue", ["queue", "10.0.0.7"])
    assert names_of(identity.certificate_pem) == {"spiffe://mezzotint/queue", "queue.mezzotint.internal", "queue", "10.0.0.7"}


def test_the_authority_is_made_once_and_identities_are_kept(data: Path) -> None:
    """Ensures that a restart changes no certificate."""
    first = Authority.open(data).identity("queue")
    assert Authority.open(data).identity("queue") == first


def test_a_certificate_about_to_end_is_renewed(authority: Authority) -> None:
    """Ensures that a start a week before the end brings a new certificate."""
    authority.issue("queue", ["localhost"], days=7)
    old = load_identity(authority.folder.parent, "queue")
    assert authority.identity("queue") != old


def test_a_new_authority_replaces_what_the_old_one_issued(authority: Authority) -> None:
    """Ensures that after the loss of the authority's key no service keeps a certificate that nobody accepts any more."""
    old = authority.identity("queue")
    (authority.folder / "ca.key").unlink()
    new = Authority.open(authority.folder.parent).identity("queue")
    assert new.certificate_pem != old.certificate_pem
    assert new.authority_pem != old.authority_pem


def test_only_the_owner_reads_keys(authority: Authority) -> None:
    """Ensures mode 0600 for every file and 0700 for their folder."""
    authority.identity("queue")
    assert stat.S_IMODE(authority.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in authority.folder.glob("*.key")} == {0o600}


def test_a_service_without_the_authoritys_key_uses_what_was_issued(authority: Authority) -> None:
    """Ensures that a container that holds only its own certificate starts, and one that holds none says what is missing."""
    data = authority.folder.parent
    issued = authority.identity("queue")
    (authority.folder / "ca.key").unlink()
    assert open_identity(data, "queue", ["localhost"]) == issued
    with pytest.raises(FileNotFoundError, match=r"auth\.pem"):
        open_identity(data, "auth", ["localhost"])
