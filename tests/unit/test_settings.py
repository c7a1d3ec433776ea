"""Settings: precedence, types and ranges, and where a wrong one came from."""

from pathlib import Path
from typing import Annotated, Literal

import msgspec
import pytest
from msgspec import Meta

from confcom.errors import SettingsError
from confcom.settings import MAX_FILE_BYTES, Setting, Size, load


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """A sample program."""

    socket_dir: Annotated[Path, Meta(description="where sockets are")] = Path("/run")
    count: Annotated[int, Meta(ge=1, le=8, description="100% of what is counted")] = 1
    wait: Annotated[float, Meta(ge=0)] = 0.5
    epc: Size = Size(0)
    kind: Literal["a", "b"] = "a"
    loud: Annotated[bool, Meta(description="whether it is loud")] = False
    name: str | None = None


def loaded(*arguments, environment=None):
    return load(Sample, list(arguments), environment or {}, program="sample")


def refused(*arguments, environment=None):
    with pytest.raises(SettingsError) as caught:
        loaded(*arguments, environment=environment)
    assert caught.value.exit_code == 2
    return str(caught.value)


def test_defaults():
    assert loaded() == Sample()


@pytest.mark.parametrize(
    ("arguments", "environment", "field", "value"),
    [
        (["--count", "3"], {}, "count", 3),
        (["--count=3"], {}, "count", 3),
        ([], {"CONFCOM_COUNT": "4"}, "count", 4),
        (["--count", "3"], {"CONFCOM_COUNT": "4"}, "count", 3),
        (["--socket-dir", "/x"], {}, "socket_dir", Path("/x")),
        ([], {"CONFCOM_SOCKET_DIR": "/y"}, "socket_dir", Path("/y")),
        (["--wait", "2"], {}, "wait", 2.0),
        (["--epc", "8GiB"], {}, "epc", 8 << 30),
        (["--loud"], {}, "loud", True),
        (["--no-loud"], {"CONFCOM_LOUD": "true"}, "loud", False),
        ([], {"CONFCOM_LOUD": "1"}, "loud", True),
        ([], {"COUNT": "4", "CONFCOM_OTHER": "x"}, "count", 1),
        (["--name", ""], {}, "name", ""),
    ],
)
def test_value_comes_from_flag_then_variable(arguments, environment, field, value):
    assert getattr(loaded(*arguments, environment=environment), field) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("s.toml", "count = 5\nname = 'n'\n"), ("s.json", '{"count": 5, "name": "n"}'), ("s", "count = 5")],
)
def test_file_is_toml_or_json_and_below_the_others(tmp_path, name, text):
    file = tmp_path / name
    file.write_text(text)
    assert loaded("--config", str(file)).count == 5
    assert loaded(environment={"CONFCOM_CONFIG": str(file)}).count == 5
    assert loaded("--config", str(file), environment={"CONFCOM_COUNT": "6"}).count == 6
    assert loaded("--config", str(file), "--count", "7", environment={"CONFCOM_COUNT": "6"}).count == 7


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--count", "0"], {}, "--count: '0' is not a whole number from 1 to 8"),
        (["--count", "x"], {}, "--count: 'x' is not a whole number from 1 to 8"),
        (["--count", ""], {}, "--count: '' is not a whole number from 1 to 8"),
        ([], {"CONFCOM_COUNT": "9"}, "CONFCOM_COUNT: '9' is not a whole number from 1 to 8"),
        (["--wait"], {}, "--wait: needs a value; see sample --help"),
        (["--wait=-1"], {}, "--wait: '-1' is not a number of at least 0"),
        (["--wait", "nan"], {}, "--wait: 'nan' is not a number of at least 0"),
        (["--kind", "c"], {}, "--kind: 'c' is not one of a, b"),
        ([], {"CONFCOM_LOUD": "perhaps"}, "CONFCOM_LOUD: 'perhaps' is not true or false"),
        (
            ["--epc", "8 apples"],
            {},
            "--epc: '8 apples' is not a size: write a number and a unit, for example 8GiB or 512MiB",
        ),
        (["--socket-dir", ""], {}, "--socket-dir: is empty: name a path, or leave it out"),
        (["--socket-dir="], {}, "--socket-dir: is empty: name a path, or leave it out"),
        ([], {"CONFCOM_SOCKET_DIR": ""}, "CONFCOM_SOCKET_DIR: is empty: name a path, or leave it out"),
        (["--config", ""], {}, "--config: is empty: name a file, or leave it out"),
        (["--colour", "red"], {}, "unrecognized arguments: --colour red; see sample --help"),
        (["stray"], {}, "unrecognized arguments: stray; see sample --help"),
        (["--cou", "3"], {}, "unrecognized arguments: --cou 3; see sample --help"),
    ],
)
def test_wrong_value_is_told_with_where_it_came_from(arguments, environment, sentence):
    assert refused(*arguments, environment=environment) == sentence


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("s.toml", "count = [", "is not TOML: "),
        ("s.toml", "count = 1\ncount = 2", "is not TOML: Cannot overwrite a value"),
        ("s.toml", f"count = {'9' * 5000}", "is not TOML: "),
        ("s.json", "{", "is not JSON: "),
        ("s.json", f'{{"count": {"9" * 5000}}}', "is not JSON: "),
        ("s.json", '{"count": 1, "count": 2}', "is not JSON: the key 'count' stands there twice"),
        ("s.toml", "x = " + "[" * 5000, "is not TOML: "),
        ("s.json", "[1]", "needs an object of keys, holds a list"),
        ("s.toml", "x" * (MAX_FILE_BYTES + 1), "over 1 MiB, which no settings file is"),
    ],
)
def test_file_that_cannot_be_read_is_named(tmp_path, name, text, sentence):
    file = tmp_path / name
    file.write_text(text)
    assert refused("--config", str(file)).startswith(f"--config {file}: {sentence}")


def test_file_that_is_absent_is_named(tmp_path):
    assert refused("--config", f"{tmp_path}/none.toml") == f"--config {tmp_path}/none.toml: No such file or directory"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("cuont = 1", "cuont: there is no such setting; known are count, epc, kind, loud, name, socket_dir, wait"),
        ("count = 'many'", "count: 'many' is not a whole number from 1 to 8"),
        ("name = 3", "name: Expected `str | null`, got `int`"),
        ("socket_dir = 0", "socket_dir: 0 is not a path"),
        ("socket_dir = ''", "socket_dir: is empty: name a path, or leave it out"),
        ("count = 99", "count: 99 is not a whole number from 1 to 8"),
        ("[count]\nx = 1", "count: {'x': 1} is not a whole number from 1 to 8"),
    ],
)
def test_wrong_key_of_a_file_is_told_with_its_path(tmp_path, text, sentence):
    file = tmp_path / "s.toml"
    file.write_text(text)
    assert refused("--config", str(file)) == f"{file}: {sentence}"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0), ("94371840", 94371840), ("1k", 1000), ("1kB", 1000), ("1KiB", 1024), ("512Mi", 512 << 20),
        ("8GiB", 8 << 30), ("8 GiB", 8 << 30), ("1T", 10**12), ("1TiB", 1 << 40), (" 7 b ", 7),
    ],
)  # fmt: skip
def test_size(text, size):
    assert Size.parse(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "1.5GiB", "-1", "1PiB", "1i", "1 G B", "0x10", "9" * 16])
def test_what_is_no_size(text):
    with pytest.raises(ValueError, match="is not a size: write a number and a unit"):
        Size.parse(text)


def test_size_in_whole_mib():
    assert Size.parse("1023KiB").mib == 0
    assert Size.parse("8GiB").mib == 8192


def test_help_tells_flags_their_meaning_and_default(capsys):
    with pytest.raises(SystemExit) as caught:
        loaded("--help")
    assert caught.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "A sample program." in text
    assert "where sockets are (default /run)" in text
    assert "100% of what is counted (default 1)" in text
    assert "whether it is loud (default false)" in text
    assert "--loud, --no-loud" in text
    assert "--count NUMBER" in text
    assert "--kind a|b" in text
    assert "--epc SIZE" in text
    assert "--socket-dir DIR" in text
    assert "--http-port is CONFCOM_HTTP_PORT" in text


@pytest.mark.parametrize(
    ("default", "shown"),
    [
        (Size(4 << 20), "4MiB"),
        (Size(0), "0"),
        (True, "true"),
        (False, "false"),
        (None, ""),
        ("", ""),
        (0, "0"),
        (0.5, "0.5"),
    ],
)
def test_default_is_shown_as_it_would_be_written(default, shown):
    setting = Setting(name="x", text="", default=default, is_switch=False, metavar="X")
    assert setting.shown_default == shown
