"""What documents and samples name is there: verbs and flags, fields of the resource, metrics, codes, sizes.

The commands of `sh` blocks run (`test_documents.py`); those that need a cluster or hardware are at least the program's.
"""

import re
import shlex
from pathlib import Path

import pytest
import typer.main
import yaml

from confcom.addon.render import render
from confcom.addon.resource import read_resource
from confcom.addon.schema import definition
from confcom.addon.spec import Spec
from confcom.cli.main import app, main
from confcom.device_plugin.inventory import Wanted, plan
from confcom.device_plugin.settings import DevicePluginSettings
from confcom.quote_helper.settings import QuoteHelperSettings
from confcom.settings import describe

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *(path for path in ROOT.glob("*.md") if path.name != "CHANGELOG.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "deploy/samples").glob("*.yaml"),
        ROOT / "deploy/chart/confcom/templates/NOTES.txt",
    ]
)
# What AKS's command line and unrelated programs of the name understand, and what is to come, says the page itself.
NOT_OURS = ("az ", "confcom lint", "confcom acipolicygen")
DAEMONS = {"device-plugin": DevicePluginSettings, "quote-helper": QuoteHelperSettings}

# Variables, a unit's ExecStart, kubectl; `kubectl run` leaves the image its entry point, which is `confcom`.
BEFORE = r"kubectl run .* -- |(?:\w+=\S+ |\w+=\S+/|kubectl .* -- )?confcom "

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def texts(document: Path) -> list[str]:
    """Lines of blocks, and what stands between backticks; continued lines are one."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL) if document.suffix == ".md" else [text]
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    return [line for block in blocks for line in block.splitlines()] + [" ".join(span.split()) for span in spans]


def command_lines(document: Path) -> list[list[str]]:
    """The words behind each `confcom`, up to the end of the command or of the sentence."""
    found = []
    for text in texts(document):
        match = re.match(rf"[\s$#]*(?:\d\. +`?)?(?:{BEFORE})\s*([a-z].*)", text)
        if match and not f"confcom {match[1]}".startswith(NOT_OURS):
            words = re.split(r"\s(?:[|>&;]|\|\||&&|#)|[\[`;(]| +\.\.\.|\s{3,}", match[1])[0]
            found.append(shlex.split(words.replace("'", "").replace('"', "")))
    return found


def flags_of(words: list[str]) -> set[str]:
    """The flags of the verb that the words begin with.

    Raises:
        LookupError: there is no such verb.
    """
    if words[0] in DAEMONS:
        return {setting.flag for setting in describe(DAEMONS[words[0]])} | {"--config", "--help"}
    command = typer.main.get_command(app)
    flags = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    for word in words:
        group = getattr(command, "commands", None)
        if group is None:
            break
        if word.startswith("-"):
            continue
        alternatives = [group.get(name) for name in re.split(r"[|/,]+", word.rstrip(".,:"))]
        if None in alternatives:
            raise LookupError(word)
        command = alternatives[0]
        flags |= {
            name
            for choice in alternatives
            for option in choice.params
            for name in (*option.opts, *option.secondary_opts)
        }
    return flags | {"--help"}


@each_document
def test_commands_have_these_flags(document):
    unknown = []
    for words in command_lines(document):
        try:
            flags = flags_of(words)
        except LookupError as error:
            unknown.append(f"confcom {' '.join(words)}: no verb {error}")
            continue
        named = [word.partition("=")[0].rstrip(".,:") for word in words if re.match(r"-{1,2}[a-z]", word)]
        unknown += [f"confcom {' '.join(words)}: {flag}" for flag in named if flag not in flags]

    assert unknown == []


def all_flags(command) -> set[str]:
    own = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return own.union(*(all_flags(inner) for inner in getattr(command, "commands", {}).values()))


FLAGS = all_flags(typer.main.get_command(app)).union(*(flags_of([daemon]) for daemon in DAEMONS), {"--no-offer-epc"})
# Helm's and Kubernetes's own, of the add-on of AKS, and those of tools/generate_*.py.
OTHER_FLAGS = {"--namespace", "--set", "--check", "--enable-addons"}


@each_document
def test_flags_alone_are_of_some_verb(document):
    text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.DOTALL)
    named = set(re.findall(r"`(--[a-z][a-z0-9-]*)", text))

    assert named - FLAGS - OTHER_FLAGS == set()


def test_the_search_finds_commands():
    found = [words for document in DOCUMENTS for words in command_lines(document)]
    assert len(found) > 100
    assert ["quote-helper", "--backend", "dcap", "--collateral", "intel"] in found, "of a unit of systemd"
    assert any(words[:2] == ["collateral", "fetch"] and "--no-cache" in words for words in found), "of kubectl run"
    with pytest.raises(LookupError, match="frobnicate"):
        flags_of(["addon", "frobnicate"])


def fields(schema: dict, path: str) -> set[str]:
    inside = schema.get("properties") or {}
    return {path}.union(*(fields(value, f"{path}.{name}") for name, value in inside.items()))


SPEC = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
FIELDS = fields(SPEC, "spec")


@each_document
def test_fields_of_the_resource_are_there(document):
    named = set(re.findall(r"`(spec\.[A-Za-z.]+)", document.read_text(encoding="utf-8")))
    # A node's own field, and what stands for any.
    named -= {"spec.providerID", "spec...."}

    assert {name for name in named if name.rstrip(".") not in FIELDS} == set()


@each_document
def test_metrics_are_those_of_the_reference(document):
    """The reference itself is compared with running daemons (`test_status_page.py`)."""
    known = set(
        re.findall(r"`(confcom_\w+)`", (ROOT / "docs/reference/status-and-metrics.md").read_text(encoding="utf-8"))
    )
    named = re.findall(r"confcom_(?:device_plugin|quote_helper)_\w*[a-z]\b", document.read_text(encoding="utf-8"))

    assert {name.removesuffix("_bucket") for name in named} - known == set()


RESOURCES = [
    pytest.param(yaml.safe_load(block), id=document.name)
    for document in DOCUMENTS
    if document.suffix == ".md"
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text(encoding="utf-8"), re.DOTALL)
    if "kind: ConfidentialComputing" in block
]


@pytest.mark.parametrize("resource", RESOURCES)
def test_resources_in_full_can_be_rendered(resource):
    assert len(render(read_resource(resource, "the page"))) > 4


@pytest.mark.parametrize("name", ["applications", "own-nodes", "troubleshoot"])
def test_codes_of_a_how_to_are_explained(name, capsys):
    text = (ROOT / f"docs/how-to/{name}.md").read_text(encoding="utf-8")
    codes = set(re.findall(r"\b(0x[0-9A-F]{4}|AESM \d+|HTTP \d+)\b", text))
    assert codes
    assert {code for code in codes if main(["explain", code]) != 0} == set()
    capsys.readouterr()


def test_sizes_are_what_the_device_plugin_offers():
    page = (ROOT / "docs/how-to/size.md").read_text(encoding="utf-8")
    rows = [
        list(map(int, row))
        for row in re.findall(r"^\| (\d+) \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.MULTILINE)
    ]
    assert len(rows) == 6
    for epc, *offered in rows:
        planned = [
            plan(epc_mib=epc, helper_epc_mib=4 * workers, wanted=Wanted()).offered_mib for workers in (1, 2, 4, 0)
        ]
        assert offered == planned


WORDS_OF_OTHERS = {"anything else of a pod that runs", "Error creating: pods", "is forbidden"}
SOURCES = re.sub(
    r"\"\s*\n\s*f?\"", "", "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "src/confcom").rglob("*.py"))
)


@pytest.mark.parametrize(
    ("page", "heading", "rows"), [("enable", "| sentence | why |", 11), ("enable", "| sentence | what to do |", 6)]
)
def test_sentences_of_a_how_to_are_the_programs(page, heading, rows):
    text = (ROOT / f"docs/how-to/{page}.md").read_text(encoding="utf-8").partition(heading)[2]
    sentences = [row.split("|")[1].strip() for row in text.split("\n\n")[0].splitlines()[2:]]
    assert len(sentences) >= rows
    pieces = [piece.strip() for sentence in sentences for piece in re.split(r"\.\.\.| / |\(FailedMount", sentence)]
    # The pieces between the names that the program puts in; what is longer than a sign, and not Kubernetes' own.
    said = [piece for piece in pieces if len(piece) > 2 and piece not in WORDS_OF_OTHERS]
    assert [piece for piece in said if piece not in SOURCES] == []


def test_columns_of_status_are_explained():
    from confcom.cli.status import _NUMBERS, _WORDS

    rows = re.search(
        r"\| column of `status` .*?\n\n", (ROOT / "docs/how-to/enable.md").read_text(encoding="utf-8"), re.DOTALL
    )[0]
    explained = {name for row in rows.strip().splitlines()[2:] for name in row.split("|")[1].strip().split(", ")}
    assert {*_NUMBERS, *_WORDS} - explained == set()


def test_the_image_is_built_with_what_its_file_wants():
    wanted = set(re.findall(r"need (\w+) ", (ROOT / "deploy/image/Dockerfile").read_text(encoding="utf-8")))
    page = (ROOT / "docs/how-to/image.md").read_text(encoding="utf-8")
    assert set(re.findall(r"--build-arg (\w+)=", page)) == wanted
    targets = set(
        re.findall(r" AS (\w+)$", (ROOT / "deploy/image/Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert set(re.findall(r"--target (\w+)", page)) <= targets


def test_sizes_of_azure_are_those_that_are_selected():
    page = (ROOT / "docs/how-to/aks.md").read_text(encoding="utf-8").partition("**Sizes.**")[2]
    named = set(re.findall(r"\bDC\d+s?_v\d\b", page))
    assert named == {size.removeprefix("Standard_").replace("ds_", "s_") for size in Spec().nodes.instance_types}


def test_pages_that_programs_name_are_there():
    named = set(re.findall(r"docs/[a-z/-]+\.md", SOURCES + (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    assert len(named) >= 3
    assert {page for page in named if not (ROOT / page).is_file()} == set()


def test_every_verb_is_on_the_page_of_the_command_line():
    page = (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z-]+)` \|", page, re.MULTILINE)) == set(typer.main.get_command(app).commands)
