"""A private certificate authority in the data folder, and a certificate for each service from it.

Every connection between services is mTLS. A service is named twice in its certificate: by a URI,
spiffe://mezzotint/<identity>, which the access rules go by, and by the DNS name <identity>.mezzotint.internal, which clients
check, so that only the queue can answer for the queue wherever it listens.
"""

import datetime
import ipaddress
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import grpc
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365
# A certificate with less time left is replaced at the next start.
RENEW_DAYS = 30
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
        self._folder = folder
        self._certificate = certificate
        self._key = key

    @classmethod
    def open(cls, data: Path) -> "Authority":
        """The authority of the data folder, made on first use."""
        folder = data / "tls"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "ca.key").exists():
            create_authority(folder)
        certificate = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
        key = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey), "ca.key is not the kind of key this authority makes"
        return cls(folder, certificate, key)

    def identity(self, name: str, hosts: Iterable[str] = ("localhost", "127.0.0.1")) -> Identity:
        """The identity of a service, issued or renewed if need be. `hosts` are names and addresses it is reached by."""
        if not fresh(self._folder / f"{name}.pem"):
            self.issue(name, hosts)
        return load_identity(self._folder.parent, name)

    def issue(self, name: str, hosts: Iterable[str], *, days: float = CERTIFICATE_DAYS) -> None:
        """Write a new certificate and key for `name`, good for `days` from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(SPIFFE_PREFIX + name), x509.DNSName(dns_name(name))]
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = certificate_builder(name, self._certificate.subject, key.public_key(), days)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(x509.SubjectAlternativeName([*names, *map(general_name, hosts)]), critical=False)
        builder = builder.add_extension(usage, critical=False)
        write_pair(self._folder, name, builder.sign(self._key, hashes.SHA256()), key)


def load_identity(data: Path, name: str) -> Identity:
    """The identity of a service from its files. Raises FileNotFoundError, naming the file, when it was not issued."""
    folder = data / "tls"
    parts = [(folder / file).read_bytes() for file in ("ca.pem", f"{name}.pem", f"{name}.key")]
    return Identity(name, *parts)


def open_identity(data: Path, name: str, hosts: Iterable[str]) -> Identity:
    """A service's identity at its start: issued here where the authority's key is, else as somebody else issued it."""
    issued_elsewhere = (data / "tls" / "ca.pem").exists() and not (data / "tls" / "ca.key").exists()
    return load_identity(data, name) if issued_elsewhere else Authority.open(data).identity(name, hosts)


def create_authority(folder: Path) -> None:
    """Make the authority's own certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Mezzotint private authority")])
    builder = certificate_builder("Mezzotint private authority", subject, key.public_key(), AUTHORITY_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    write_pair(folder, "ca", builder.sign(key, hashes.SHA256()), key)


def certificate_builder(name: str, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: float) -> x509.CertificateBuilder:
    """What all our certificates have in common; the start lies back an hour for clocks that differ."""
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1) + min(datetime.timedelta(days=days), datetime.timedelta()))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def general_name(host: str) -> x509.GeneralName:
    """A host as an address if it is one, else as a DNS name."""
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def fresh(path: Path) -> bool:
    """Whether a certificate is there and stays good for a while."""
    if not path.exists():
        return False
    left = x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > datetime.timedelta(days=RENEW_DAYS)


def write_pair(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    """Write a key and its certificate, each whole or not at all; the key first, so that a certificate has one."""
    encoding, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    write_private(folder / f"{name}.key", key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, plain))
    write_private(folder / f"{name}.pem", certificate.public_bytes(encoding))


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    scratch.replace(path)
