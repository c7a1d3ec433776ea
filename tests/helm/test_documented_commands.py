"""What documents, samples and the chart's notes tell readers to type into kubectl and Helm is what these understand.

There is no cluster here, so the commands are not run: their verbs and flags are looked up in the programs' own help.
"""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "deploy").rglob("*.md"),
        *(ROOT / "deploy/samples").glob("*.yaml"),
        ROOT / "deploy/chart/confcom/templates/NOTES.txt",
    ]
)
# Values of flags that stand before a verb.
NO_VERBS = {"X", "confcom-system", "sgx-simulation"}


def commands(program):
    """Each command once, up to its end, or to the command that runs in a container."""
    found = set()
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8").replace("\\\n", " ")
        # In prose a command may go on in the next line.
        text = re.sub(r"(?<!`)`([^`]+)`(?!`)", lambda span: f"\n{' '.join(span[1].split())}\n", text)
        for line in re.findall(rf"(?:^|[|&$#] ?) *({program} [a-z-].*)$", text, re.MULTILINE):
            found |= set(re.split(r" -- | \||\s+#|\"? *\)", line)[0].split(" && "))
    return sorted(command for command in found if command.startswith(f"{program} "))


def help_of(run, words):
    """The help of the verb, of as many words as it has; None where there is no such verb."""
    for count in range(1, len(words) + 1):
        done = run(*words[:count], "--help")
        if done.returncode or "Usage:" not in done.stdout:
            return None
        inner = done.stdout.partition("Available Commands:")[2]
        if count == len(words) or not re.search(rf"^\s+{words[count]}\s", inner, re.MULTILINE):
            # What has inner verbs only is none itself.
            return done.stdout if "Options:" in done.stdout or not inner else None
    return None


def unknown(run, command, everywhere):
    """The flags that the command's verb has not; the whole command where there is no such verb."""
    words = shlex.split(re.sub(r"\{\{.*?\}\}", "X", command))[1:]
    named = [word.partition("=")[0] for word in words if word.startswith("-") and word != "-"]
    listed = help_of(run, [word for word in words if not word.startswith("-") and word not in NO_VERBS])
    if listed is None:
        return [command]
    short = {f"-{letter}" for flag in named if re.fullmatch(r"-[a-z]+", flag) for letter in flag[1:]}
    flags = short | {flag for flag in named if flag.startswith("--")}
    text = listed + everywhere
    return [flag for flag in sorted(flags) if not re.search(rf"^\s+(-\w, )?{flag}[ =,]", text, re.MULTILINE)]


def test_kubectl_understands_the_commands(kubectl):
    everywhere = kubectl("options").stdout
    found = commands("kubectl")
    assert any("rollout restart" in command for command in found)
    assert {command: flags for command in found if (flags := unknown(kubectl, command, everywhere))} == {}


def test_helm_understands_the_commands(helm):
    found = commands("helm")
    assert any("helm install" in command for command in found)
    assert {command: flags for command in found if (flags := unknown(helm, command, ""))} == {}


@pytest.mark.parametrize(
    "command", ["kubectl lable node n", "kubectl get pods --wid", "kubectl rollout restrt x", "kubectl logs -y x"]
)
def test_the_search_finds_mistakes(kubectl, command):
    assert unknown(kubectl, command, kubectl("options").stdout) != []
