"""Every error that confcom raises: one family per door, so that the class tells a program whose fault it is.

The sentence of an error is for the person at the terminal: what was found, what was expected, what to do next.
`exit_code` follows the convention of the command line: 1 the answer is no, 2 wrong use or bad input, 3 something
outside failed.
"""

from typing import ClassVar


class ConfcomError(Exception):
    """Base of all errors of this package; by itself it means that something outside failed."""

    exit_code: ClassVar[int] = 3


class InputError(ConfcomError):
    """What the user gave (a file, a flag, a field) cannot be used; the sentence names it."""

    exit_code = 2


class SettingsError(InputError):
    """A setting is unknown, missing or out of its range; the sentence carries its path."""


class SGXFormatError(InputError):
    """Bytes are not the SGX structure that they were taken for.

    Attributes:
        structure: the standard's name of the structure, for example `REPORT`.
        field: the field that could not be read, or that contradicts another.
        offset: where that field starts, in bytes from the start of the outermost structure.
        problem: what is wrong with it, in words.
    """

    def __init__(self, structure: str, field: str, offset: int, problem: str) -> None:
        super().__init__(f"{structure}: field '{field}' at offset {offset}: {problem}")
        self.structure = structure
        self.field = field
        self.offset = offset
        self.problem = problem


class CollateralFormatError(InputError):
    """Collateral (CRLs, TCB info, QE identity, their chains) cannot be read; `path` names the member."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"collateral: {path}: {problem}")
        self.path = path
        self.problem = problem


class QuoteVerificationError(ConfcomError):
    """A quote is not genuine: at least one step of the verification did not hold."""

    exit_code = 1


class AppraisalError(ConfcomError):
    """A quote is genuine, but not what the policy wants."""

    exit_code = 1


class AESMProtocolError(ConfcomError):
    """The other side of an AESM connection sent bytes that are not the protocol."""


class AESMUnavailableError(ConfcomError):
    """No answer could be had from the AESM socket: it is absent, refused, closed, or silent beyond the deadline."""


class AESMError(ConfcomError):
    """The AESM service answered with an error code.

    Attributes:
        code: the number on the wire (`codes.AESM`).
    """

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class QuotingError(ConfcomError):
    """A quoting backend refused or failed.

    Attributes:
        code: the AESM code that lets the client act.
        cause: what happened in words, for log and status, never for the wire.
    """

    def __init__(self, code: int, cause: str) -> None:
        super().__init__(cause)
        self.code = code
        self.cause = cause


class PlatformError(ConfcomError):
    """This machine (or simulated machine) lacks something: a device, a library, a folder that can be written."""


class KubeletError(ConfcomError):
    """The kubelet refused, or did not answer in time."""


class CollateralError(ConfcomError):
    """Collateral could not be had: a service is away, refuses, or answers what is none; the sentence names its host.

    Attributes:
        passing: whether the same request may succeed a little later; what a service refuses for good is not asked
            again.
    """

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing


class KubeAPIError(ConfcomError):
    """The API server refused, failed or could not be reached.

    Attributes:
        status: the HTTP status; 0 where there was no answer.
        reason: the API server's one word for it, for example `Conflict`.
        causes: for a conflict or a breach of the schema, `field: message` of each.
    """

    def __init__(self, sentence: str, *, status: int, reason: str = "", causes: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.reason = reason
        self.causes = causes


class AddonRefusedError(ConfcomError):
    """The add-on cannot be switched as asked, because of what is in the cluster; nothing was changed."""

    exit_code = 1
