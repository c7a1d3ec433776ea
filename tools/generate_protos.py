"""Generates the kubelet's messages from our own `.proto` files; `--check` only compares and names what is stale.

The files lie beside the modules, and protoc is called from inside their folder, so nothing of this machine is in them.
"""

import contextlib
import sys
import tempfile
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

FOLDER = Path(__file__).resolve().parent.parent / "src" / "confcom" / "kubelet"
PROTOS = ("deviceplugin.proto", "podresources.proto")


def generate(output: Path) -> None:
    """Writes `*_pb2.py` and `*_pb2.pyi` of each `.proto` into the folder `output`."""
    well_known = Path(grpc_tools.__file__).parent / "_proto"
    with contextlib.chdir(FOLDER):
        status = protoc.main(
            ["protoc", "-I.", f"-I{well_known}", f"--python_out={output}", f"--pyi_out={output}", *PROTOS]
        )
    if status != 0:
        sys.exit(f"protoc ended with {status}")


def main(arguments: list[str]) -> int:
    if arguments == []:
        generate(FOLDER)
        return 0
    if arguments != ["--check"]:
        sys.exit("usage: tools/generate_protos.py [--check]")
    with tempfile.TemporaryDirectory() as fresh:
        generate(Path(fresh))
        stale = [made.name for made in sorted(Path(fresh).iterdir()) if not _same(made, FOLDER / made.name)]
    for name in stale:
        print(f"src/confcom/kubelet/{name} is not what its .proto says: run tools/generate_protos.py")
    return 1 if stale else 0


def _same(fresh: Path, committed: Path) -> bool:
    return committed.is_file() and fresh.read_bytes() == committed.read_bytes()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
