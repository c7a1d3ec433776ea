"""From what a person pastes (a number in any spelling, a name, a log line, a few words) to the entries it may mean."""

import difflib
import re
from collections.abc import Iterable, Iterator

from confcom.codes.aesm_service import aesm
from confcom.codes.entry import Code, Family
from confcom.codes.table import ALL_CODES, lookup, quote3
from confcom.codes.translation import CURL_PEER_FAILED_VERIFICATION, qcnl_from_curl
from confcom.codes.verdicts import ADVISORY_CODE, TCBStatus, advisory, tcb_status

# Characters looked at. A log line fits; what is longer was pasted by mistake, and time grows with length.
MAX_TEXT = 1000
# Entries returned. A list that is longer than a screen answers nothing.
MAX_MATCHES = 12
# Names that an error about an unknown text offers.
_MAX_NEAREST = 3
# Characters that difflib compares: its time is quadratic, and the longest name has 51.
_MAX_COMPARED = 64
# Different words that are looked for; a question has fewer.
_MAX_WORDS = 12
_MAX_NUMBER = 0xFFFF_FFFF

_HEX_FAMILIES = (Family.QUOTE3, Family.SGX_STATUS, Family.VERIFICATION, Family.QCNL)
# Where a number of one or two digits may be the end of a code: 19 is read as 0xE019, too.
_BASES = ((Family.QUOTE3, 0xE000), (Family.QCNL, 0xB000), (Family.VERIFICATION, 0xA000))

# A word beside a number that says of which family it is.
_FAMILY_WORDS: dict[str, tuple[Family, ...]] = {
    "aesm": (Family.AESM,),
    "http": (Family.HTTP,),
    "https": (Family.HTTP,),
    "pccs": (Family.HTTP,),
    "pcs": (Family.HTTP,),
    "thim": (Family.HTTP,),
    "ql": (Family.QUOTE3,),
    "quote3": (Family.QUOTE3,),
    "dcap": (Family.QUOTE3,),
    "qcnl": (Family.QCNL,),
    "sgx": (Family.SGX_STATUS, Family.QUOTE3, Family.VERIFICATION),
    "sgxerror": (Family.SGX_STATUS, Family.QUOTE3),
}
_NOISE = frozenset(
    {
        *("a", "an", "is", "of", "status", "the", "was", "and", "at", "by", "code", "codes", "err", "error", "errors"),
        *("failed", "failure", "for", "from", "got", "in", "on", "result", "return", "returned", "returns", "to"),
        *("what", "with"),
    }
)

# Beginnings and ends that people leave out of a name; longer ones first.
_PREFIXES = (
    *("SGXQLQVRESULT", "TEEQVRESULT", "PCCSSTATUS", "SGXERROR", "SGXQCNL", "SGXQL"),
    *("AESM", "SGX", "ERROR", "TCB"),
)
_SUFFIX = "ERROR"
_MIN_KEY = 3

_NUMBER = re.compile(r"(?:0x)?[0-9a-f]{1,10}")
# Words inside a spoken name: "TCB status is out of date".
_FILLING = re.compile(r"\b(?:is|was|the|status)\b", re.IGNORECASE)
_PLAIN_CODE = re.compile(
    r"(?P<advisory>\bINTEL-SA-\d{1,5}\b)"
    r"|(?P<hex>\b0x[0-9a-f]{4,8}\b|\b[eab]0[0-9a-f]{2}\b)"
    r"|\baesmd?(?=[\W_])(?:service|error|code|returned|status|[\W_])*(?P<aesm>\d{1,2})\b"
    r"|\bhttp(?=[\W_])(?:error|code|returned|status|[\W_])*(?P<http>\d{3})\b"
    r"|\bcurl error\W{1,5}(?P<curl>\d{1,2})\b"
    r"|(?P<name>\b(?:SGX|AESM|TEE|PCCS|OE)_[A-Z0-9_]{3,80}\b)",
    re.IGNORECASE,
)


def find(text: str) -> list[Code]:
    """The entries that `text` may mean, most likely first; empty where nothing fits. Never raises.

    Looks at the first 1,000 characters and returns at most 12 entries.
    """
    text = text[:MAX_TEXT].strip()
    for reading in (_exact, _advisories, _number, _by_key, _plain_codes, _by_words):
        if found := list(dict.fromkeys(reading(text))):
            return found[:MAX_MATCHES]
    return []


def nearest(text: str) -> list[str]:
    """At most three names of entries that look like `text`."""
    compared = _compact(text[:_MAX_COMPARED])
    close = difflib.get_close_matches(compared, list(_BY_KEY), n=3 * _MAX_NEAREST, cutoff=0.6)
    return list(dict.fromkeys(_BY_KEY[key][0].name for key in close))[:_MAX_NEAREST]


def _exact(text: str) -> list[Code]:
    wanted = _compact(text)
    return [code for code in ALL_CODES if _compact(code.name) == wanted]


def _advisories(text: str) -> Iterator[Code]:
    if matched := re.fullmatch(r"(?:intel)?[\s_-]*sa[\s_-]*(\d{1,5})", text, re.IGNORECASE | re.ASCII):
        yield advisory(int(matched[1]))
    elif re.fullmatch(r"(?:intel[\s_-]*sa(?:[\s_-]*n*)?|advisor(?:y|ies))", text, re.IGNORECASE):
        yield ADVISORY_CODE


def _number(text: str) -> list[Code]:
    """A single number, alone or with words that say what it is."""
    spaced = re.sub(r"(?i)\bhttp/[\d.]+", "http", text)
    spaced = re.sub(r"(?i)\b(aesm|http|pccs)_?(?=\d)", r"\1 ", spaced)
    words = [word for word in re.findall(r"[0-9a-z]+", spaced.lower()) if word not in _NOISE]
    families = [family for word in words for family in _FAMILY_WORDS.get(word, ())]
    numbers = [word for word in words if word not in _FAMILY_WORDS]
    if len(numbers) != 1 or not _NUMBER.fullmatch(numbers[0]) or not re.search(r"\d", numbers[0]):
        return []
    return list(_of_number(numbers[0], families))


def _of_number(digits: str, families: list[Family]) -> Iterator[Code]:
    explicit = digits.startswith("0x")
    hexadecimal = int(digits, 16)
    decimal = int(digits) if digits.isdecimal() else None
    candidates: list[tuple[Family, int]] = []
    if decimal is not None:
        candidates += [(Family.AESM, decimal), (Family.HTTP, decimal)]
    elif families == [Family.AESM]:
        candidates += [(Family.AESM, hexadecimal)]
    if explicit or len(digits) >= 4 or hexadecimal <= 0x4:
        candidates += [(family, hexadecimal) for family in _HEX_FAMILIES]
    if decimal is not None and decimal >= 1000:
        candidates += [(family, decimal) for family in _HEX_FAMILIES]
    if 0 < hexadecimal <= 0xFF:
        candidates += [(family, base + hexadecimal) for family, base in _BASES]
    wanted = [(family, number) for family, number in candidates if not families or family in families]
    known = [code for family, number in wanted if (code := lookup(family, number))]
    yield from known or _unknown(wanted, named=bool(families))


def _unknown(wanted: Iterable[tuple[Family, int]], *, named: bool) -> Iterator[Code]:
    """An entry that says "unknown", where the family is beyond doubt."""
    for family, number in wanted:
        if number > _MAX_NUMBER:
            continue
        if family is Family.AESM and named:
            yield aesm(number)
        elif family is Family.QUOTE3 and 0xE000 <= number <= 0xE0FF:
            yield quote3(number)


def _by_key(text: str) -> list[Code]:
    wanted = _keys(text) | _keys(_FILLING.sub("", text))
    return [code for code in ALL_CODES if wanted & _CODE_KEYS[code]]


def _plain_codes(text: str) -> Iterator[Code]:
    """Codes and names within a longer text, such as a log line, that cannot be anything else."""
    for matched in _PLAIN_CODE.finditer(text):
        token = matched[0]
        match matched.lastgroup:
            case "advisory":
                yield advisory(int(token.rpartition("-")[2]))
            case "hex":
                yield from _of_number(token.lower(), list(_HEX_FAMILIES))
            case "aesm":
                yield aesm(int(matched["aesm"]))
            case "http":
                yield from _of_number(matched["http"], [Family.HTTP])
            case "curl":
                yield from _of_curl(int(matched["curl"]))
            case _:
                yield from _exact(token) or _by_key(token)
    for status in TCBStatus:
        if re.search(rf"\b{status.value}\b", text):
            yield tcb_status(status)


def _of_curl(error: int) -> Iterator[Code]:
    qcnl = lookup(Family.QCNL, qcnl_from_curl(error))
    if error == CURL_PEER_FAILED_VERIFICATION:
        yield quote3(0xE065)
    elif qcnl:
        yield qcnl


def _by_words(text: str) -> list[Code]:
    words = dict.fromkeys(re.findall(r"[0-9a-z]+", text.lower()))
    wanted = [word for word in words if word not in _NOISE][:_MAX_WORDS]
    if not any(len(word) >= _MIN_KEY and word not in _FAMILY_WORDS for word in wanted):
        return []
    in_name = [code for code in ALL_CODES if _has_words(_words(code.name), wanted)]
    return in_name or [code for code in ALL_CODES if _has_words(_words(_description(code)), wanted)]


def _description(code: Code) -> str:
    return " ".join((code.name, code.meaning, *code.causes))


def _has_words(words: frozenset[str], wanted: list[str]) -> bool:
    return all(
        part in words or (len(part) >= _MIN_KEY and any(word.startswith(part) for word in words)) for part in wanted
    )


def _words(text: str) -> frozenset[str]:
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", text)
    return frozenset(re.findall(r"[0-9a-z]+", spaced.lower()))


def _compact(text: str) -> str:
    return re.sub(r"[^0-9A-Z]", "", text.upper())


def _keys(name: str) -> frozenset[str]:
    """The name in capitals without separators, as it is and with the usual beginnings and end left out."""
    # Intel's header spells this one name so.
    key = _compact(name).replace("CERTIFCATION", "CERTIFICATION")
    keys = {key}
    while prefix := next((prefix for prefix in _PREFIXES if key.startswith(prefix)), None):
        key = key.removeprefix(prefix)
        keys.add(key)
    keys |= {key.removesuffix(_SUFFIX) for key in keys}
    return frozenset(key for key in keys if len(key) >= _MIN_KEY)


_CODE_KEYS = {code: _keys(code.name) for code in ALL_CODES}
_BY_KEY: dict[str, list[Code]] = {}
for _code, _its_keys in _CODE_KEYS.items():
    for _key in _its_keys:
        _BY_KEY.setdefault(_key, []).append(_code)
