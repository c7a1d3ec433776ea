"""Which URLs are taken for a certificate service, and how hosts are named in sentences."""

from pathlib import Path

import pytest

from confcom.cli.collateral_options import cache_folder
from confcom.collateral import PCCS, THIM, IntelPCS, SourceChoice, open_source
from confcom.collateral.address import host_of, is_nearby
from confcom.errors import InputError

BASE = "/sgx/certification/v4"


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("https://pccs.example:8081", f"https://pccs.example:8081{BASE}"),
        ("https://pccs.example:8081/", f"https://pccs.example:8081{BASE}"),
        (f"https://pccs.example{BASE}/", f"https://pccs.example{BASE}"),
        ("https://pccs.example/behind/a/gateway/v4", "https://pccs.example/behind/a/gateway/v4"),
        (f"https://pccs.example/gateway/v2{BASE}", f"https://pccs.example/gateway/v2{BASE}"),
        ("https://user:secret@pccs.example", f"https://pccs.example{BASE}"),
        ("http://127.0.0.1:8081", f"http://127.0.0.1:8081{BASE}"),
        ("http://[::1]:8081", f"http://[::1]:8081{BASE}"),
        ("http://localhost", f"http://localhost{BASE}"),
        ("http://169.254.169.254", f"http://169.254.169.254{BASE}"),
    ],
)
def test_a_pccs_is_named_without_what_can_be_left_out(given, name):
    assert PCCS(given).name == name


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "https://pccs.example:8081/sgx/certification/v3/",
            (
                "--pccs pccs.example:8081: the path names API v3; Intel switched v2 and v3 off on 2026-04-30: write "
                "/sgx/certification/v4"
            ),
        ),
        (
            "https://pccs.example/sgx/certification/v2",
            (
                "--pccs pccs.example: the path names API v2; Intel switched v2 and v3 off on 2026-04-30: write "
                "/sgx/certification/v4"
            ),
        ),
        (
            "https://gateway.example/v4/sgx/certification/v3",
            (
                "--pccs gateway.example: the path names API v3; Intel switched v2 and v3 off on 2026-04-30: write "
                "/sgx/certification/v4"
            ),
        ),
        (
            "http://user:secret@pccs.example:8081",
            (
                "--pccs pccs.example:8081: http:// lets anybody on the way answer with old collateral; use https://, or "
                "allow it with --allow-http"
            ),
        ),
        (
            "http://localhost.example",
            (
                "--pccs localhost.example: http:// lets anybody on the way answer with old collateral; use https://, or "
                "allow it with --allow-http"
            ),
        ),
        ("pccs.example:8081", "--pccs: is not a URL; write https://HOST:PORT"),
        ("ftp://pccs.example", "--pccs: is not a URL; write https://HOST:PORT"),
        ("https://", "--pccs: is not a URL; write https://HOST:PORT"),
        ("https://host:0", "--pccs: is not a URL; write https://HOST:PORT"),
        ("https://host:99999", "--pccs: is not a URL: Port out of range 0-65535"),
        ("https://[::1", "--pccs: is not a URL: Invalid IPv6 URL"),
        ("file:///etc/passwd", "--pccs: is not a URL; write https://HOST:PORT"),
    ],
)
def test_other_urls_are_refused_in_one_sentence(url, sentence):
    with pytest.raises(InputError) as failed:
        PCCS(url)
    assert str(failed.value) == sentence


def test_plain_http_by_explicit_leave():
    assert PCCS("http://pccs.example", allow_http=True).name == f"http://pccs.example{BASE}"


@pytest.mark.parametrize("url", ["http://10.0.0.1", "http://[2001:db8::1]", "https://example", "nonsense"])
def test_hosts_that_are_not_nearby(url):
    assert not is_nearby(url)


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://user:secret@pccs.example:8081/a?b=c", "pccs.example:8081"),
        ("https://[::1]:8081/", "[::1]:8081"),
        ("https://pccs.example/", "pccs.example"),
    ],
)
def test_a_host_is_named_without_credentials(url, host):
    assert host_of(url) == host


class TestChoosing:
    def test_the_defaults_are_intels_and_azures_addresses(self):
        assert IntelPCS().name == "https://api.trustedservices.intel.com/sgx/certification/v4"
        assert THIM().name == "http://169.254.169.254/metadata/THIM/sgx/certification/v4"
        assert THIM().secondary == "https://global.acccache.azure.net/sgx/certification/v4"

    def test_a_thim_address_of_ones_own_is_the_only_one(self):
        found = open_source(SourceChoice(thim=True, thim_url="http://127.0.0.1:9"))
        assert isinstance(found, THIM)
        assert (found.primary, found.secondary) == ("http://127.0.0.1:9/metadata/THIM/sgx/certification/v4", None)

    @pytest.mark.parametrize(
        ("chosen", "count"),
        [
            ({}, "none"),
            ({"intel": True, "thim": True}, "2"),
            ({"pccs": "https://x", "intel": True, "offline": True}, "3"),
        ],
    )
    def test_exactly_one_source_must_be_named(self, chosen, count):
        with pytest.raises(InputError) as failed:
            open_source(SourceChoice(**chosen))
        assert str(failed.value) == (
            "name exactly one source of collateral (--pccs URL, --intel, --thim, --from FILE|DIR or --offline); "
            f"{count} given"
        )

    def test_offline_needs_a_cache(self):
        with pytest.raises(InputError) as failed:
            open_source(SourceChoice(offline=True))
        assert str(failed.value) == "--offline: uses the cache alone, so it cannot go without one"


class TestTheDefaultCache:
    @pytest.mark.parametrize(
        ("base", "folder"),
        [
            ("/var/cache/me", "/var/cache/me/confcom/collateral"),
            ("", "/home/me/.cache/confcom/collateral"),
            ("relative", "/home/me/.cache/confcom/collateral"),
        ],
    )
    def test_it_lies_where_the_base_directory_specification_says(self, monkeypatch, base, folder):
        monkeypatch.setenv("XDG_CACHE_HOME", base)
        monkeypatch.setenv("HOME", "/home/me")
        assert cache_folder(None) == Path(folder)
        assert cache_folder(Path("named")) == Path("named")

    def test_a_user_without_a_home_must_name_one(self, monkeypatch):
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setattr(Path, "home", classmethod(lambda _: (_ for _ in ()).throw(RuntimeError("none"))))
        with pytest.raises(InputError) as failed:
            cache_folder(None)
        assert str(failed.value) == "--cache-dir: name one; this user has no home for it"
