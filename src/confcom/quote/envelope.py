"""What certificates and CRLs share (RFC 5280, 4.1 and 5.1): a signed part, an algorithm, a signature, and names.

The received bytes are taken as they are: signatures are checked over them, names are compared by them, and nothing is
re-encoded on the way.
"""

from dataclasses import dataclass
from typing import Self

from confcom.quote import der
from confcom.quote.extensions import Extensions
from confcom.quote.printing import printable

# AlgorithmIdentifier of ecdsa-with-SHA256, 1.2.840.10045.4.3.2, which has no parameters (RFC 5758, 3.2).
_ECDSA_SHA256 = bytes.fromhex("06082a8648ce3d040302")
_COMMON_NAME = bytes.fromhex("550403")
# A name is printed in sentences; Intel's longest has 25 characters.
_MAX_NAME = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """The three elements of a certificate or CRL.

    Attributes:
        signed: the first element's exact bytes, which the signature covers.
        parts: tag and content of each element in it.
        signature: ECDSA in DER.
    """

    signed: bytes
    parts: list[tuple[int, bytes]]
    signature: bytes

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """The envelope that fills `data`.

        Raises:
            DERError: it is malformed, or the algorithm is not ecdsa-with-SHA256.
        """
        whole = der.read_only(data, der.SEQUENCE)
        tag, content, end = der.read(whole)
        others = der.children(whole[end:])
        if [tag, *(other for other, _ in others)] != [der.SEQUENCE, der.SEQUENCE, der.BIT_STRING]:
            raise der.DERError("not a signed part, an algorithm and a signature")
        (_, algorithm), (_, signature) = others
        if algorithm != _ECDSA_SHA256:
            raise der.DERError("an algorithm that is not ecdsa-with-SHA256")
        # The first byte counts the bits that are unused: none, or the byte would be free to change.
        if signature[:1] != b"\0":
            raise der.DERError("a signature that is not whole bytes")
        return cls(signed=whole[:end], parts=der.children(content), signature=signature[1:])

    def sequences(self) -> list[bytes]:
        """The contents of the parts that are a SEQUENCE: in a certificate algorithm, issuer, validity, subject, key.

        In a CRL algorithm, issuer and, where there are any, the entries.
        """
        return [content for tag, content in self.parts if tag == der.SEQUENCE]

    def extensions(self, tag: int) -> Extensions:
        """The extensions, which stand last under `tag`.

        Raises:
            DERError: they are malformed.
        """
        last_tag, content = self.parts[-1] if self.parts else (0, b"")
        return Extensions.from_der(content if last_tag == tag else b"")


def common_name(name: bytes) -> str:
    """The common name in the content of a Name, fit to be printed: certificates come from strangers.

    Raises:
        DERError: the name is malformed.
    """
    for set_tag, attributes in der.children(name):
        der.expect(set_tag, der.SET)
        for tag, attribute in der.children(attributes):
            der.expect(tag, der.SEQUENCE)
            parts = der.children(attribute)
            if len(parts) == 2 and parts[0] == (der.OBJECT_IDENTIFIER, _COMMON_NAME):
                return printable(parts[1][1].decode(errors="replace"), _MAX_NAME)
    return "without a common name"
