"""Prints the bill of materials of the image it runs in, as CycloneDX 1.5 JSON: Python distributions, Debian packages.

Standard library only; the build runs it as its last step. `--unpacked FILE` adds packages that were unpacked without
being installed, one `NAME VERSION` a line.
"""

import argparse
import importlib.metadata
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

Component = dict[str, Any]


def python_components() -> list[Component]:
    """Every installed Python distribution."""
    found = {(item.metadata["Name"], item.version, _license(item)) for item in importlib.metadata.distributions()}
    return [_component(name, version, "pypi", licence) for name, version, licence in sorted(found)]


def debian_components() -> list[Component]:
    """Every installed Debian package; none where there is no dpkg."""
    if shutil.which("dpkg-query") is None:
        return []
    command = ["dpkg-query", "--show", "--showformat", "${Package} ${Version}\n"]
    listed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    return _lines(listed)


def _lines(text: str) -> list[Component]:
    pairs = sorted(line.split() for line in text.splitlines() if line.strip())
    return [_component(name, version, "deb/debian", "") for name, version in pairs]


def _component(name: str, version: str, kind: str, licence: str) -> Component:
    content = {"type": "library", "name": name, "version": version, "purl": f"pkg:{kind}/{name.lower()}@{version}"}
    return content | ({"licenses": [{"license": {"name": licence}}]} if licence else {})


def _license(item: importlib.metadata.Distribution) -> str:
    text = item.metadata.get("License-Expression") or item.metadata.get("License") or ""
    return text.partition("\n")[0][:100]


def bill(unpacked: str) -> dict[str, Any]:
    """The whole document."""
    components = [*python_components(), *debian_components(), *_lines(unpacked)]
    return {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "components": components}


def main() -> None:
    """Prints the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--unpacked", type=Path, help="packages that were unpacked, NAME VERSION a line")
    file = parser.parse_args().unpacked
    print(json.dumps(bill(file.read_text(encoding="utf-8") if file else ""), indent=1))


if __name__ == "__main__":
    main()
