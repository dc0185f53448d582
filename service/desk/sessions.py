"""The cookie that an editor gets for a token: signed, not stored, and good for twelve hours."""

import hashlib
import logging
import os
import re
import secrets
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from itsdangerous import BadData, URLSafeSerializer

from service.accounts import Account

COOKIE = "related_desk"
LIFETIME = timedelta(hours=12)
SECRET_FILE = "desk.secret"  # noqa: S105
_SECRET = re.compile(r"[0-9a-f]{64}")
_SECRET_BYTES = 32
_log = logging.getLogger(__name__)


class Sessions:
    """Makes and reads the cookie. It holds no role: that is looked up anew for each request."""

    def __init__(self, secret: str) -> None:
        how = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._signer = URLSafeSerializer(secret, salt="related-articles desk session", signer_kwargs=how)

    def begin(self, account: Account, now: datetime) -> str:
        """The cookie's value for who has just shown the account's token."""
        return str(self._signer.dumps([account.name, account.mark, int((now + LIFETIME).timestamp())]))

    def find(self, cookie: str, accounts: Sequence[Account], now: datetime) -> Account | None:
        """The account whose cookie this is; none when it is forged or too old, or the account has another token now."""
        try:
            name, mark, end = self._signer.loads(cookie)
        except (BadData, ValueError, TypeError):  # the latter two: signed by another version, of another form
            return None
        if not isinstance(end, int) or now.timestamp() >= end:
            return None
        return next((account for account in accounts if (account.name, account.mark) == (name, mark)), None)


def read_secret(home: Path) -> str:
    """The secret that sessions are signed with, of 64 hexadecimal digits. The first who asks makes its file.

    It is one for all worker processes of a home, and outlives them. Where the file can be neither made nor read, the
    secret is this process's own, and the log says so.
    """
    path = home / SECRET_FILE
    try:
        if not path.exists():
            _make_secret(path)
        secret = path.read_text(encoding="ascii")
    except (OSError, ValueError) as error:
        return _own_secret(f"{path} cannot be made or read ({error})")
    return secret if _SECRET.fullmatch(secret) else _own_secret(f"{path} holds no secret: delete it")


def _make_secret(path: Path) -> None:
    """Write the file, readable by its owner alone. It appears complete or not at all; the first of several stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # O_EXCL, 0600
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_SECRET_BYTES))
        with suppress(FileExistsError):  # another process was first
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def _own_secret(reason: str) -> str:
    _log.warning("%s; sessions of the desk end with this process, and other processes do not know them", reason)
    return secrets.token_hex(_SECRET_BYTES)
