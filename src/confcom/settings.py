"""Strict, typed settings of the daemons: flag before environment before file before default.

A program's settings are one frozen `msgspec.Struct`. Each field `slots_dir` is the flag `--slots-dir`, the variable
`CONFCOM_SLOTS_DIR` and the key `slots_dir` of the file given with `--config` (TOML or JSON). A key that no field has
is an error with its path, since a misspelt setting that is silently ignored is worse than a daemon that does not start.
"""

import argparse
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar, get_args, get_origin, get_type_hints

import msgspec
from msgspec import inspect

from confcom.errors import SettingsError

ENVIRONMENT_PREFIX = "CONFCOM_"
# A settings file is a page of text.
MAX_FILE_BYTES = 1024 * 1024

_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30,
          "ti": 1 << 40}  # fmt: skip

S = TypeVar("S", bound=msgspec.Struct)


class Size(int):
    """A size in bytes, written as a number with a unit: `8GiB`, `512Mi`, `94371840`."""

    @classmethod
    def parse(cls, text: str) -> "Size":
        """The size that `text` says.

        Raises:
            ValueError: it is not a number with one of the units B, k, M, G, T, Ki, Mi, Gi, Ti (with or without B).
        """
        match = re.fullmatch(r"(\d{1,15})\s*([kmgt]?i?)b?", text.strip(), re.IGNORECASE)
        if match is None or match[2].lower() not in _UNITS:
            raise ValueError(f"'{text}' is not a size: write a number and a unit, for example 8GiB or 512MiB")
        return cls(int(match[1]) * _UNITS[match[2].lower()])

    @property
    def mib(self) -> int:
        """Whole MiB, rounded down."""
        return self >> 20


def load(settings: type[S], arguments: Sequence[str], environment: Mapping[str, str], *, program: str) -> S:
    """The settings of one start of a program.

    Raises:
        SettingsError: an unknown flag or key, a value of another type or out of its range; the sentence says where
            the value came from.
    """
    flags = vars(_parser(settings, program).parse_args(list(arguments)))
    config = flags.pop("config", None)
    if config == "":
        raise SettingsError("--config: is empty: name a file, or leave it out")
    config = config or environment.get(f"{ENVIRONMENT_PREFIX}CONFIG")
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, found in (
        (f"{config}: ", _read_file(Path(config)) if config else {}),
        (ENVIRONMENT_PREFIX, _from_environment(settings, environment)),
        ("--", {name: value for name, value in flags.items() if value is not None}),
    ):
        values.update(found)
        origins.update({name: _spelling(origin, name) for name in found})
    return _convert(settings, values, origins)


def require_folders(settings: msgspec.Struct, *names: str) -> None:
    """Refuses files where folders are meant; what is absent, or cannot be looked at, is left to whoever needs it.

    Raises:
        SettingsError: one of the named settings is a path that leads to something else.
    """
    for name in names:
        path = getattr(settings, name)
        # Unlike their namesakes of Path, these two say no instead of raising where a folder on the way is closed.
        if path is not None and os.path.exists(path) and not os.path.isdir(path):  # noqa: PTH110, PTH112
            raise SettingsError(f"{_spelling('--', name)} {path}: is not a folder")


def _spelling(origin: str, name: str) -> str:
    if origin == "--":
        return "--" + name.replace("_", "-")
    return origin + (name.upper() if origin == ENVIRONMENT_PREFIX else name)


def _convert(settings: type[S], values: Mapping[str, Any], origins: Mapping[str, str]) -> S:
    known = {field.name for field in msgspec.structs.fields(settings)}
    for name in values:
        if name not in known:
            raise SettingsError(f"{origins[name]}: there is no such setting; known are {', '.join(sorted(known))}")
    try:
        return msgspec.convert(values, settings, strict=False, dec_hook=_decode)
    except (msgspec.ValidationError, ValueError) as error:
        problem, _, path = str(error).partition(" - at `$")
        name = re.sub(r"\W.*", "", path.lstrip("."))
        if problem.startswith(("Expected ", "Invalid enum value")) and (allowed := _allowed(settings, name)):
            problem = f"{values[name]!r} is not {allowed}"
        where = origins.get(name, name)
        raise SettingsError(f"{where}: {problem}" if where else problem) from None


def _allowed(settings: type[msgspec.Struct], name: str) -> str:
    """What a field may be, in words; empty where it is of a type of ours, whose reader has words of its own."""
    kind: Any = inspect.type_info(get_type_hints(settings, include_extras=True).get(name, object))
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    match kind:
        case inspect.IntType() | inspect.FloatType():
            return ("a whole number" if isinstance(kind, inspect.IntType) else "a number") + _range(kind)
        case inspect.BoolType():
            return "true or false"
        case inspect.StrType():
            return f"a text of at least {kind.min_length} character" if kind.min_length else "a text"
        case inspect.LiteralType():
            return f"one of {', '.join(map(str, kind.values))}"
    return ""


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    if kind.ge is not None and kind.le is not None:
        return f" from {kind.ge} to {kind.le}"
    bounds = (("above", kind.gt), ("of at least", kind.ge), ("at most", kind.le))
    words = " and ".join(f"{word} {bound}" for word, bound in bounds if bound is not None)
    return f" {words}" if words else ""


def _decode(kind: type, value: Any) -> Any:
    if kind is Size:
        return Size.parse(str(value))
    if kind is Path:
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a path")
        # As a path, the value of a variable that was never set would be the current folder.
        if not value:
            raise ValueError("is empty: name a path, or leave it out")
        return Path(value)
    raise TypeError(f"a setting of type {kind.__name__} cannot be read")


def _from_environment(settings: type[msgspec.Struct], environment: Mapping[str, str]) -> dict[str, str]:
    names = (field.name for field in msgspec.structs.fields(settings))
    return {name: environment[key] for name in names if (key := ENVIRONMENT_PREFIX + name.upper()) in environment}


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"--config {path}: {error.strerror or error}") from error
    if len(text) > MAX_FILE_BYTES:
        raise SettingsError(f"--config {path}: over 1 MiB, which no settings file is")
    try:
        return read_keys(text, is_json=path.suffix == ".json")
    except ValueError as error:
        raise SettingsError(f"--config {path}: {error}") from None


def read_keys(data: bytes, *, is_json: bool) -> dict[str, Any]:
    """The keys and values of a JSON object or of a TOML text; a key that stands there twice is refused.

    Raises:
        ValueError: it is neither; the sentence is without the file's name.
    """
    try:
        found = json.loads(data, object_pairs_hook=_unique) if is_json else tomllib.loads(data.decode())
    # Both readers raise kinds of ValueError, and a bare one for a number of thousands of digits.
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not {'JSON' if is_json else 'TOML'}: {error}") from error
    if not isinstance(found, dict):
        raise ValueError(f"needs an object of keys, holds a {type(found).__name__}")  # noqa: TRY004 - one kind for all
    return found


def _unique(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """The members of a JSON object; of a key that stands there twice most readers take the last, and say nothing."""
    found = dict(members)
    if len(found) != len(members):
        names = [key for key, _ in members]
        raise ValueError(f"the key {next(key for key in found if names.count(key) > 1)!r} stands there twice")
    return found


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        problem = message.removeprefix("argument ").replace("expected one argument", "needs a value")
        raise SettingsError(f"{problem}; see {self.prog} --help")


def _parser(settings: type[msgspec.Struct], program: str) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=program,
        description=(settings.__doc__ or "").partition("\n")[0],
        epilog=f"Each flag is also a variable: --http-port is {ENVIRONMENT_PREFIX}HTTP_PORT.",
        allow_abbrev=False,
    )
    parser.add_argument("--config", metavar="FILE", help="settings as TOML or JSON, below flags and environment")
    for setting in describe(settings):
        default = f" (default {setting.shown_default})" if setting.shown_default else ""
        text = setting.text.replace("%", "%%") + default
        if setting.is_switch:
            parser.add_argument(setting.flag, action=argparse.BooleanOptionalAction, default=None, help=text)
        else:
            parser.add_argument(setting.flag, metavar=setting.metavar, help=text)
    return parser


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One setting as documents show it; `default` is None where there is none, `metavar` stands for its value."""

    name: str
    text: str
    default: Any
    is_switch: bool
    metavar: str

    @property
    def flag(self) -> str:
        """Its flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def shown_default(self) -> str:
        """The default as a user would write it; empty where there is none."""
        match self.default:
            case None:
                return ""
            case bool():
                return "true" if self.default else "false"
            case Size() if self.default:
                return f"{self.default.mib}MiB"
        return str(self.default)


def describe(settings: type[msgspec.Struct]) -> Iterator[Setting]:
    """Each setting of a program, in the order in which the program lists them."""
    hints = get_type_hints(settings, include_extras=True)
    for field in msgspec.structs.fields(settings):
        text, is_switch = _describe(hints[field.name])
        default = None if field.default is msgspec.NODEFAULT else field.default
        metavar = _metavar(field.name, hints[field.name])
        yield Setting(name=field.name, text=text, default=default, is_switch=is_switch, metavar=metavar)


def _describe(hint: Any) -> tuple[str, bool]:
    """The help text of a field's annotation, and whether it is a switch."""
    if get_origin(hint) is not Annotated:
        return "", hint is bool
    kind, *notes = get_args(hint)
    text = next((note.description for note in notes if isinstance(note, msgspec.Meta) and note.description), "")
    return text, kind is bool


def _metavar(name: str, hint: Any) -> str:
    """What stands for the value in help: the words to choose from, the kind of value, or the last word of its name."""
    kind: Any = inspect.type_info(hint)
    kind = kind.type if isinstance(kind, inspect.Metadata) else kind
    kinds = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    match kinds[0]:
        case inspect.LiteralType():
            return "|".join(map(str, kinds[0].values))
        case inspect.CustomType(cls=cls) if cls is Size:
            return "SIZE"
        case inspect.IntType() | inspect.FloatType():
            return "NUMBER"
    return name.rpartition("_")[2].upper()
