"""What a PCK certificate says of the platform: the SGX extension of Intel's PCK certificate profile, 1.3.5."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Self

from confcom.quote import der
from confcom.quote.certificates import CertificateError

COMPONENTS = 16
# 1.2.840.113741.1.13.1, the arc under which every member's OID lies.
_ARC = bytes.fromhex("2a864886f84d010d01")
_PPID, _TCB, _PCE_ID, _FMSPC, _SGX_TYPE, _INSTANCE, _CONFIGURATION = range(1, 8)
_TCB_PCE_SVN, _TCB_CPU_SVN = 17, 18
# A processor CA's certificate has the first five members, a platform CA's all seven.
_REQUIRED = frozenset({_PPID, _TCB, _PCE_ID, _FMSPC, _SGX_TYPE})
_PLATFORM_ONLY = frozenset({_INSTANCE, _CONFIGURATION})
SGX_TYPES = {0: "standard", 1: "scalable", 2: "scalable with integrity"}


@dataclass(frozen=True, kw_only=True, slots=True)
class PCKConfiguration:
    """How a platform with several sockets is set up."""

    dynamic_platform: bool
    cached_keys: bool
    smt_enabled: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class PCKExtension:
    """The SGX extension. Sizes in bytes: ppid 16, cpu_svn 16, pce_id 2, fmspc 6, platform_instance_id 16.

    `ppid` and `platform_instance_id` identify one machine: they are compared, never printed.
    """

    ppid: bytes = field(repr=False)
    components: tuple[int, ...]
    pce_svn: int
    cpu_svn: bytes
    pce_id: bytes
    fmspc: bytes
    sgx_type: int
    platform_instance_id: bytes | None = field(default=None, repr=False)
    configuration: PCKConfiguration | None = None

    @property
    def is_platform(self) -> bool:
        """Whether it has the two members that only the Platform CA writes."""
        return self.configuration is not None

    @classmethod
    def from_der(cls, data: bytes) -> Self:
        """The extension in the value of OID 1.2.840.113741.1.13.1.

        Raises:
            CertificateError: it is malformed, or members are missing, unknown or there twice.
        """
        try:
            return cls._read(dict(_members(der.read_only(data, der.SEQUENCE), _ARC)))
        except der.DERError as error:
            raise CertificateError(f"has a malformed SGX extension: {error}") from error

    @classmethod
    def _read(cls, members: dict[int, tuple[int, bytes]]) -> Self:
        present = members.keys()
        if present not in (_REQUIRED, _REQUIRED | _PLATFORM_ONLY):
            raise der.DERError(f"the members {sorted(present)}, not 1 to 5 (processor) or 1 to 7 (platform)")
        components, pce_svn, cpu_svn = _tcb(_typed(members[_TCB], der.SEQUENCE))
        configuration = members.get(_CONFIGURATION)
        instance = members.get(_INSTANCE)
        return cls(
            ppid=_octets(members[_PPID], 16),
            components=components,
            pce_svn=pce_svn,
            cpu_svn=cpu_svn,
            pce_id=_octets(members[_PCE_ID], 2),
            fmspc=_octets(members[_FMSPC], 6),
            sgx_type=_sgx_type(_typed(members[_SGX_TYPE], der.ENUMERATED)),
            platform_instance_id=_octets(instance, 16) if instance else None,
            configuration=_configuration(_typed(configuration, der.SEQUENCE)) if configuration else None,
        )


def _members(content: bytes, arc: bytes) -> Iterator[tuple[int, tuple[int, bytes]]]:
    """The last number of each member's OID with its value; every OID is `arc` and that number."""
    seen = set()
    for tag, pair in der.children(content):
        der.expect(tag, der.SEQUENCE)
        items = der.children(pair)
        if len(items) != 2:
            raise der.DERError("a member that is not a pair of OID and value")
        (oid_tag, oid), value = items
        der.expect(oid_tag, der.OBJECT_IDENTIFIER)
        if len(oid) != len(arc) + 1 or not oid.startswith(arc) or oid in seen:
            raise der.DERError(f"the OID {oid.hex()} where it does not belong")
        seen.add(oid)
        yield oid[-1], value


def _tcb(content: bytes) -> tuple[tuple[int, ...], int, bytes]:
    members = dict(_members(content, _ARC + bytes((_TCB,))))
    if members.keys() != set(range(1, _TCB_CPU_SVN + 1)):
        raise der.DERError("a TCB that has not the members 1 to 18")
    svns = [der.unsigned(_typed(members[number], der.INTEGER)) for number in range(1, _TCB_PCE_SVN + 1)]
    if max(svns[:COMPONENTS]) > 0xFF or svns[-1] > 0xFFFF:
        raise der.DERError("an SVN over 255, or a PCESVN over 65535")
    return tuple(svns[:COMPONENTS]), svns[-1], _octets(members[_TCB_CPU_SVN], 16)


def _configuration(content: bytes) -> PCKConfiguration:
    members = dict(_members(content, _ARC + bytes((_CONFIGURATION,))))
    if members.keys() != {1, 2, 3}:
        raise der.DERError("a configuration that has not the members 1 to 3")
    flags = [der.boolean(_typed(members[number], der.BOOLEAN)) for number in (1, 2, 3)]
    return PCKConfiguration(dynamic_platform=flags[0], cached_keys=flags[1], smt_enabled=flags[2])


def _sgx_type(content: bytes) -> int:
    number = der.unsigned(content)
    if number not in SGX_TYPES:
        raise der.DERError(f"the SGX type {number}, which is unknown")
    return number


def _typed(element: tuple[int, bytes], wanted: int) -> bytes:
    der.expect(element[0], wanted)
    return element[1]


def _octets(element: tuple[int, bytes], size: int) -> bytes:
    content = _typed(element, der.OCTET_STRING)
    if len(content) != size:
        raise der.DERError(f"{len(content)} bytes where {size} belong")
    return content
