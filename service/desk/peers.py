"""Who is at the other end of a request, and what may be believed of its headers.

A client that is none, as on a UNIX socket, is no address and so neither this machine nor a proxy that is trusted:
behind such a socket stands a proxy as a rule, which asks for the whole world. `related serve` listens on none.
"""

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.requests import Request

Address = IPv4Address | IPv6Address

_FORWARDING = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-server",
    "x-real-ip",
)
_HOST = re.compile(r"(?P<name>[^\[\]:@/?#\s]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}


def peer_of(request: Request) -> Address | None:
    """The address that the connection comes from, whatever its headers say; ::ffff:127.0.0.1 is 127.0.0.1."""
    return _address(request.client.host) if request.client else None


def _address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(address: Address | None) -> bool:
    """Whether it is this machine's own."""
    return address is not None and address.is_loopback


def comes_from_trusted(request: Request, proxies: Sequence[str]) -> bool:
    """Whether the connection comes from this machine or from one of the setting `trusted_proxies`."""
    peer = peer_of(request)
    return peer is not None and (peer.is_loopback or any(peer in ip_network(proxy) for proxy in proxies))


def is_forwarded(request: Request) -> bool:
    """Whether a proxy shows itself. HTTP/1.0 is what nginx speaks that was told nothing else, and no browser."""
    return request.scope.get("http_version") == "1.0" or any(name in request.headers for name in _FORWARDING)


def asks_for_this_machine(request: Request) -> bool:
    """Whether the address in the browser names this machine, as it does not after DNS rebinding."""
    hosts = request.headers.getlist("host")
    found = _HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
    return found is not None and (
        found["name"].lower() == "localhost" or is_loopback(_address(found["name"].strip("[]")))
    )


def is_https(request: Request, proxies: Sequence[str]) -> bool:
    """Whether the browser asked by https, as the connection or a trusted proxy says."""
    said = request.headers.get("x-forwarded-proto", "").split(",")[0].strip().lower()
    return request.scope["scheme"] == "https" or (said == "https" and comes_from_trusted(request, proxies))


def has_own_origin(request: Request, proxies: Sequence[str]) -> bool:
    """Whether the request's one Origin is the host that it asks for; the scheme may differ behind a proxy."""
    origins = request.headers.getlist("origin")
    origin = urlsplit(origins[0]) if len(origins) == 1 and re.match(r"https?://", origins[0]) else None
    if origin is None:
        return False
    hosts = request.headers.getlist("host")
    if comes_from_trusted(request, proxies):
        hosts += [host.split(",")[0].strip() for host in request.headers.getlist("x-forwarded-host")]
    port = _PORTS[origin.scheme]
    wanted = _host_and_port(origin.netloc, port)
    return wanted is not None and wanted in [_host_and_port(host, port) for host in hosts]


def _host_and_port(text: str, default: int) -> tuple[str, int] | None:
    found = _HOST.fullmatch(text)
    return (found["name"].lower(), int(found["port"] or default)) if found else None
