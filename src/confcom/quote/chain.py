"""The PCK certificate chain that a quote carries, and the rules that it must keep besides its signatures."""

from dataclasses import dataclass
from typing import Self

from confcom.quote.certificates import Certificate, CertificateError
from confcom.quote.endorsements import Endorsements
from confcom.quote.extensions import KeyUse
from confcom.quote.pck import PCKExtension

# Real chains have under 4 kB.
MAX_CERTIFICATION_DATA = 32 * 1024
# The names that Intel gives; demanded below Intel's root only, since others may name theirs as they like.
_INTEL_LEAF = "Intel SGX PCK Certificate"
_INTEL_CAS = frozenset({"Intel SGX PCK Processor CA", "Intel SGX PCK Platform CA"})


@dataclass(frozen=True, kw_only=True, slots=True)
class PCKChain:
    """The three certificates in a quote. `root` is the quote's own and never trusted: its key is compared, once."""

    leaf: Certificate
    intermediate: Certificate
    root: Certificate

    @classmethod
    def from_pem(cls, text: bytes, endorsements: Endorsements) -> Self:
        """The chain in certification data of type 5; NUL bytes at its end are ignored.

        Raises:
            CertificateError: too long, not three certificates, or one of them malformed; the sentence says which.
        """
        if len(text) > MAX_CERTIFICATION_DATA:
            raise CertificateError(f"it has {len(text)} bytes; at most {MAX_CERTIFICATION_DATA} are read")
        encoded = _split(text, endorsements)
        if len(encoded) != 3:
            raise CertificateError(f"it holds {len(encoded)} certificates, not three: leaf, intermediate and root")
        leaf, intermediate, root = (
            _read(endorsements, der, position)
            for der, position in zip(encoded, ("leaf", "intermediate", "root"), strict=True)
        )
        return cls(leaf=leaf, intermediate=intermediate, root=root)

    def extension(self, endorsements: Endorsements) -> PCKExtension:
        """What the leaf says of the platform.

        Raises:
            CertificateError: it has no SGX extension, or a malformed one.
        """
        if self.leaf.sgx_extension is None:
            raise CertificateError(f"its leaf '{self.leaf.common_name}' has no SGX extension")
        try:
            return endorsements.pck_extension(self.leaf.sgx_extension)
        except CertificateError as error:
            raise CertificateError(f"its leaf certificate {error}") from error

    def link_problems(self, endorsements: Endorsements) -> list[str]:
        """What speaks against root, intermediate and leaf having issued each other, the *named* root on top."""
        root = endorsements.root
        problems = endorsements.link_problems(self.intermediate, root.certificate)
        problems += endorsements.link_problems(self.leaf, self.intermediate)
        if root.certificate.extensions.path_length == 0:
            problems.append(f"'{root.name}' allows no CA below itself (path length 0)")
        if self.leaf.extensions.is_ca or KeyUse.SIGN not in self.leaf.extensions.key_uses:
            problems.append(f"'{self.leaf.common_name}' may not sign reports")
        return problems + (self._intel_problems() if root.is_intel else [])

    def _intel_problems(self) -> list[str]:
        problems = []
        if self.leaf.common_name != _INTEL_LEAF:
            problems.append(f"the leaf is '{self.leaf.common_name}', must be '{_INTEL_LEAF}'")
        if self.intermediate.common_name not in _INTEL_CAS:
            problems.append(f"the intermediate is '{self.intermediate.common_name}', which issues no PCK certificates")
        return problems

    def kind_problems(self, pck: PCKExtension) -> list[str]:
        """Whether the CA's kind fits the extension: only the Platform CA writes instance id and configuration."""
        name = self.intermediate.common_name
        if "Platform" in name and not pck.is_platform:
            return [f"'{name}' issued a PCK certificate without platform instance id and configuration"]
        if "Processor" in name and pck.is_platform:
            return [f"'{name}' issued a PCK certificate with platform instance id and configuration"]
        return []


def _split(text: bytes, endorsements: Endorsements) -> tuple[bytes, ...]:
    try:
        return endorsements.split(text)
    except CertificateError as error:
        raise CertificateError(f"it {error}") from error


def _read(endorsements: Endorsements, der: bytes, position: str) -> Certificate:
    try:
        return endorsements.certificate(der)
    except CertificateError as error:
        raise CertificateError(f"its {position} certificate {error}") from error
