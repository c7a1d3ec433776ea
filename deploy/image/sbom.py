"""Prints the bill of materials of the image it runs in, as CycloneDX 1.5 JSON: Python distributions, Debian packages.

Standard library only; the build runs it as its last step. `--unpacked FILE` adds packages that were unpacked without
being installed, one `OWNER NAME VERSION` a line.
"""

import argparse
import importlib.metadata
import json
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

Component = dict[str, Any]


def program() -> Component:
    """What the image is for; it comes from a checkout and no index, so it has no package URL."""
    name = "confcom"
    version = importlib.metadata.version(name)
    return {"type": "application", "name": name, "version": version, **_licenses(importlib.metadata.distribution(name))}


def python_components() -> list[Component]:
    """Every other installed Python distribution."""
    found = {item.metadata["Name"]: item for item in importlib.metadata.distributions()}
    del found["confcom"]
    return [
        _component("pypi", name.lower().replace("_", "-"), found[name].version) | _licenses(found[name])
        for name in sorted(found)
    ]


def debian_components() -> list[Component]:
    """Every installed Debian package; none where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return []
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    system = platform.freedesktop_os_release()
    release = f"?distro={system['ID']}-{system['VERSION_ID']}" if "VERSION_ID" in system else ""
    return [_component(f"deb/{system['ID']}", *line.split(), release) for line in sorted(listed.splitlines())]


def unpacked_components(text: str) -> list[Component]:
    """The packages of others, which no package manager knows of."""
    rows = sorted(line.split() for line in text.splitlines())
    return [_component(f"deb/{owner}", name, version) for owner, name, version in rows]


def _component(kind: str, name: str, version: str, qualifiers: str = "") -> Component:
    purl = f"pkg:{kind}/{quote(name)}@{quote(version, safe=':')}{qualifiers}"
    return {"type": "library", "name": name, "version": version, "purl": purl}


def _licenses(item: importlib.metadata.Distribution) -> Component:
    text = item.metadata.get("License-Expression") or item.metadata.get("License") or ""
    return {"licenses": [{"license": {"name": text.partition("\n")[0][:100]}}]} if text else {}


def bill(unpacked: str) -> dict[str, Any]:
    """The whole document."""
    components = [*python_components(), *debian_components(), *unpacked_components(unpacked)]
    head = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": program()}}
    return {**head, "components": components}


def main() -> None:
    """Prints the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unpacked", type=Path, help="packages that were unpacked, OWNER NAME VERSION a line")
    file = parser.parse_args().unpacked
    print(json.dumps(bill(file.read_text(encoding="utf-8") if file else ""), indent=1))


if __name__ == "__main__":
    main()
