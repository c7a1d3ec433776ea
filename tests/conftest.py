"""What the tests of several folders share: one simulated machine, running quote helpers, real quotes, the referee."""

import contextlib
import importlib
import os
import re
import resource
import shutil
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

HERE = Path(__file__).resolve().parent
# Support programs are modules of their own, imported by name from any test.
sys.path.insert(0, str(HERE / "support"))

# What a developer's shell or a CI may have set for our programs and the libraries under them: a test sets what it means.
INHERITED = re.compile(
    r"confcom_(?!test_)\w+|\w+_proxy|kube\w+|xdg_\w+_home|sgx_aesm_addr|python(warnings|devmode|utf8)|github_actions"
    r"|no_color|(clicolor_)?force(_color)?|py_colors|tty_\w+|_?typer_\w+|columns|lines|term",
    re.IGNORECASE,
)
for name in filter(INHERITED.fullmatch, list(os.environ)):
    del os.environ[name]

# A Unix socket's path has 107 bytes at the most, and some lie some folders deep.
MAX_TEMPORARY_CHARACTERS = 20
if len(tempfile.gettempdir()) > MAX_TEMPORARY_CHARACTERS:
    os.environ["TMPDIR"] = tempfile.tempdir = "/tmp"

# A busy machine must not fail a property, a property must not take minutes, and each run tries the same examples: new
# ones are looked for with --hypothesis-profile=explore.
EXPLORE = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("explore", EXPLORE)
settings.register_profile("confcom", EXPLORE, derandomize=True)
settings.load_profile("confcom")

REAL_QUOTES = HERE.parents[1] / "shared" / "data" / "quotes"
# So many that a helper lets a thousand requests wait on one socket: half of the three quarters that are one origin's.
OPEN_FILES = 3000


@pytest.fixture(scope="session")
def real_quotes() -> list[Path]:
    """The folders of genuine quotes beside the checkout."""
    if not REAL_QUOTES.is_dir():
        pytest.skip(f"no genuine quotes here: {REAL_QUOTES} does not exist")
    return sorted(path for path in REAL_QUOTES.iterdir() if (path / "quote.bin").is_file())


@pytest.fixture(scope="session")
def aesm_referee(tmp_path_factory):
    """The module that protoc makes of tests/support/aesm.proto: a second implementation of the messages."""
    from grpc_tools import protoc

    folder = tmp_path_factory.mktemp("referee")
    assert protoc.main(["protoc", f"-I{HERE / 'support'}", f"--python_out={folder}", "aesm.proto"]) == 0
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("aesm_pb2")
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("aesm_pb2", None)


@pytest.fixture(scope="session")
def platform_dir(tmp_path_factory) -> Path:
    """The folder of one simulated machine, made once."""
    from confcom.simulation.platform import SimulatedPlatform

    folder = tmp_path_factory.mktemp("platform") / "machine"
    SimulatedPlatform.create(folder)
    return folder


@pytest.fixture(scope="session")
def platform(platform_dir):
    """The machine of `platform_dir`."""
    from confcom.simulation.platform import SimulatedPlatform

    return SimulatedPlatform.load(platform_dir)


@pytest.fixture
def refused_port():
    """A loopback port that refuses connections as long as the test runs."""
    from ports import reserved_port

    with reserved_port() as port:
        yield port


@pytest.fixture
def many_files():
    """Lets this process, and the helpers that it starts, have as many files open as tests with crowds of clients need."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    if before[1] < OPEN_FILES:
        pytest.skip(f"needs {OPEN_FILES} open files, and the hard limit is {before[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(before[0], OPEN_FILES), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.fixture
def short_dir():
    """A folder with a short name for Unix sockets: pytest's own has the user's name and the test's in it."""
    folder = Path(tempfile.mkdtemp(prefix="cc"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def start_helper(platform_dir, short_dir):
    """Starts quote helpers on the simulated machine; each is ended at the end, by its id."""
    from helper_process import HelperProcess

    with contextlib.ExitStack() as stack:

        def start(*flags: str, wait: bool = True, folder: Path | None = None, **options) -> HelperProcess:
            helper = HelperProcess(folder or short_dir, platform_dir, *flags, **options)
            stack.callback(helper.end)
            if wait:
                helper.wait_ready()
            return helper

        yield start


@pytest.fixture(scope="session")
def shared_helper(platform_dir):
    """One running helper with two slots, for tests that leave it as they found it."""
    from helper_process import HelperProcess

    folder = Path(tempfile.mkdtemp(prefix="cc"))
    helper = HelperProcess(folder, platform_dir, "--slots", "2")
    try:
        helper.wait_ready()
        yield helper
    finally:
        helper.end()
        shutil.rmtree(folder, ignore_errors=True)
