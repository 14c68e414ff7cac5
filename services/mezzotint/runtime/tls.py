"""A private certificate authority in the data folder, and a certificate for each service from it.

Every connection between services is mTLS. A service is named twice in its certificate: by a URI,
spiffe://mezzotint/<identity>, which the access rules go by, and by the DNS name <identity>.mezzotint.internal, which clients
check, so that only the queue can answer for the queue wherever it listens.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from mezzotint.runtime import certificates

CERTIFICATE_DAYS = 365
SPIFFE_PREFIX = "spiffe://mezzotint/"


def dns_name(identity: str) -> str:
    """The name that clients of a service check its certificate for."""
    return f"{identity}.mezzotint.internal"


@dataclass(frozen=True)
class Identity:
    """A service's own certificate and key and the authority's certificate, all PEM."""

    name: str
    authority_pem: bytes
    certificate_pem: bytes
    key_pem: bytes

    def server_credentials(self, *, client_certificates: bool) -> grpc.ServerCredentials:
        """TLS for a server. With `client_certificates`, a client without one of ours cannot connect."""
        pair = [(self.key_pem, self.certificate_pem)]
        roots = self.authority_pem if client_certificates else None
        return grpc.ssl_server_credentials(pair, root_certificates=roots, require_client_auth=client_certificates)

    def channel_credentials(self) -> grpc.ChannelCredentials:
        """TLS for a client that presents this identity."""
        return grpc.ssl_channel_credentials(self.authority_pem, self.key_pem, self.certificate_pem)


class Authority:
    """The private authority of one installation. Files: ca.pem, ca.key, and <identity>.pem and .key, keys with mode 0600."""

    def __init__(self, folder: Path, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self.folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, data: Path) -> "Authority":
        """The authority of the data folder, made on first use."""
        folder = data / "tls"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with certificates.locked(folder):
            if not (folder / "ca.key").exists():
                certificates.create_authority(folder)
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "ca.key is not the kind of key this authority makes"
        return cls(folder, certificate, key)

    def identity(self, name: str, hosts: Iterable[str] = ("localhost", "127.0.0.1")) -> Identity:
        """The identity of a service, issued or renewed if need be. `hosts` are names and addresses it is reached by."""
        if not certificates.is_fresh(self.folder / f"{name}.pem", self._certificate):
            self.issue(name, hosts)
        return load_identity(self.folder.parent, name)

    def issue(self, name: str, hosts: Iterable[str], *, days: float = CERTIFICATE_DAYS) -> None:
        """Write a new certificate and key for `name`, good for `days` from now."""
        names = [SPIFFE_PREFIX + name, dns_name(name), *hosts]
        certificates.issue(self.folder, name, names, self._certificate, self._key, days)


def load_identity(data: Path, name: str) -> Identity:
    """The identity of a service from its files. Raises FileNotFoundError, naming the file, when it was not issued."""
    folder = data / "tls"
    parts = [(folder / file).read_bytes() for file in ("ca.pem", f"{name}.pem", f"{name}.key")]
    return Identity(name, *parts)


def open_identity(data: Path, name: str, hosts: Iterable[str]) -> Identity:
    """A service's identity at its start: issued here where the authority's key is, else as somebody else issued it."""
    issued_elsewhere = (data / "tls" / "ca.pem").exists() and not (data / "tls" / "ca.key").exists()
    return load_identity(data, name) if issued_elsewhere else Authority.open(data).identity(name, hosts)
