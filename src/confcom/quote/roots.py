"""The one certificate that a verification trusts: Intel's, which the package carries, or another that is named."""

import functools
from dataclasses import dataclass
from importlib import resources
from typing import Self

from confcom.errors import InputError
from confcom.quote.certificates import Certificate, CertificateError, split_chain
from confcom.quote.extensions import KeyUse

# Every subject of the simulated platform carries this word, and no certificate of Intel does.
SIMULATED_MARK = "Simulated"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrustRoot:
    """A root certificate that was named as trusted.

    Chains are compared with its *key*: two certificates of Intel's root with the same key are in circulation.
    """

    certificate: Certificate

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The root in PEM or DER; exactly one certificate.

        Raises:
            InputError: none or several, a malformed one, or one that is no self-signed CA.
        """
        try:
            certificate = Certificate.from_der(_only_certificate(data))
        except CertificateError as error:
            raise InputError(f"root certificate: {error}") from error
        if certificate.subject != certificate.issuer or not certificate.is_signed_by(certificate):
            name = certificate.common_name
            raise InputError(f"root certificate: '{name}' is not self-signed; name the root of the chain instead")
        if not certificate.extensions.is_ca or KeyUse.CERTIFY not in certificate.extensions.key_uses:
            raise InputError(f"root certificate: '{certificate.common_name}' is not the certificate of a CA")
        return cls(certificate=certificate)

    @property
    def name(self) -> str:
        """The subject's common name."""
        return self.certificate.common_name

    @property
    def simulated(self) -> bool:
        """Whether the simulator made it, so that it proves nothing about hardware."""
        return is_simulated(self.certificate)

    @property
    def is_intel(self) -> bool:
        """Whether it has the key of Intel's root."""
        return self.certificate.public_key_bytes == intel_root().certificate.public_key_bytes


def is_simulated(certificate: Certificate) -> bool:
    """Whether a certificate says of itself that the simulator made it."""
    return SIMULATED_MARK in certificate.common_name


@functools.cache
def intel_root() -> TrustRoot:
    """Intel SGX Root CA, valid 2018-05-21 to 2049-12-31: the default root."""
    return TrustRoot.from_bytes(resources.files(__package__).joinpath("intel_sgx_root_ca.pem").read_bytes())


def _only_certificate(data: bytes) -> bytes:
    if not data.lstrip().startswith(b"-----BEGIN"):
        return data
    chain = split_chain(data)
    if len(chain) != 1:
        raise CertificateError(f"holds {len(chain)} certificates; exactly one is trusted")
    return chain[0]
