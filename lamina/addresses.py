"""What an address or a folder in the settings must look like; none of the errors repeats what it was given.

An empty or half-written one must not mean the root of the disk, the current folder or a database made on the spot, and
a password with characters that end the host of a URL must not be taken for a port, which libraries print.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlsplit

PORT = range(1, 65536)
NAME = re.compile(r"[A-Za-z0-9._-]+")
HOST = re.compile(rf"\[[0-9A-Fa-f:.%]+\]|{NAME.pattern}")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
ENCODED = "write it percent-encoded there (# is %23, / is %2F, ? is %3F, @ is %40, % is %25, : is %3A)"
# As they are in a URL's user name and password; everything else there is percent-encoded.
PLAIN = "!$&'()*+,;=:-._~%"


def _is_host(text: str) -> bool:
    """Whether `text` is `host` or `host:port`."""
    found = HOST.match(text)
    if found is None:
        return False
    rest = text[found.end() :]
    return not rest or (rest[:1] == ":" and rest[1:].isascii() and rest[1:].isdigit() and int(rest[1:]) in PORT)


def _same_everywhere(path: str) -> bool:
    """Whether a path is absolute and is neither the root nor climbs."""
    parts = Path(path).parts
    return path.startswith("/") and len(parts) > 1 and ".." not in parts


def _required(text: str) -> None:
    if not text.strip():
        raise ValueError("is empty: give it a value, or take the variable away for the default")
    if text != text.strip() or any(ord(sign) < 32 for sign in text):
        raise ValueError("begins or ends with a blank, or holds a line break: remove it")


def folder(path: Path) -> Path:
    """`path`, where it means one place for every process, whatever its current folder.

    >>> folder(Path("/srv/lake")).as_posix()
    '/srv/lake'
    """
    text = str(path)
    _required("" if text == "." else text)
    if SCHEME.match(text):
        raise ValueError("is a path of this machine, not a URL")
    if not _same_everywhere(text):
        raise ValueError(f"must be an absolute path, without `..` and not the root alone; here: {Path.cwd()}/...")
    return path


def file(path: Path) -> Path:
    """`path` of a file to read, absolute: a relative one is of the current folder.

    >>> file(Path("/etc/keys.yaml")).as_posix()
    '/etc/keys.yaml'
    """
    text = str(path)
    _required("" if text == "." else text)
    if SCHEME.match(text):
        raise ValueError("is a path of this machine, not a URL")
    if not path.name or path.name == "..":
        raise ValueError("must name a file")
    return path.absolute()


def lake(url: str) -> str:
    """`url`, where it is the root of a lake: an absolute path or a URL with a bucket or host, without a password.

    >>> lake("s3://bucket/lake"), lake("/srv/lake")
    ('s3://bucket/lake', '/srv/lake')
    """
    _required(url)
    if not SCHEME.match(url):
        folder(Path(url))
        return url
    scheme, separator, rest = url.partition("://")
    if not separator or not rest:
        raise ValueError("is half a URL: write it as s3://bucket/lake, or as an absolute path")
    if scheme.lower() in ("file", "local"):
        if not _same_everywhere(rest):
            raise ValueError("must be file:// and an absolute path that is not the root")
        return url
    if rest.startswith("/") and scheme.lower() not in ("memory", "hdfs"):
        raise ValueError(f"names no bucket: write it as {scheme}://bucket/lake")
    if "@" in rest.split("/", 1)[0]:
        raise ValueError(
            "holds a user or a password: give those by the store's own variables, such as AWS_SECRET_ACCESS_KEY"
        )
    return url


def server(url: str) -> str:
    """`url`, where it is the address of a server that speaks HTTP, without a password.

    >>> server("http://127.0.0.1:5000")
    'http://127.0.0.1:5000'
    """
    _required(url)
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise ValueError("must begin with http:// or https://")
    if "@" in rest:
        raise ValueError(
            "holds a user or a password, which messages would repeat: give those by variables of their own"
        )
    if not _is_host(re.split(r"[/?#]", rest, maxsplit=1)[0]):
        raise ValueError("must be http://host:port, with a port of 1 to 65535")
    return url


def listener(host: str) -> str:
    """`host`, where it is an address or a name to listen on: an empty one would mean all addresses.

    >>> listener("0.0.0.0"), listener("::1")
    ('0.0.0.0', '::1')
    """
    _required(host)
    try:
        ip_address(host)
    except ValueError:
        if not NAME.fullmatch(host):
            raise ValueError("must be an IP address or a host name, without a port") from None
    return host


def is_loopback(host: str) -> bool:
    """Whether `host` is an address of this machine that no other reaches.

    >>> [is_loopback(host) for host in ("127.0.0.2", "::1", "::ffff:127.0.0.1", "0.0.0.0", "localhost")]
    [True, True, True, False, False]
    """
    try:
        found = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return found.is_loopback or (mapped is not None and mapped.is_loopback)


def bootstrap(servers: str) -> str:
    """`servers`, where it is host:port, or several with commas between.

    >>> bootstrap("kafka:9092,other:9092")
    'kafka:9092,other:9092'
    """
    _required(servers)
    for one in servers.split(","):
        if not _is_host(one.strip()) or not re.search(r":\d+$", one.strip()):
            raise ValueError("must be host:port[,host:port], without a scheme")
    return servers


def redis(url: str) -> str:
    r"""`url` as every library reads it in one way: what is special in its password is percent-encoded.

    >>> redis("redis://:a#b/c@host:6379/0")
    'redis://:a%23b%2Fc@host:6379/0'
    """
    _required(url)
    encoded = _encoded(url)
    if any(name == "password" for name, _ in parse_qsl(urlsplit(encoded).query)):
        raise ValueError("holds the password as an option: write it before the host, as redis://:password@host")
    return encoded


def database(url: str) -> str:
    r"""`url`, where it names a database of Postgres; what is special in its password is percent-encoded.

    >>> database("postgresql://console:a#b@db:5432/lamina")
    'postgresql://console:a%23b@db:5432/lamina'
    """
    _required(url)
    scheme, separator, rest = url.partition("://")
    before, at, after = rest.rpartition("@")
    host, _, name = after.partition("/")
    if not separator or scheme != "postgresql" or not _is_host(host) or not NAME.fullmatch(name):
        raise ValueError(f"must be postgresql://[user:password@]host[:port]/name; in a password, {ENCODED}")
    return f"{scheme}://{_user(before)}{at}{after}"


def _encoded(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("redis", "rediss", "unix"):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    if scheme == "unix":
        return _socket(url, rest)
    if _is_server(rest):
        if "@" in rest and "@" not in re.split(r"[/?]", rest, maxsplit=1)[0]:
            raise ValueError(f"has an @ after its host: if it belongs to a password or an option, {ENCODED}")
        before, at, after = re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")
        return f"{scheme}://{_user(before)}{at}{after}{rest[len(before) + len(at) + len(after) :]}"
    before, at, after = rest.rpartition("@")
    if not at or ":" not in before or not _is_server(after):
        raise ValueError(
            "must be redis://[user:password@]host[:port][/number]; if a character of the password is the cause, "
            f"{ENCODED}"
        )
    return f"{scheme}://{_user(before)}@{after}"


def redis_password(url: str) -> str | None:
    """The password in a URL that `redis` has given, as it was written, or None."""
    return urlsplit(url).password or None


def _user(text: str) -> str:
    """User name and password with everything encoded that would end them."""
    return quote(text, safe=PLAIN)


def _is_server(rest: str) -> bool:
    """Whether this is `[user:password@]host[:port][/number][?options]`."""
    if "#" in rest:
        return False
    try:
        parts = urlsplit(f"redis://{rest}")
        parse_qsl(parts.query, strict_parsing=bool(parts.query))
    except ValueError:
        return False
    return _is_host(parts.netloc.rpartition("@")[2]) and re.fullmatch(r"(/\d*)?", parts.path) is not None


def _socket(url: str, rest: str) -> str:
    before, at, path = rest.rpartition("@")
    if not path.startswith("/") or "#" in url or "/" in before or "?" in before or not urlsplit(url).path.strip("/"):
        raise ValueError(f"must be unix://[user:password@]/path/of/the.sock; in a password, {ENCODED}")
    return f"unix://{_user(before)}{at}{path}"
