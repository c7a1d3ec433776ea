"""Collateral out of files and folders, what a quote asks for, and the summary of parts."""

from dataclasses import replace
from datetime import timedelta

import pytest

from confcom.collateral import FileSource, Obtained, Wanted, earliest_end, read_path, summarise, write_bundle
from confcom.collateral.source import origin_of
from confcom.errors import CollateralError, CollateralFormatError, InputError
from confcom.quote import Collateral
from confcom.quote.origin import ca_kind, pck_origin


@pytest.fixture
def found(collateral, wanted, now):
    return Obtained(
        collateral=collateral, wanted=wanted, origin="https://pccs.example", fetched=now.replace(microsecond=0)
    )


class TestFiles:
    def test_dcap_qvls_json_is_of_whichever_channel_is_asked_for(self, tmp_path, collateral, wanted, now):
        path = tmp_path / "collateral.json"
        path.write_bytes(collateral.to_json())
        early = replace(wanted, update="early")
        found = FileSource(path=path).obtain(early, now)
        assert (found.collateral, found.wanted, found.fetched) == (collateral, early, None)

    def test_a_bundle_knows_its_channels(self, tmp_path, found, wanted, now):
        path = tmp_path / "bundle"
        path.write_bytes(write_bundle([found]))
        assert FileSource(path=path).obtain(wanted, now).origin == "https://pccs.example"
        with pytest.raises(CollateralError) as failed:
            FileSource(path=path).obtain(replace(wanted, update="early"), now)
        assert str(failed.value) == (
            f"{path}: holds no collateral for FMSPC 53494d000001, processor CA, early; it holds FMSPC 53494d000001, "
            "processor CA, standard"
        )

    def test_of_a_folder_the_newest_set_counts(self, tmp_path, found, wanted, now):
        newer = replace(found, origin="newer", fetched=found.fetched + timedelta(hours=1))
        (tmp_path / "a.json").write_bytes(write_bundle([newer]))
        (tmp_path / "b.json").write_bytes(write_bundle([found]))
        (tmp_path / "c.json").write_bytes(found.collateral.to_json())
        (tmp_path / "quote.bin").write_bytes(b"not looked at")
        assert FileSource(path=tmp_path).obtain(wanted, now).origin == "newer"

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"", "$: is not JSON: Input data was truncated"),
            (b"[]", "$: is not a JSON object"),
            (b"{}", "pck_crl_issuer_chain: is missing"),
            (b'{"format": "confcom-collateral", "version": 9}', "version: is 9; this program reads 1"),
        ],
    )
    def test_a_file_that_is_none(self, tmp_path, content, problem):
        path = tmp_path / "c.json"
        path.write_bytes(content)
        with pytest.raises(InputError) as failed:
            read_path(path)
        assert str(failed.value) == f"{path}: collateral: {problem}"

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError) as failed:
            read_path(tmp_path / "none")
        assert str(failed.value) == f"collateral {tmp_path}/none: No such file or directory"

    def test_a_folder_without_any(self, tmp_path):
        with pytest.raises(InputError) as failed:
            read_path(tmp_path)
        assert str(failed.value) == f"collateral {tmp_path}: the folder holds no *.json"

    def test_a_folder_with_too_many(self, tmp_path, monkeypatch):
        from confcom.collateral import files

        monkeypatch.setattr(files, "MAX_FILES", 1)
        for name in ("a.json", "b.json"):
            (tmp_path / name).touch()
        with pytest.raises(InputError, match=r"the folder holds 2 \*\.json; at most 1 are read"):
            read_path(tmp_path)

    def test_real_collateral_says_what_it_is_for(self, real_quotes):
        for path in real_quotes:
            if path.name.startswith("tdx"):
                continue
            found = read_path(path)[0]
            assert found.wanted == Wanted.for_quote((path / "quote.bin").read_bytes())
            assert path.name.startswith(f"sgx-{found.wanted.fmspc.hex()}")


class TestWhatAQuoteAsksFor:
    def test_a_simulated_quote(self, quote):
        assert pck_origin(quote).fmspc.hex() == "53494d000001"
        assert pck_origin(quote).ca == "processor"

    @pytest.mark.parametrize(
        ("spoil", "sentence"),
        [
            (lambda quote: b"", "the quote cannot be read: "),
            (lambda quote: quote[:1000], "the quote cannot be read: "),
            (lambda quote: quote[:1046] + b"\x03" + quote[1047:], "certification data: it is of type 3 "),
            (lambda quote: quote.replace(b"BEGIN", b"begin"), "certification data: its PCK certificate has text where"),
            (lambda quote: quote.replace(b"MII", b"AAA", 1), "certification data: its PCK certificate is not a well-formed"),
        ],
        ids=["empty", "cut", "no chain inside", "no PEM", "damaged leaf"],
    )  # fmt: skip
    def test_a_quote_that_cannot_say_it(self, quote, spoil, sentence):
        with pytest.raises(InputError) as failed:
            pck_origin(spoil(quote))
        assert str(failed.value).startswith(sentence)

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("Intel SGX PCK Processor CA", "processor"),
            ("Simulated SGX PCK Platform CA", "platform"),
            ("Intel SGX Root CA", None),
            ("Processor and Platform CA", None),
        ],
    )
    def test_the_kind_of_ca_is_in_its_name(self, name, kind):
        assert ca_kind(name) == kind

    @pytest.mark.parametrize(
        ("values", "sentence"),
        [
            ({"fmspc": bytes(5), "ca": "platform"}, "FMSPC: has 5 bytes; it must have exactly 6"),
            ({"fmspc": bytes(6), "ca": "root"}, "PCK CA: 'root' is none; use processor or platform"),
            (
                {"fmspc": bytes(6), "ca": "platform", "update": "late"},
                "update channel: 'late' is none; use standard or early",
            ),
        ],
    )
    def test_what_can_be_wanted(self, values, sentence):
        with pytest.raises(InputError) as failed:
            Wanted(**values)
        assert str(failed.value) == sentence


class TestSummary:
    def test_every_part_once(self, collateral, now):
        parts = summarise(collateral)
        assert [(part.name, part.issuer, part.number) for part in parts] == [
            ("root CA CRL", "Simulated SGX Root CA", None),
            ("PCK CRL", "Simulated SGX PCK Processor CA", None),
            ("TCB info", "Simulated SGX TCB Signing", 21),
            ("QE identity", "Simulated SGX TCB Signing", 21),
            ("certificate 'Simulated SGX PCK Processor CA'", "Simulated SGX Root CA", None),
            ("certificate 'Simulated SGX Root CA'", "Simulated SGX Root CA", None),
            ("certificate 'Simulated SGX TCB Signing'", "Simulated SGX Root CA", None),
        ]

    @pytest.mark.parametrize(
        ("days", "problem", "soon"),
        [(0, False, False), (22, False, False), (23, False, True), (29, False, True), (30, True, False)],
    )
    def test_a_week_before_the_end_is_soon(self, collateral, now, days, problem, soon):
        tcb_info = summarise(collateral)[2]
        moment = now + timedelta(days=days)
        assert (tcb_info.window.problem(moment) is not None, tcb_info.window.ends_soon(moment)) == (problem, soon)
        assert earliest_end(collateral) == tcb_info.window.end

    @pytest.mark.parametrize(
        ("part", "content", "path"),
        [
            ("root_ca_crl", b"x", "root_ca_crl"),
            ("pck_crl", b"", "pck_crl"),
            ("tcb_info_issuer_chain", b"x", "tcb_info_issuer_chain"),
            ("qe_identity_issuer_chain", b"", "qe_identity_issuer_chain"),
            ("tcb_info", b"{}", "tcb_info"),
            ("qe_identity", b"[", "qe_identity"),
        ],
    )
    def test_a_part_that_cannot_be_read_is_named(self, collateral, part, content, path):
        with pytest.raises(CollateralFormatError) as failed:
            summarise(replace(collateral, **{part: content}))
        assert failed.value.path == path

    def test_an_issuer_of_neither_kind(self, collateral: Collateral):
        spoiled = replace(collateral, pck_crl_issuer_chain=collateral.tcb_info_issuer_chain)
        with pytest.raises(CollateralFormatError) as failed:
            origin_of(spoiled)
        assert str(failed.value) == (
            "collateral: pck_crl_issuer_chain: begins with 'Simulated SGX TCB Signing', which is neither the Processor "
            "nor the Platform CA"
        )
