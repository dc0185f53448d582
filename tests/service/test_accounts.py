"""Roles and accounts, and how the settings and the command write them down."""

import itertools
import os
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from corpus.errors import SettingsError
from service.accounts import Account, Role, add_account, is_name, read_accounts, read_users
from service.cli import app as command
from service.keys import digest, is_known
from service.settings import Settings, load_settings

ANNA = Account("Anna", Role.ADMIN, digest("one"))
BERT = Account("bert@example.org", Role.VIEWER, digest("two"))


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.startswith("RELATED_")]:
        monkeypatch.delenv(variable)


def test_a_role_covers_itself_and_the_lesser_ones() -> None:
    pairs = {(has, needed) for has, needed in itertools.product(Role, Role) if has.covers(needed)}

    viewer, editor, admin = Role.VIEWER, Role.EDITOR, Role.ADMIN
    assert pairs == {(viewer, viewer), (editor, viewer), (editor, editor), (admin, viewer), (admin, editor)} | {
        (admin, admin)
    }


def test_roles_cannot_be_compared_as_strings() -> None:
    with pytest.raises(TypeError):
        assert Role.ADMIN > Role.VIEWER  # type: ignore[operator]


def test_an_account_is_read_as_it_is_written() -> None:
    colons = Account("oidc:carla", Role.EDITOR, digest("three"))

    assert read_accounts([str(ANNA), str(BERT), str(colons)]) == [ANNA, BERT, colons]
    assert str(ANNA) == f"Anna:admin:{digest('one')}"
    assert read_accounts([]) == []


def test_a_name_may_have_two_tokens_of_one_role() -> None:
    again = Account("Anna", Role.ADMIN, digest("three"))

    assert read_accounts([str(ANNA), str(again)]) == [ANNA, again]


BAD_ENTRIES = {
    "no digest": ["Anna:admin"],
    "no role": [f"Anna:{digest('one')}"],
    "unknown role": [f"Anna:owner:{digest('one')}"],
    "role in capitals": [f"Anna:Admin:{digest('one')}"],
    "the token itself": ["Anna:admin:the-token-itself"],
    "digest in capitals": [f"Anna:admin:{digest('one').upper()}"],
    "short digest": [f"Anna:admin:{digest('one')[:-1]}"],
    "no name": [f":admin:{digest('one')}"],
    "space before the name": [f" Anna:admin:{digest('one')}"],
    "control character": [f"An\nna:admin:{digest('one')}"],
    "text that turns around": [f"An\u202ena:admin:{digest('one')}"],
    "one digest, two names": [f"Anna:admin:{digest('one')}", f"Bert:admin:{digest('one')}"],
    "one name, two roles": [f"Anna:admin:{digest('one')}", f"Anna:viewer:{digest('two')}"],
}


@pytest.mark.parametrize("entries", BAD_ENTRIES.values(), ids=BAD_ENTRIES.keys())
def test_what_is_no_account_is_refused(entries: list[str]) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_accounts(entries)

    assert "the-token-itself" not in str(caught.value)
    assert digest("one") not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "good"),
    [("Anna", True), ("Åsa Öberg", True), ("a", True), ("x" * 100, True), ("", False), ("x" * 101, False)]
    + [(text, False) for text in ("a,b", " a", "a ", "a\tb", "a\x7f", "a\u200eb")],
)
def test_a_name_is_short_and_printable(text: str, good: bool) -> None:
    assert is_name(text) is good


def test_users_of_a_proxy_have_roles_by_name() -> None:
    assert read_users(["anna:editor", "corp\\bert:admin", "oidc:carla:viewer"]) == {
        "anna": Role.EDITOR,
        "corp\\bert": Role.ADMIN,
        "oidc:carla": Role.VIEWER,
    }


@pytest.mark.parametrize("entries", [["anna"], ["anna:owner"], [":editor"], ["anna:editor", "anna:admin"]])
def test_what_is_no_user_is_refused(entries: list[str]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        read_users(entries)


def test_a_digest_is_in_no_repr() -> None:
    assert repr(ANNA) == "Account(name='Anna', role=<Role.ADMIN: 'admin'>)"


def test_a_new_token_takes_the_old_ones_place_and_keeps_the_role() -> None:
    made = digest("new")

    assert add_account([ANNA, BERT], "Anna", None, made) == [BERT, Account("Anna", Role.ADMIN, made)]
    assert add_account([ANNA, BERT], "Anna", Role.VIEWER, made) == [BERT, Account("Anna", Role.VIEWER, made)]
    assert add_account([ANNA], "Carla", None, made) == [ANNA, Account("Carla", Role.EDITOR, made)]


def write_file(home: Path, text: str) -> None:
    (home / "related.toml").write_text(text, encoding="utf-8")


def test_the_desks_settings_are_read_from_the_file(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        f"""
        editors = ["{ANNA}"]
        desk_user_header = "X-Remote-User"
        desk_users = ["anna:editor"]
        desk_default_role = "viewer"
        trusted_proxies = ["10.0.0.7", "10.1.0.0/16", "fd00::/8"]
        """,
    )

    assert load_settings(tmp_path) == Settings(
        home=tmp_path,
        editors=(str(ANNA),),
        desk_user_header="X-Remote-User",
        desk_users=("anna:editor",),
        desk_default_role="viewer",
        trusted_proxies=("10.0.0.7", "10.1.0.0/16", "fd00::/8"),
    )


def test_workers_read_the_desks_settings_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"editors": [str(ANNA), str(BERT)], "desk_user_header": "X-User", "desk_users": ["a:admin", "b:viewer"]}
    settings = load_settings(tmp_path, **given, desk_default_role="editor", trusted_proxies=["10.0.0.0/8", "::1"])

    for variable, text in settings.environment().items():
        monkeypatch.setenv(variable, text)
    assert load_settings(tmp_path) == settings

    for variable in ("EDITORS", "DESK_USER_HEADER", "DESK_USERS", "DESK_DEFAULT_ROLE", "TRUSTED_PROXIES"):
        monkeypatch.setenv(f"RELATED_{variable}", "")
    assert load_settings(tmp_path) == Settings(home=tmp_path)


def test_all_mistakes_in_the_desks_settings_are_told_and_no_token(tmp_path: Path) -> None:
    write_file(
        tmp_path,
        """
        editors = ["Anna:admin:the-token-itself"]
        desk_user_header = "X-Remote-User: anna"
        desk_users = ["anna"]
        desk_default_role = "owner"
        trusted_proxies = ["10.0.0.1/8", "proxy.example.org"]
        """,
    )

    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path)

    file = tmp_path / "related.toml"
    assert str(caught.value).split("\n  ")[1:] == [
        f"{file}, editors: what stands there is not a list of NAME:ROLE:DIGEST: a name without a comma and of one "
        "role, viewer, editor or admin, and the sha256 digest of a token",
        f"{file}, desk_user_header: 'X-Remote-User: anna' is not the name of a header, such as X-Remote-User",
        f"{file}, desk_users: ['anna'] is not a list of NAME:ROLE: each name once and without a comma, and viewer, "
        "editor or admin",
        f"{file}, desk_default_role: 'owner' is not viewer, editor or admin",
        f"{file}, trusted_proxies: ['10.0.0.1/8', 'proxy.example.org'] is not a list of IP addresses or networks, "
        'such as "10.0.0.7" or "10.0.0.0/8"',
    ]


@pytest.mark.parametrize("name", ["editors", "desk_users", "trusted_proxies"])
@pytest.mark.parametrize("value", ['"anna:editor"', "[1]", "7"])
def test_what_is_no_list_of_texts_is_refused(tmp_path: Path, name: str, value: str) -> None:
    write_file(tmp_path, f"{name} = {value}")

    with pytest.raises(SettingsError, match="is not a list of"):
        load_settings(tmp_path)


def test_the_command_prints_a_token_and_the_line_that_lets_an_editor_in(tmp_path: Path) -> None:
    write_file(tmp_path, f'editors = ["{ANNA}", "{BERT}"]\n')
    asked = ["key", "--home", str(tmp_path), "--editor", "Åsa", "--role", "viewer"]

    done = CliRunner().invoke(command, asked, catch_exceptions=False)

    made, line = done.stdout.splitlines()
    assert tomllib.loads(line) == {"editors": [str(ANNA), str(BERT), f"Åsa:viewer:{digest(made)}"]}
    assert f"for {tmp_path / 'related.toml'}" in done.stderr
    assert made not in done.stderr
    write_file(tmp_path, line)
    (account,) = [entry for entry in read_accounts(load_settings(tmp_path).editors) if entry.name == "Åsa"]
    assert is_known(made, [account.digest])


def test_the_command_gives_a_name_another_token_and_leaves_its_role(tmp_path: Path) -> None:
    write_file(tmp_path, f'editors = ["{ANNA}", "{BERT}"]\n')

    done = CliRunner().invoke(command, ["key", "--home", str(tmp_path), "--editor", "Anna"], catch_exceptions=False)

    made, line = done.stdout.splitlines()
    assert tomllib.loads(line) == {"editors": [str(BERT), f"Anna:admin:{digest(made)}"]}


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (["--role", "admin"], "say also --editor NAME"),
        (["--editor", "a,b"], "no comma"),
        (["--editor", "anna", "--role", "owner"], "owner"),
    ],
)
def test_the_command_refuses_what_makes_no_editor(tmp_path: Path, asked: list[str], sentence: str) -> None:
    done = CliRunner().invoke(command, ["key", "--home", str(tmp_path), *asked])

    assert (done.exit_code, done.stdout) == (2, "")
    assert sentence in done.stderr
