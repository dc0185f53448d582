"""The cookie of a login, and the secret that it is signed with."""

import logging
import stat
import subprocess
import sys
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from itsdangerous import URLSafeSerializer

from service.accounts import Account, Role
from service.desk.sessions import Sessions, read_secret
from service.editions import utc_now
from service.keys import digest

NOW = utc_now().replace(microsecond=0)
ANNA = Account("Anna", Role.EDITOR, digest("one"))
BERT = Account("Bert", Role.VIEWER, digest("two"))
SECRET = "a" * 64


def test_a_session_names_the_account_that_began_it() -> None:
    sessions = Sessions(SECRET)

    assert sessions.find(sessions.begin(ANNA, NOW), [BERT, ANNA], NOW) == ANNA
    assert sessions.find(sessions.begin(BERT, NOW), [BERT, ANNA], NOW) == BERT


@pytest.mark.parametrize(
    ("after", "holds"),
    [(timedelta(0), True), (timedelta(hours=12, seconds=-1), True), (timedelta(hours=12), False)],
)
def test_a_session_ends_after_twelve_hours(after: timedelta, holds: bool) -> None:
    sessions = Sessions(SECRET)

    found = sessions.find(sessions.begin(ANNA, NOW), [ANNA], NOW + after)

    assert (found == ANNA) is holds
    assert (found is None) is not holds


def test_the_role_is_todays_and_not_that_of_the_login() -> None:
    sessions = Sessions(SECRET)
    promoted = Account("Anna", Role.ADMIN, ANNA.digest)

    assert sessions.find(sessions.begin(ANNA, NOW), [promoted], NOW) == promoted


@pytest.mark.parametrize(
    "accounts",
    [[], [BERT], [Account("Anna", Role.EDITOR, digest("new"))], [Account("Anni", Role.EDITOR, ANNA.digest)]],
    ids=["none", "removed", "with another token", "of another name"],
)
def test_a_session_ends_with_its_account(accounts: list[Account]) -> None:
    sessions = Sessions(SECRET)

    assert sessions.find(sessions.begin(ANNA, NOW), accounts, NOW) is None


def test_a_session_of_either_token_holds_while_a_name_has_two() -> None:
    sessions, second = Sessions(SECRET), Account("Anna", Role.EDITOR, digest("new"))

    assert sessions.find(sessions.begin(second, NOW), [ANNA, second], NOW) == second


def test_no_changed_cookie_is_believed() -> None:
    sessions = Sessions(SECRET)
    cookie = sessions.begin(ANNA, NOW)
    payload, _, signature = cookie.rpartition(".")
    end = int(NOW.timestamp()) + 10**6
    other = urlsafe_b64encode(f'["Bert","{BERT.mark}",{end}]'.encode()).decode().strip("=")
    forged = [
        "",
        ".",
        "x",
        payload,
        f"{payload}.",
        f".{signature}",
        f"{other}.{signature}",
        f"{other}.",
        *(cookie[:length] for length in range(0, len(cookie))),
        f"{cookie}x",
        f"{'B' if cookie[0] != 'B' else 'C'}{cookie[1:]}",
        "é" * 20,
        "\x00",
        Sessions("b" * 64).begin(ANNA, NOW),
        str(URLSafeSerializer(SECRET).dumps([ANNA.name, ANNA.mark, end])),
    ]

    assert sessions.find(cookie, [ANNA, BERT], NOW) == ANNA
    assert [text for text in forged if sessions.find(text, [ANNA, BERT], NOW)] == []


@pytest.mark.parametrize("payload", [None, 7, "abc", [], ["Anna", ANNA.mark], ["Anna", ANNA.mark, "never"], {"a": 1}])
def test_what_another_version_has_signed_is_no_session(payload: object) -> None:
    sessions = Sessions(SECRET)
    signed = str(sessions._signer.dumps(payload))

    assert sessions.find(signed, [ANNA], NOW) is None


def test_a_cookie_holds_neither_token_nor_digest() -> None:
    sessions = Sessions(SECRET)
    payload = sessions._signer.loads(sessions.begin(ANNA, NOW))

    assert payload == ["Anna", digest("one")[:16], int(NOW.timestamp()) + 12 * 3600]
    assert SECRET not in repr(sessions)


def test_a_session_is_known_to_every_process_of_a_home(tmp_path: Path) -> None:
    cookie = Sessions(read_secret(tmp_path)).begin(ANNA, NOW)

    assert Sessions(read_secret(tmp_path)).find(cookie, [ANNA], NOW) == ANNA


def test_the_secret_is_random_and_for_its_owner_alone(tmp_path: Path) -> None:
    home = tmp_path / "not there yet"
    secret, file = read_secret(home), home / "desk.secret"

    assert file.read_text() == secret
    assert len(bytes.fromhex(secret)) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in home.iterdir()] == ["desk.secret"]
    assert read_secret(home) == secret
    assert read_secret(tmp_path / "other") != secret


def test_processes_that_start_together_have_one_secret(tmp_path: Path) -> None:
    program = "import sys; from pathlib import Path; from service.desk.sessions import read_secret as read; "
    program += "sys.stdin.read(1); print(read(Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, str(tmp_path / "home")]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]

    for process in started:
        process.stdin.write("x")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
    said = [process.communicate() for process in started]

    assert {out.strip() for out, _ in said} == {(tmp_path / "home" / "desk.secret").read_text()}
    assert [err for _, err in said] == [""] * 4


def test_who_comes_second_takes_the_first_ones_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_secret(tmp_path)
    monkeypatch.setattr(Path, "exists", lambda path: False)  # as it was when the second looked

    assert read_secret(tmp_path) == first
    assert [entry.name for entry in tmp_path.iterdir()] == ["desk.secret"]


def broken_homes(folder: Path) -> dict[str, Path]:
    """Homes in which no secret can be kept, also for root, whom no permission stops."""
    file, damaged, empty, binary = folder / "file", folder / "damaged", folder / "empty", folder / "binary"
    file.write_text("a file in place of a folder")
    for home, content in ((damaged, b"A" * 64), (empty, b""), (binary, b"\xff" * 64)):
        home.mkdir()
        (home / "desk.secret").write_bytes(content)
    (folder / "folder" / "desk.secret").mkdir(parents=True)
    return {path.name: path for path in (file, damaged, empty, binary, folder / "folder")}


@pytest.mark.parametrize("name", ["file", "damaged", "empty", "binary", "folder"])
def test_without_a_file_the_secret_is_the_processs_own_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    home = broken_homes(tmp_path)[name]

    one, other = read_secret(home), read_secret(home)

    assert len(bytes.fromhex(one)) == 32
    assert one != other
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert str(home / "desk.secret") in caplog.text
    assert "sessions of the desk end with this process" in caplog.text
    assert one not in caplog.text
    assert "A" * 64 not in caplog.text


def test_a_fallback_where_hard_links_are_unknown_leaves_no_draft(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, target: Path) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)

    assert len(read_secret(tmp_path)) == 64
    assert list(tmp_path.iterdir()) == []
    assert "Operation not supported" in caplog.text


def test_the_clock_is_the_callers() -> None:
    sessions, then = Sessions(SECRET), datetime.fromisoformat("2001-01-01T00:00:00+00:00")

    assert sessions.find(sessions.begin(ANNA, then), [ANNA], then) == ANNA
    assert sessions.find(sessions.begin(ANNA, then), [ANNA], NOW) is None
