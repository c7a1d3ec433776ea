"""A simulated SGX platform: one folder that stands for one machine, with its quoting enclave and its collateral.

It proves the way of the bytes and nothing about hardware: its root is trusted only by those who are told to.
"""

import binascii
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

from confcom.codes import TCBStatus
from confcom.errors import InputError
from confcom.sgx.report import TargetInfo
from confcom.simulation import state
from confcom.simulation.identity import CAKind, PlatformIdentity, parse_ca
from confcom.simulation.keys import key_from_pem
from confcom.simulation.names import ATTESTATION, CERTIFICATES, IDENTITY, INTERMEDIATE, KEYS, PCK, ROOT, SUMS
from confcom.simulation.quoting_enclave import QuotingEnclave

if TYPE_CHECKING:
    from confcom.simulation.collateral import CollateralOptions


class SimulatedPlatform:
    """One simulated machine. Made by `create`, `load` or `open`; its folder is never written again."""

    def __init__(self, folder: Path, files: Mapping[str, bytes]) -> None:
        """Takes the folder's files as they were read; see `load`."""
        self.folder = folder
        self._files = files
        self.identity = self._read_identity()
        self.quoting_enclave = QuotingEnclave(
            self.identity,
            attestation_key=self._key(ATTESTATION),
            pck_key=self._key(PCK),
            # The NUL is Intel's: its library counts the end of the C string, as most quotes in the field show.
            certificate_chain=self.certificate_chain + b"\0",
        )

    @classmethod
    def create(
        cls,
        folder: Path,
        *,
        ca: CAKind | None = None,
        tcb_status: TCBStatus | None = None,
        now: datetime | None = None,
    ) -> Self:
        """Makes a new machine in `folder`, or loads the one that is there if it is of the kind asked for.

        What is not asked for is as it is there; a new machine has the processor CA and is UpToDate. Its certificates
        are valid from a day before `now` (with a zone), by default the present. Of several processes that create the
        same folder at once, one makes the machine and all load it.

        Raises:
            InputError: the folder holds a machine of another kind, or something else.
            PlatformError: the folder cannot be made or read.
        """
        try:
            kind = parse_ca(ca or "processor"), TCBStatus(tcb_status or TCBStatus.UP_TO_DATE)
        except ValueError as error:
            raise InputError(f"simulated platform {folder}: {error}") from error
        if state.read_folder(folder) is None:
            # Most starts find a machine and load it; what only making one needs would cost each of them megabytes.
            from confcom.simulation.creation import make_files, write_folder  # noqa: PLC0415

            write_folder(folder, make_files(*kind, now or datetime.now(UTC)))
        platform = cls.load(folder)
        for flag, asked, there in (
            ("ca", ca, platform.identity.ca),
            ("tcb-status", tcb_status, platform.identity.tcb_status),
        ):
            if asked not in (None, there):
                raise InputError(
                    f"simulated platform {folder}: is there already, with --{flag} {there}, not {asked}; "
                    "use it as it is, or name another folder"
                )
        return platform

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The machine in `folder`.

        Raises:
            InputError: there is none.
            PlatformError: a file is missing, damaged or cannot be read; the sentence names it.
        """
        files = state.read_folder(folder)
        if files is None:
            raise InputError(f"simulated platform {folder}: there is none; make it with 'confcom simulate platform'")
        return cls(folder, files)

    @classmethod
    def open(cls, folder: Path) -> Self:
        """The machine in `folder`, whatever its kind; made with the defaults where there is none.

        Raises:
            InputError: the folder holds something else.
            PlatformError: the folder cannot be made, read, or is damaged.
        """
        return cls.create(folder)

    def target_info(self) -> TargetInfo:
        """What enclaves make their reports for: the QE's MRENCLAVE, ATTRIBUTES and MISCSELECT, all else zero."""
        return self.quoting_enclave.target_info

    @property
    def pub_key_id(self) -> bytes:
        """SHA-256 of the raw attestation public key and the auth data, 32 bytes.

        Raises:
            QuotingError: 42, the key was forgotten.
        """
        return self.quoting_enclave.pub_key_id

    @property
    def quote_size(self) -> int:
        """The size of every quote of this machine, in bytes.

        Raises:
            QuotingError: 42, the key was forgotten.
        """
        return self.quoting_enclave.quote_size

    def get_quote(
        self, report: bytes, att_key_id: bytes, qe_report_info: bytes | None = None
    ) -> tuple[bytes, bytes | None]:
        """A quote without padding, and the filled `qe_report_info`; see `QuotingEnclave.get_quote`.

        Raises:
            QuotingError: with the AESM code of a real QE, in its order: 3, 38, 42, 47.
        """
        return self.quoting_enclave.get_quote(report, att_key_id, qe_report_info)

    @property
    def root_pem(self) -> bytes:
        """The root certificate, the one thing that a verifier must be told to trust."""
        return self._files[CERTIFICATES[ROOT]]

    @property
    def root_path(self) -> Path:
        """The file that holds the root certificate as PEM."""
        return self.folder / CERTIFICATES[ROOT]

    @property
    def root_der(self) -> bytes:
        """The root certificate as DER."""
        lines = self.root_pem.splitlines()
        return binascii.a2b_base64(b"".join(lines[1:-1]))

    @property
    def certificate_chain(self) -> bytes:
        """PCK certificate, intermediate and root as PEM, one behind the other."""
        return b"".join(self._files[CERTIFICATES[name]] for name in (PCK, INTERMEDIATE, ROOT))

    @cached_property
    def _keys(self) -> dict[str, EllipticCurvePrivateKey]:
        return {name: self._key(name) for name in KEYS}

    def collateral(self, now: datetime, options: "CollateralOptions | None" = None) -> dict[str, str]:
        """CRLs, TCB info and QE identity, signed anew and dated five minutes before `now`, as dcap-qvl's JSON members.

        CRLs and signatures are hex, issuer chains PEM, `tcb_info` and `qe_identity` the exact signed text.
        """
        # A quoting worker never comes here, and X.509 would cost each of them megabytes.
        from confcom.simulation.collateral import CollateralOptions, make_collateral  # noqa: PLC0415

        certificates = {name: self._files[file] for name, file in CERTIFICATES.items()}
        return make_collateral(self.identity, self._keys, certificates, now, options or CollateralOptions())

    def _read_identity(self) -> PlatformIdentity:
        for name in (IDENTITY, *CERTIFICATES.values(), *KEYS.values()):
            if name not in self._files:
                raise state.damaged(self.folder / SUMS, f"does not list {name}")
        try:
            return PlatformIdentity.from_json(self._files[IDENTITY])
        except ValueError as error:
            raise state.damaged(self.folder / IDENTITY, str(error)) from error

    def _key(self, name: str) -> EllipticCurvePrivateKey:
        try:
            return key_from_pem(self._files[KEYS[name]])
        except ValueError as error:
            raise state.damaged(self.folder / KEYS[name], str(error)) from error
