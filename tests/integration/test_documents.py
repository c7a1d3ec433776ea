"""What the documents say is true: their `sh` blocks run, their links lead somewhere, their folders exist.

A block of another kind (`console`, `text`) shows what cannot be run here, for example against a cluster. `/tmp/` in a
block is another folder here, and a command that ends with `&` is waited for until it serves. A command ends with exit
code 0, or with the one that its comment names: `# exit 1`.
"""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
# Set-up commands: the suite itself runs inside what they make.
NOT_RUN = ("make ",)


def blocks(document: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", document.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def commands(document: Path) -> list[str]:
    joined = "".join(blocks(document)).replace("\\\n", " ")
    return [line for line in joined.splitlines() if line.strip() and not line.startswith(("#", *NOT_RUN))]


def expected_exit(line: str) -> int:
    named = re.search(r"#.*\bexit (\d+)\b", line)
    return int(named[1]) if named else 0


WITH_COMMANDS = [document for document in DOCUMENTS if commands(document)]


@contextlib.contextmanager
def short_folder():
    folder = Path(tempfile.mkdtemp(prefix="ccdoc"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("document", WITH_COMMANDS, ids=lambda path: str(path.relative_to(ROOT)))
def test_commands_of_a_document_run(document):
    background: list[subprocess.Popen[bytes]] = []
    with short_folder() as folder:
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(folder)}
        try:
            for line in commands(document):
                command = line.replace("/tmp/", f"{folder}/")
                if command.rstrip().endswith("&"):
                    background.append(start(command.rstrip().removesuffix("&"), folder, environment))
                    continue
                done = subprocess.run(
                    ["bash", "-c", command],
                    env=environment,
                    cwd=folder,
                    capture_output=True,
                    text=True,
                    timeout=120,
                    check=False,
                )
                assert done.returncode == expected_exit(line), f"{line}\n{done.stdout}{done.stderr}"
        finally:
            for process in background:
                process.terminate()
            for process in background:
                process.wait(timeout=60)


def sockets(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*.sock*") if path.is_socket()}


def start(
    words: str, folder: Path, environment: dict[str, str], deadline_seconds: float = 60
) -> subprocess.Popen[bytes]:
    """A daemon serves when it has a socket of its own, or when its log says which port or address it opened."""
    before = sockets(folder)
    with tempfile.NamedTemporaryFile("w+b", dir=folder, suffix=".log", delete=False) as log:
        process = subprocess.Popen(["bash", "-c", f"exec {words}"], env=environment, cwd=folder, stdout=log, stderr=log)
        deadline = time.monotonic() + deadline_seconds
        while time.monotonic() < deadline:
            said = Path(log.name).read_text()
            assert process.poll() is None, said
            if sockets(folder) - before or "http" in said.lower():
                return process
            time.sleep(0.02)
    process.kill()
    process.wait()
    pytest.fail(f"nothing serves: {said}")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_of_a_document_lead_somewhere(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    missing = []
    for link in re.findall(r"\]\(([^)]+)\)", text):
        target, _, anchor = link.partition("#")
        page = document.parent / target if target else document
        if "://" not in link and not (page.exists() and (not anchor or anchor in anchors(page))):
            missing.append(link)

    assert missing == []


def anchors(page: Path) -> set[str]:
    """What a heading is called in a link, as GitHub does it."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_contributing_names_every_folder():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = [path for path in (ROOT / "src/confcom").iterdir() if (path / "__init__.py").exists()]
    missing = [str(path.relative_to(ROOT)) for path in packages if f"`{path.relative_to(ROOT)}/`" not in text]

    assert missing == []


def test_no_document_is_lost():
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    missing = [
        str(path.relative_to(ROOT / "docs"))
        for path in (ROOT / "docs").rglob("*.md")
        if path.name != "index.md" and f"({path.relative_to(ROOT / 'docs')})" not in index
    ]

    assert missing == []
