"""Makes a throw-away certificate authority and one server certificate, for a sandbox that speaks TLS.

The files are used again while they are valid for the same hosts. The authority's key is not kept: it signs only one
certificate.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from couponpress.transport.web_address import LOOPBACK_HOSTS
from couponpress_worker.sandbox.credentials import write_private

AUTHORITY_FILE = "ca.pem"
_VALID_DAYS = 365


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the certificates are.

    Attributes:
        authority: what a client is to trust.
        certificate: the server's.
        key: the server's private key.
    """

    authority: Path
    certificate: Path
    key: Path


def prepare(directory: Path, hosts: tuple[str, ...], now: dt.datetime) -> TlsFiles:
    """Return certificates for loopback and `hosts`, made anew unless the directory's still serve for a day."""
    files = TlsFiles(directory / AUTHORITY_FILE, directory / "server.pem", directory / "server_key.pem")
    names = tuple(dict.fromkeys((*LOOPBACK_HOSTS, *hosts)))
    if not _serve_still(files, names, now):
        _make(files, names, now)
    return files


def _serve_still(files: TlsFiles, names: tuple[str, ...], now: dt.datetime) -> bool:
    if not (files.authority.exists() and files.certificate.exists() and files.key.exists()):
        return False
    try:
        certificate = x509.load_pem_x509_certificate(files.certificate.read_bytes())
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    held = {
        *map(str, alternatives.get_values_for_type(x509.IPAddress)),
        *alternatives.get_values_for_type(x509.DNSName),
    }
    return held.issuperset(names) and certificate.not_valid_after_utc > now + dt.timedelta(days=1)


def _make(files: TlsFiles, names: tuple[str, ...], now: dt.datetime) -> None:
    authority_key = ec.generate_private_key(ec.SECP256R1())
    server_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "couponpress sandbox, throw-away authority")])
    authority_id = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _draft(authority_name, authority_name, authority_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .add_extension(authority_id, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    server = (
        _draft(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "couponpress sandbox")]),
            authority_name,
            server_key.public_key(),
            now,
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(authority_id), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(files.key, server_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    write_private(files.certificate, server.public_bytes(Encoding.PEM))
    write_private(files.authority, authority.public_bytes(Encoding.PEM))


def _draft(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: dt.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=_VALID_DAYS))
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
