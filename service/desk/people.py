"""Who asks the desk, for one request."""

from dataclasses import dataclass
from typing import Literal

from service.accounts import Role

Way = Literal["token", "session", "proxy", "local"]
"""How a person was known: by a token in the request, by the cookie of a login, by a proxy's word, by being here."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks, for one request."""

    name: str
    role: Role
    way: Way


__all__ = ["Person", "Role", "Way"]
