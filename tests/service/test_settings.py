"""The one table of settings and its four sources."""

import os
from pathlib import Path
from typing import Any

import pytest

from corpus.errors import SettingsError
from corpus.sources import PageOptions
from recommender.job import BuildOptions
from recommender.publishing import KEEP
from recommender.ranking import Rules
from service.app import create_app_from_env
from service.settings import Settings, documentation, load_settings


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("RELATED_")]:
        monkeypatch.delenv(variable)


def write_file(home: Path, text: str) -> None:
    (home / "related.toml").write_text(text, encoding="utf-8")


def mistakes(home: Path, **overrides: Any) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(home, **overrides)
    first, *rest = str(caught.value).split("\n  ")
    assert first == "the settings cannot be used; correct this first:"
    return rest


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert load_settings(tmp_path) == Settings(
        home=tmp_path,
        model=None,
        related_selector=None,
        max_page_bytes=8_000_000,
        keep_editions=5,
        degraded_after_hours=48,
        min_score=None,
        diversity=0.0,
        per_category=None,
        at_least=0,
        host="127.0.0.1",
        port=8000,
        cors_origins=(),
    )


def test_the_defaults_are_those_of_the_packages_they_steer() -> None:
    assert Settings().page_options() == PageOptions()
    assert Settings().keep_editions == KEEP
    assert Settings().rules() == Rules()


def test_the_settings_reach_the_build() -> None:
    settings = Settings(related_selector=".related", max_page_bytes=7, keep_editions=2, publish_overlap=0.6)

    assert settings.build_options() == BuildOptions(PageOptions(".related", 7), 2, 0.6)


def test_the_settings_reach_the_lists() -> None:
    settings = Settings(min_score=0.1, diversity=0.2, per_category=3, at_least=4)

    assert settings.rules() == Rules(min_score=0.1, diversity=0.2, per_category=3, at_least=4)


def test_every_setting_can_stand_in_the_file(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        """
        model = "models/mini"
        related_selector = "aside.related li"
        max_page_bytes = 1000
        keep_editions = 1
        degraded_after_hours = 2
        min_score = 0.25
        diversity = 0.5
        per_category = 3
        at_least = 4
        host = "0.0.0.0"
        port = 0
        cors_origins = ["https://example.org", "http://localhost:3000"]
        """,
    )

    assert load_settings(tmp_path) == Settings(
        home=tmp_path,
        model="models/mini",
        related_selector="aside.related li",
        max_page_bytes=1000,
        keep_editions=1,
        degraded_after_hours=2,
        min_score=0.25,
        diversity=0.5,
        per_category=3,
        at_least=4,
        host="0.0.0.0",  # noqa: S104
        port=0,
        cors_origins=("https://example.org", "http://localhost:3000"),
    )


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path, 'host = "file"\nport = 1\nkeep_editions = 9')
    monkeypatch.setenv("RELATED_HOST", "environment")
    monkeypatch.setenv("RELATED_PORT", "2")

    found = load_settings(tmp_path, port=3, host=None)

    assert (found.keep_editions, found.host, found.port) == (9, "environment", 3)


def test_an_empty_variable_is_none_or_an_empty_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, 'model = "file"\ncors_origins = ["*"]\nmin_score = 0.5\nper_category = 3')
    for name in ("MODEL", "CORS_ORIGINS", "MIN_SCORE", "PER_CATEGORY"):
        monkeypatch.setenv(f"RELATED_{name}", "")

    assert load_settings(tmp_path) == Settings(home=tmp_path)


@pytest.mark.parametrize("text", ["much", "", "nan", "1,5", "-1"])
def test_what_is_no_number_in_the_environment_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("RELATED_DIVERSITY", text)

    (mistake,) = mistakes(tmp_path)
    assert mistake.startswith("environment, RELATED_DIVERSITY: ")
    assert mistake.endswith(" is not a number from 0 to 1")


def test_a_list_in_the_environment_is_cut_by_commas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATED_CORS_ORIGINS", "https://a.example, https://b.example:8443")

    assert load_settings(tmp_path).cors_origins == ("https://a.example", "https://b.example:8443")


def test_all_mistakes_are_told_at_once_with_their_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_file(tmp_path, 'prot = 80\nport = "80"\nkeep_editions = 0\nmodel = 7\n[host]\nname = "x"')
    monkeypatch.setenv("RELATED_DEGRADED_AFTER", "3")
    monkeypatch.setenv("RELATED_MAX_PAGE_BYTES", "lots")
    file = tmp_path / "related.toml"

    assert mistakes(tmp_path, port=70000, hots="x") == [
        f"{file}, prot: there is no setting 'prot'; did you mean port?",
        f"{file}, port: '80' is not a whole number from 0 to 65535",
        f"{file}, keep_editions: 0 is not a whole number from 1",
        f"{file}, model: 7 is not text",
        f"{file}, host: {{'name': 'x'}} is not text",
        "environment, RELATED_DEGRADED_AFTER: there is no setting 'degraded_after'; did you mean degraded_after_hours?",
        "environment, RELATED_MAX_PAGE_BYTES: 'lots' is not a whole number from 1",
        "command line, port: 70000 is not a whole number from 0 to 65535",
        "command line, hots: there is no setting 'hots'; did you mean host?",
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("port = true", "True is not a whole number from 0 to 65535"),
        ("port = 80.0", "80.0 is not a whole number from 0 to 65535"),
        ("port = -1", "-1 is not a whole number from 0 to 65535"),
        ("max_page_bytes = 0", "0 is not a whole number from 1"),
        ("degraded_after_hours = 0", "0 is not a whole number from 1"),
        ("min_score = 1.01", "1.01 is not a number from 0 to 1"),
        ("min_score = -0.1", "-0.1 is not a number from 0 to 1"),
        ("publish_overlap = 60", "60 is not a number from 0 to 1"),
        ("diversity = nan", "nan is not a number from 0 to 1"),
        ("diversity = true", "True is not a number from 0 to 1"),
        ('diversity = "0.5"', "'0.5' is not a number from 0 to 1"),
        ("per_category = 0", "0 is not a whole number from 1"),
        ("at_least = 51", "51 is not a whole number from 0 to 50"),
        ('host = " "', "' ' is not text"),
        ('related_selector = ""', "'' is not text"),
        ("drafts = 1", "1 is not true or false"),
        ('access_log = "yes"', "'yes' is not true or false"),
        ('api_keys = ["secret"]', "['secret'] is not a list of sha256 digests, 64 hexadecimal digits each"),
        ('home = "/srv"', "the home is named by --home or RELATED_HOME"),
        (
            "zzz = 1",
            "there is no setting 'zzz'; did you mean store, model, backend, processes, parts, related_selector,"
            " max_page_bytes, keep_editions, publish_overlap, index, degraded_after_hours, min_score, "
            "diversity, per_category, at_least, host, port, cors_origins, api_keys, max_body_bytes, drafts, "
            "drafts_waiting, drafts_timeout_seconds, access_log, page_state, variants, editors, "
            "desk_user_header, desk_users, desk_default_role, trusted_proxies?",
        ),
    ],
)
def test_a_value_that_cannot_be_is_refused(tmp_path: Path, line: str, expected: str) -> None:
    write_file(tmp_path, line)

    assert mistakes(tmp_path) == [f"{tmp_path / 'related.toml'}, {line.split(' ')[0]}: {expected}"]


@pytest.mark.parametrize("value", ['"https://a.example"', '["a.example"]', '["https://a.example/"]', "[1]"])
def test_what_is_no_origin_is_refused(tmp_path: Path, value: str) -> None:
    write_file(tmp_path, f"cors_origins = {value}")

    (mistake,) = mistakes(tmp_path)
    assert mistake.endswith('is not a list of origins such as "https://example.org", without a path, or "*"')


@pytest.mark.parametrize(
    "value",
    [
        '"curated:10"',
        '["curated"]',
        '["curated:0"]',
        '["other:10"]',
        '["curated:60", "model:41"]',
        '["model:5", "model:6"]',
    ],
)
def test_what_is_no_test_of_variants_is_refused(tmp_path: Path, value: str) -> None:
    write_file(tmp_path, f"variants = {value}")

    (mistake,) = mistakes(tmp_path)
    assert mistake.endswith('is not a list such as "curated:10", "model:10": variant and percentage of pages')


def test_the_services_settings_are_read_from_file_and_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_file(tmp_path, f'drafts = true\naccess_log = false\napi_keys = ["{"a" * 64}"]\nvariants = ["curated:60"]')
    read = load_settings(tmp_path)
    assert (read.drafts, read.access_log, read.api_keys, read.variants) == (True, False, ("a" * 64,), ("curated:60",))

    monkeypatch.setenv("RELATED_DRAFTS", "False")
    monkeypatch.setenv("RELATED_ACCESS_LOG", "1")
    monkeypatch.setenv("RELATED_VARIANTS", "curated:10, model:90")
    read = load_settings(tmp_path)
    assert (read.drafts, read.access_log, read.variants) == (False, True, ("curated:10", "model:90"))


@pytest.mark.parametrize("content", [b"port 80", b'host = "\xff"'])
def test_a_file_that_is_no_toml_is_told_together_with_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    (tmp_path / "related.toml").write_bytes(content)
    monkeypatch.setenv("RELATED_PORT", "")

    file, port = mistakes(tmp_path)

    assert file.startswith(f"{tmp_path / 'related.toml'}: cannot be read as TOML (")
    assert port == "environment, RELATED_PORT: '' is not a whole number from 0 to 65535"


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "related.toml").mkdir()

    assert "cannot be read as TOML" in mistakes(tmp_path)[0]


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"model": "m", "port": 1, "cors_origins": ["https://a.example", "https://b.example"]},
        {"min_score": 0.00001, "diversity": 1, "per_category": 2, "at_least": 3},
    ],
)
def test_workers_read_the_same_settings_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    settings = load_settings(tmp_path, **given)
    write_file(tmp_path, 'model = "other"\nport = 9\ncors_origins = ["*"]')  # what the parent did not see

    for variable, text in settings.environment().items():
        monkeypatch.setenv(variable, text)

    assert load_settings(tmp_path) == settings
    assert create_app_from_env().state.settings == settings


def test_the_documentation_has_every_setting_with_default_and_sentence() -> None:
    table = list(documentation())

    assert [(name, default) for name, default, _ in table] == [
        (name, getattr(Settings(), name)) for name in Settings.__dataclass_fields__
    ]
    assert all(sentence.endswith(".") and sentence[0].strip() for _, _, sentence in table)
