"""Who may use the editors' desk, and for what: roles, accounts, and how the settings write both down.

It stands beside the desk and not in it, so that settings and command line load none of the desk's pages.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

_DIGEST_DIGITS = 64
_MARK_DIGITS = 16
_LONGEST_NAME = 100


class Role(Enum):
    """What a person may do, the least first. No string: "admin" < "editor" would be true of strings."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"

    def covers(self, needed: "Role") -> bool:
        """Whether this role may do what the needed one may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)


@dataclass(frozen=True, slots=True)
class Account:
    """An editor who has a token. digest: its sha256, as service.keys.digest() makes it."""

    name: str
    role: Role
    digest: str = field(repr=False)

    @property
    def mark(self) -> str:
        """What a session remembers of the token, so that it ends with it."""
        return self.digest[:_MARK_DIGITS]

    def __str__(self) -> str:
        """As the setting `editors` has it."""
        return f"{self.name}:{self.role.value}:{self.digest}"


def is_name(text: str) -> bool:
    """Whether a person may be called that: up to 100 printable characters, no comma, no space at an end.

    A comma would cut a setting in two where it comes from the environment.
    """
    return 0 < len(text) <= _LONGEST_NAME and text.isprintable() and text == text.strip() and "," not in text


def read_accounts(entries: Sequence[str]) -> list[Account]:
    """The accounts of the setting `editors`: NAME:ROLE:DIGEST each, where a name may hold colons.

    A name may have several tokens, of one role; a token has one name. Raises ValueError, which never quotes a digest.
    """
    accounts = [_read_account(entry) for entry in entries]
    if len({account.digest for account in accounts}) < len(accounts):
        raise ValueError("a digest stands there twice")
    if len({(account.name, account.role) for account in accounts}) > len({account.name for account in accounts}):
        raise ValueError("a name has two roles")
    return accounts


def _read_account(entry: str) -> Account:
    name, role, digest = entry.rsplit(":", 2)
    if not is_name(name) or len(digest) != _DIGEST_DIGITS or not set(digest) <= set("0123456789abcdef"):
        raise ValueError("not NAME:ROLE:DIGEST")
    return Account(name, Role(role), digest)


def read_users(entries: Sequence[str]) -> dict[str, Role]:
    """The roles of the setting `desk_users`, by name: NAME:ROLE each. Raises ValueError."""
    users: dict[str, Role] = {}
    for entry in entries:
        name, role = entry.rsplit(":", 1)
        if not is_name(name) or name in users:
            raise ValueError(f"{name!r} cannot be a name, or stands there twice")
        users[name] = Role(role)
    return users


def add_account(accounts: Sequence[Account], name: str, role: Role | None, digest: str) -> list[Account]:
    """The accounts with a new one, in place of what there was of that name.

    role: none keeps the role that the name had, and makes a new name an editor.
    """
    before = [account.role for account in accounts if account.name == name]
    kept = [account for account in accounts if account.name != name]
    return [*kept, Account(name, role or (before[0] if before else Role.EDITOR), digest)]
