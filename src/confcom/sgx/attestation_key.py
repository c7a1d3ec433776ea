"""Attestation key ids, by which AESM clients say which kind of quote they want (`sgx_att_key_id_ext_t`)."""

from dataclasses import dataclass
from typing import ClassVar, Self

from confcom.errors import SGXFormatError
from confcom.sgx.layout import Field, Structure

ALGORITHM_ECDSA_P256 = 2
# The other name of a key, `pub_key_id`: SHA-256(attestation public key || auth data).
PUB_KEY_ID_SIZE = 32

# MRSIGNER of Intel's production QE, which ECDSA clients have built in (dcap_ql, Gramine).
INTEL_QE_MR_SIGNER = bytes.fromhex("8c4f5775d796503e96137f77c68a829a0056ac8ded70140b081b094490c57bff")


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationKeyID(Structure):
    """`sgx_att_key_id_ext_t`, 256 bytes; the first 158 are the base that identifies the key."""

    NAME: ClassVar = "attestation key id"
    FIELDS: ClassVar = (
        Field("id", 2, int),
        Field("version", 2, int),
        Field("mrsigner_length", 2, int),
        Field("mrsigner", 48),
        Field("prod_id", 4, int),
        Field("extended_prod_id", 16),
        Field("config_id", 64),
        Field("family_id", 16),
        Field("algorithm_id", 4, int),
        Field("spid", 16),
        Field("att_key_type", 2, int),
        Field("reserved", 80),
    )
    BASE_SIZE: ClassVar = 158

    id: int = 0
    version: int = 0
    mrsigner_length: int = 32
    mrsigner: bytes = INTEL_QE_MR_SIGNER + bytes(16)
    prod_id: int = 1
    extended_prod_id: bytes = bytes(16)
    config_id: bytes = bytes(64)
    family_id: bytes = bytes(16)
    algorithm_id: int = ALGORITHM_ECDSA_P256
    spid: bytes = bytes(16)
    att_key_type: int = 0
    reserved: bytes = bytes(80)

    def base(self) -> bytes:
        """The 158 bytes by which Intel's server matches a client's id with its own."""
        return self.to_bytes()[: self.BASE_SIZE]


# Intel's default ECDSA-P256 key, the only one this helper serves.
DEFAULT_KEY_ID = AttestationKeyID()


@dataclass(frozen=True, kw_only=True, slots=True)
class AttestationKeyIDList:
    """The list of SelectAttKeyID: id u16 = 0, version u16 = 0, count u32 (1 to 10), then 256 bytes each."""

    NAME: ClassVar = "attestation key id list"
    HEADER_SIZE: ClassVar = 8
    # Intel's server takes no more entries than this.
    MAX_IDS: ClassVar = 10

    ids: tuple[AttestationKeyID, ...]

    def __post_init__(self) -> None:
        """Refuses lists that no server takes.

        Raises:
            SGXFormatError: none, or over ten ids.
        """
        self._require_count(len(self.ids))

    @classmethod
    def _require_count(cls, count: int) -> None:
        if not 1 <= count <= cls.MAX_IDS:
            raise SGXFormatError(cls.NAME, "num", 4, f"must be 1 to {cls.MAX_IDS}, is {count}")

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The list in exactly 8 + 256 x count bytes.

        Raises:
            SGXFormatError: the header is not as above, or the count disagrees with the length.
        """
        for name, offset, size in (("id", 0, 2), ("version", 2, 2), ("num", 4, 4)):
            if len(data) < offset + size:
                raise SGXFormatError(cls.NAME, name, offset, f"needs {size} bytes, the input ends before")
        for name, offset in (("id", 0), ("version", 2)):
            if value := int.from_bytes(data[offset : offset + 2], "little"):
                raise SGXFormatError(cls.NAME, name, offset, f"must be 0, is {value}")
        count = int.from_bytes(data[4:8], "little")
        cls._require_count(count)
        if len(data) != cls.HEADER_SIZE + count * AttestationKeyID.SIZE:
            raise SGXFormatError(cls.NAME, "att_key_id_list", 8, f"{count} ids do not make {len(data)} bytes in all")
        starts = range(cls.HEADER_SIZE, len(data), AttestationKeyID.SIZE)
        size = AttestationKeyID.SIZE
        return cls(ids=tuple(AttestationKeyID.from_bytes(data[at : at + size], base=at) for at in starts))

    def to_bytes(self) -> bytes:
        """The exact inverse of `from_bytes`."""
        header = bytes(4) + len(self.ids).to_bytes(4, "little")
        return header + b"".join(key_id.to_bytes() for key_id in self.ids)
