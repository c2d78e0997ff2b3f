"""The canonical form of an address, so that two spellings of one place are one. Pure.

Repositories, images and buckets have rules of their own; nothing that would let anyone in is
kept. `lineage.identity` decides by these forms what is the same thing.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from lineage.errors import MalformedIdentity

MAX_URI = 4096

_DEFAULT_PORTS = {"http": "80", "https": "443", "ssh": "22", "git": "9418", "ftp": "21"}
_IMAGE_SCHEMES = {"oci", "docker", "docker-pullable"}
_DOCKER_HUB = {"index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"}
_CONTAINERS = {"wasb", "wasbs", "abfs", "abfss"}
DIGEST_LENGTHS = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}

# Parameters that make a signed URL work: credentials, never identity.
_SECRET_QUERY = re.compile(
    r"(?:x-(?:amz|goog)-.*|signature|sig|se|sp|sv|sr|skoid|sktid|skt|ske|sks|skv|expires"
    r"|awsaccesskeyid|googleaccessid|key-pair-id|policy|token|access_token|auth_token"
    r"|api_?key|password|passwd|secret|credentials?)\Z",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"[:@]|%3a|%40", re.IGNORECASE)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"(?:[^@/\s:]+@)?([A-Za-z0-9.-]+):(?!/)([^:\s].*)\Z")
CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
"""Neither a URI nor a version holds these: control characters, and halves of characters."""
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_KEEP = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:@/?\[\]]")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*\Z")


def canonical(uri: str, type: str) -> tuple[str, str | None]:
    """The form of a URI mentioned as this type, and the version that was written inside it.

    Raises:
        MalformedIdentity: it cannot be a URI.
    """
    uri = uri.strip()
    if not uri:
        raise MalformedIdentity("a URI is needed, such as gs://bucket/data.csv")
    if len(uri) > MAX_URI:
        raise MalformedIdentity(f"a URI has at most {MAX_URI} characters")
    if CONTROL.search(uri):
        raise MalformedIdentity("a URI holds no control characters; percent-encode them")
    match = _SCHEME.match(uri)
    scheme = match[1].lower() if match else ""
    if scheme in _IMAGE_SCHEMES or (type == "Image" and not scheme):
        return _image(uri[match.end() :] if match else uri, bare=scheme != "oci")
    if scheme.startswith("git+") or type == "Code":
        return _repository(uri, scheme)
    if not match:
        return uri, None
    authority, path, tail = _split(uri[match.end() :], scheme)
    if scheme in ("http", "https") and authority == "storage.googleapis.com":
        bucket, _, key = path.lstrip("/").partition("/")
        if _BUCKET.match(bucket.lower()):
            return f"gs://{bucket.lower()}{'/' if key else ''}{key}{tail}", None
    return f"{scheme}://{authority}{path}{tail}", None


def without_credentials(uri: str) -> str:
    """A URI as it was written, less what would let anyone in: user info and signatures.

    `git@host:o/r` stays: there `git` is everybody's user. So does the container in
    `abfss://container@account.dfs.core.windows.net/path`.
    """
    match = _SCHEME.match(uri)
    if not match:
        return uri
    rest, hash_, fragment = uri[match.end() :].partition("#")
    rest, mark, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    kept = "&".join(p for p in query.split("&") if not _SECRET_QUERY.match(p.partition("=")[0]))
    return (
        match[0]
        + _without_login(authority, match[1].lower())
        + slash
        + path
        + (mark and kept and mark + kept)
        + hash_
        + fragment
    )


def is_digest(version: str | None) -> bool:
    """Whether a version names content (`sha256:…`), so equal means the same bytes."""
    if version is None:
        return False
    algorithm, colon, digits = version.partition(":")
    return bool(colon) and len(digits) == DIGEST_LENGTHS.get(algorithm, -1)


def _split(rest: str, scheme: str) -> tuple[str, str, str]:
    """`authority/path?query#fragment` as (authority, path, tail), each canonical."""
    rest, hash_, fragment = rest.partition("#")
    rest, _, query = rest.partition("?")
    authority, slash, path = rest.partition("/")
    authority = _authority(authority, scheme)
    path = _percent(slash + path).rstrip("/")
    if not authority and not path:
        raise MalformedIdentity(f"'{scheme}://' must be followed by a host, bucket or path")
    kept = [p for p in query.split("&") if p and not _SECRET_QUERY.match(p.partition("=")[0])]
    tail = ("?" + _percent("&".join(kept)) if kept else "") + (
        "#" + _percent(fragment) if hash_ and fragment else ""
    )
    return authority, path, tail


def _authority(authority: str, scheme: str) -> str:
    authority = _without_login(_percent(authority), scheme).lower().replace("%2f", "%2F")
    host, colon, port = authority.rpartition(":")
    if not colon or authority.endswith("]"):
        return _upper_percent(authority)
    if not port or port == _DEFAULT_PORTS.get(scheme):
        return _authority(host, scheme)
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise MalformedIdentity(f"'{port[:20]}' is not a port number")
    return _upper_percent(f"{host}:{port}")


def _without_login(authority: str, scheme: str) -> str:
    """Azure's schemes have the container where others have the user; a container has no password."""
    user, _, host = authority.rpartition("@")
    container = scheme in _CONTAINERS and user and not _LOGIN.search(user)
    return authority if container else host


def _percent(text: str) -> str:
    """Percent-encoding in one form: nothing encoded that need not be, digits upper-case."""
    if "%" not in text and text.isascii() and not re.search(r"[\s\"<>\\^`{|}#]", text):
        return text
    out = bytearray()
    for part in re.split(r"(%[0-9A-Fa-f]{2})", text):
        if _PERCENT.fullmatch(part):
            byte = unquote_to_bytes(part)
            # Only unreserved characters may be decoded without changing the meaning.
            plain = re.fullmatch(rb"[A-Za-z0-9\-._~]", byte)
            out += byte if plain else part.upper().encode()
        else:
            for byte_ in part.encode("utf-8", "surrogatepass"):
                char = bytes([byte_])
                out += char if _KEEP.match(char) else b"%%%02X" % byte_
    return out.decode("ascii")


def _upper_percent(text: str) -> str:
    return _PERCENT.sub(lambda m: "%" + m[1].upper(), text)


def _repository(uri: str, scheme: str) -> tuple[str, str | None]:
    """One form for a git repository: `git+https://host/owner/name`, and the commit if named."""
    if not scheme:
        match = _SCP.match(uri)
        if not match or uri.startswith(("/", ".")):
            return uri, None
        scheme, rest = "ssh", f"{match[1]}/{match[2]}"
    else:
        rest = uri.partition("://")[2]
    transport = scheme.removeprefix("git+")
    authority, path, tail = _split(rest, transport)
    if transport == "file":
        transport_out = "git+file"
    elif transport in ("ssh", "git", "http", "https"):
        # An ssh port says nothing about the repository's address over https.
        authority = authority if transport.startswith("http") else authority.partition(":")[0]
        authority = authority.removesuffix(":443")
        transport_out = "git+https"
    else:
        return f"{scheme}://{authority}{path}{tail}", None
    path, _, version = path.partition("@")
    while path.endswith(("/", ".git")):
        path = path.rstrip("/").removesuffix(".git")
    if not authority and not path:
        raise MalformedIdentity("a repository needs a host and a path: https://host/owner/name")
    return f"{transport_out}://{authority}{path}{tail}", version or None


def _image(name: str, bare: bool) -> tuple[str, str | None]:
    """`[registry/]repository[:tag][@digest]` as (`oci://registry/repository`, digest or tag)."""
    if is_digest(name.lower()):
        return name.lower(), name.lower()
    name, _, digest = name.partition("@") if "@" in name else (name, "", "")
    *front, last = name.strip("/").split("/")
    if front or bare:
        last, _, tag = last.partition(":")
    else:
        tag = ""
    parts = [part for p in (*front, last) if (part := p.lower().rstrip(":"))]
    if not parts or re.search(r"[^a-z0-9._/:\-\[\]]|(?:^|/):", "/".join(parts)):
        raise MalformedIdentity("an image is written [registry/]repository[:tag][@sha256:digest]")
    registry = parts[0].removesuffix(":443")
    if bare and not (
        len(parts) > 1 and ("." in registry or ":" in registry or registry == "localhost")
    ):
        registry, parts = "docker.io", ["docker.io", *parts]
    if registry in _DOCKER_HUB:
        registry = "docker.io"
    if registry == "docker.io" and len(parts) == 2:
        parts = [registry, "library", parts[1]]
    uri = "/".join(["oci:/", registry, *parts[1:]])
    return uri, digest.strip() or tag or None
