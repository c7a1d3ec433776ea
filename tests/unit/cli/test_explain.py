"""`confcom explain` in this process: what it prints where, and its exit codes."""

import json

import pytest

from confcom.cli.main import main


@pytest.fixture
def explain(capsys, monkeypatch):
    """Runs the verb; gives exit code, stdout and stderr, folded to single spaces."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str) -> tuple[int, str, str]:
        code = main(["explain", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


def folded(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (
            ["0xE011"],
            [
                "0xE011 SGX_QL_NO_PLATFORM_CERT_DATA",
                "family quote library error (SGX_QL, quote3_error_t)",
                "meaning The certificate service answered, but has no PCK certificate for this machine.",
                "causes - The machine is not registered with Intel",
                "who acts the owner of the node",
                "see also the quote helper answers its client: AESM 44 AESM_NO_PLATFORM_CERT_DATA",
            ],
        ),
        (
            ["SWHardeningNeeded"],
            [
                "SWHardeningNeeded family TCB status",
                "who acts you, who run the application",
                "the same verdict is called: 0xA007 SGX_QL_QV_RESULT_SW_HARDENING_NEEDED, 0xE03C",
            ],
        ),
        (["http", "461"], ["HTTP 461 PCCS_STATUS_PLATFORM_UNKNOWN", "next step Register the machine"]),
        (
            ["INTEL-SA-00615"],
            ["https://www.intel.com/content/www/us/en/security-center/advisory/intel-sa-00615.html"],
        ),
        (["aesm", "99"], ["AESM 99 unknown AESM code 99"]),
    ],
    ids=["quote library", "TCB status", "HTTP", "advisory", "unknown number of a known family"],
)
def test_explain_shows_meaning_causes_next_step_and_who(explain, arguments, parts):
    code, out, err = explain(*arguments)
    assert code == 0
    assert err == ""
    for part in parts:
        assert part in folded(out)


def test_explain_shows_all_that_fit_and_says_so_on_stderr(explain):
    code, out, err = explain("44")
    assert code == 0
    assert out.index("AESM 44  AESM_NO_PLATFORM_CERT_DATA") < out.index("0xE044  SGX_QL_UNKNOWN_MESSAGE_RESPONSE")
    assert err == "2 entries fit, the likeliest first.\n"


@pytest.mark.parametrize("words", [["TCB", "out", "of", "date"], ["TCB out of date"], ["TCB_OUT_OF_DATE"]], ids=len)
def test_explain_joins_words_so_that_no_quotes_are_needed(explain, words):
    code, out, _ = explain(*words, "--output", "json")
    assert code == 0
    assert [entry["label"] for entry in json.loads(out)["codes"]] == ["OutOfDate", "0xE027", "0xA002"]


def test_explain_as_json_has_every_field(explain):
    code, out, err = explain("--output", "json", "aesm", "18")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert document["query"] == "aesm 18"
    [entry] = document["codes"]
    assert entry.pop("causes")[0].startswith("The queue of this socket is full")
    assert entry == {
        "family": "aesm",
        "number": 18,
        "label": "AESM 18",
        "name": "AESM_BUSY",
        "meaning": "The service has too much work and refused this request at once.",
        "next_step": ("Ask again after a short, random wait; if it stays, ask for a quote slot or for more workers."),
        "who": "you, who run the application",
        "links": [
            {"relation": "a client of libsgx_quote_ex sees", "label": "0x400A", "name": "SGX_ERROR_BUSY"},
            {"relation": "a client of libsgx_dcap_ql sees", "label": "0xE043", "name": "SGX_QL_ERROR_BUSY"},
        ],
    }


@pytest.mark.parametrize(
    ("arguments", "quoted", "hint"),
    [
        (["OutOfDat"], "OutOfDat", "the nearest names are OutOfDate, SGX_QL_TCB_OUT_OF_DATE, SGX_QL_QVE_OUT_OF_DATE"),
        (
            ["NETWRK", "ERROR"],
            "NETWRK ERROR",
            "the nearest names are AESM_NETWORK_ERROR, SGX_QCNL_NETWORK_INIT_ERROR, AESM_NETWORK_BUSY_ERROR",
        ),
        (["zzzzzzzz"], "zzzzzzzz", "without an argument, explain shows how to ask"),
        (["0xdeadbeef", "--output", "json"], "0xdeadbeef", "without an argument, explain shows how to ask"),
        (["q" * 5000], "q" * 57 + "...", "without an argument, explain shows how to ask"),
    ],
    ids=["misspelt", "misspelt words", "nothing alike", "unknown number", "far too long"],
)
def test_explain_of_the_unknown_is_one_sentence_and_exit_2(explain, arguments, quoted, hint):
    sentence = f"confcom: explain: no code, status or name fits '{quoted}'; {hint}\n"
    assert explain(*arguments) == (2, "", sentence)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--output", "xml", "44"], "--output: 'xml' is not one of 'table', 'json'"),
        (["--nothing"], "No such option: --nothing; see 'confcom explain --help'"),
    ],
    ids=["format", "flag"],
)
def test_explain_refuses_wrong_use(explain, arguments, problem):
    assert explain(*arguments) == (2, "", f"confcom explain: {problem}\n")


@pytest.mark.parametrize("arguments", [[], [""], [" ", " "]], ids=["none", "empty", "blank"])
def test_explain_without_a_code_shows_families_and_how_to_ask(explain, arguments):
    code, out, err = explain(*arguments)
    assert code == 0
    assert "AESM error code 51 confcom explain aesm 44" in folded(out)
    assert "symptom without a code" in out
    assert err == "Numbers, names, statuses and whole lines of a log are understood, in any spelling.\n"


def test_explain_without_a_code_as_json(explain):
    code, out, err = explain("--output", "json")
    assert (code, err) == (0, "")
    families = json.loads(out)["families"]
    assert families[1] == {"family": "aesm", "heading": "AESM error code", "codes": 51, "example": "aesm 44"}
    assert {family["family"] for family in families} == {
        *("tcb_status", "aesm", "quote3", "sgx_status", "verification", "qcnl", "http", "advisory", "open_enclave"),
        "symptom",
    }


def test_every_example_that_explain_offers_is_understood(explain):
    _, out, _ = explain("--output", "json")
    for family in json.loads(out)["families"]:
        code, found, _ = explain("--output", "json", *family["example"].split())
        assert code == 0
        assert json.loads(found)["codes"][0]["family"] == family["family"]
