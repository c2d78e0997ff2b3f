"""Identity: canonical forms, and that they are stable."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lineage.errors import MalformedIdentity
from lineage.identity import canonical_uri, identify, is_digest, without_credentials

SHA = "sha256:" + "ab" * 32
TYPES = ["Artifact", "Code", "Image", "Dataset", "Deployment"]
pieces = st.sampled_from(
    ["gs://", "https://", "abfss://", "WASBS://", "c", "c@", "HTTP://", "ssh://", "git+https://", "git@", "oci://", "docker-pullable://",
     "storage.googleapis.com", "Host.example", ":443", ":22", ":80", "/", "//", "o", "r.git", ".git",
     "@", "@sha256:" + "ab" * 32, ":tag", "?", "#", "&", "token=x", "a=b", "%41", "%2f", "%zz", "ü",
     " ", "\\", "'", "..", "library", "docker.io", "localhost", "[::1]", "projects/p/models/TCN1"]
)  # fmt: skip
uris = st.lists(pieces, min_size=1, max_size=7).map("".join) | st.text(
    string.printable, min_size=1, max_size=30
)


@given(uris, st.sampled_from(TYPES))
@example("https://storage.googleapis.com/a@b/k", "Artifact")
@example("https://host/x.git.git/", "Code")
@example("https://host:80:443/x", "Artifact")
def test_canonical_form_is_idempotent(uri: str, kind: str) -> None:
    """canonical(canonical(x)) = canonical(x), for every URI that can be one."""
    try:
        once = identify(uri, None, kind)
    except MalformedIdentity:
        return
    assert canonical_uri(once.uri, kind) == once.uri
    assert identify(once.uri, once.version, kind) == once
    assert identify(once.uri, once.version).uri == once.uri, "the type is not part of identity"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("GS://Bucket/a/b.csv/", "gs://bucket/a/b.csv"),
        ("https://storage.googleapis.com/b/k.csv", "gs://b/k.csv"),
        ("https://Host.Example:443/A/", "https://host.example/A"),
        ("http://h:80/a", "http://h/a"),
        ("http://h:8080/a", "http://h:8080/a"),
        ("https://h/%7euser/%c3%bc?q=%2f", "https://h/~user/%C3%BC?q=%2F"),
        ("https://user:secret@h/a", "https://h/a"),
        ("https://h/a?X-Amz-Signature=1&part=2&token=3", "https://h/a?part=2"),
        ("projects/976279526634/locations/us-central1/models/TCN1", None),
        ("file:///data/x/", "file:///data/x"),
        ("k8s://prod/ns/Deployment/worker", None),
    ],
)
def test_canonical_uris(uri: str, expected: str | None) -> None:
    """One spelling for one place; names without a scheme stay as they are."""
    assert canonical_uri(uri) == (expected or uri)


AZURE = st.sampled_from(["wasb", "wasbs", "abfs", "abfss"])
containers = st.from_regex(r"[a-z0-9]([a-z0-9]|-(?!-)){1,20}[a-z0-9]", fullmatch=True)


@given(
    AZURE, containers, containers, st.sampled_from(["", "/", "/a/b.csv", "/a@b", "/a?sig=s3cret"])
)
def test_an_azure_container_is_part_of_the_name(
    scheme: str, one: str, other: str, path: str
) -> None:
    """It stands where other schemes have who logs in; two containers are two places."""
    uris = [f"{scheme}://{name}@account.dfs.core.windows.net{path}" for name in (one, other)]
    ids = [identify(uri) for uri in uris]
    assert (ids[0].id == ids[1].id) == (one == other)
    assert ids[0].uri.startswith(f"{scheme}://{one}@account.dfs.core.windows.net")
    assert identify(without_credentials(uris[0])) == identify(ids[0].uri) == ids[0]
    assert "s3cret" not in ids[0].uri + without_credentials(uris[0])


@given(AZURE | st.sampled_from(["https", "gs", "ftp", "git+https"]), containers)
def test_who_logs_in_is_never_part_of_a_name(scheme: str, user: str) -> None:
    """Not where Azure has containers either: a container has no password."""
    for login in (f"{user}:s3cret@", f"{user}%3As3cret@", f"{user}@s3cret@", ":s3cret@"):
        uri = f"{scheme}://{login}host.example/a"
        assert identify(uri).uri == f"{scheme}://host.example/a"
        assert without_credentials(uri) == f"{scheme}://host.example/a"


@pytest.mark.parametrize(
    "uri",
    ["git@github.com:o/r", "git@github.com:o/r.git", "ssh://git@github.com/o/r", "ssh://git@github.com:22/o/r.git",
     "https://github.com/o/r.git", "https://GitHub.com/o/r/", "git+https://x:token@github.com/o/r.git",
     "git://github.com/o/r"],
)  # fmt: skip
def test_every_spelling_of_a_repository_is_one(uri: str) -> None:
    """Clone over ssh, https or scp syntax: the same code."""
    assert identify(uri, None, "Code").uri == "git+https://github.com/o/r"


@pytest.mark.parametrize(
    ("uri", "expected", "version"),
    [
        ("python", "oci://docker.io/library/python", None),
        ("python:3.11", "oci://docker.io/library/python", "3.11"),
        (
            f"docker-pullable://docker.io/library/python@{SHA}",
            "oci://docker.io/library/python",
            SHA,
        ),
        ("tensorflow/tensorflow:2.1", "oci://docker.io/tensorflow/tensorflow", "2.1"),
        (f"ghcr.io/o/i:v1@{SHA}", "oci://ghcr.io/o/i", SHA),
        ("localhost:5000/i:v1", "oci://localhost:5000/i", "v1"),
        ("oci://index.docker.io/python", "oci://docker.io/library/python", None),
    ],
)
def test_images(uri: str, expected: str, version: str | None) -> None:
    """Docker Hub's short names expanded, the digest or tag taken as version."""
    assert identify(uri, None, "Image")[:2] == (expected, version)


@pytest.mark.parametrize(
    ("uri", "version"),
    [("", None), ("gs://", None), ("https://h:99999/", None), ("https://h:x/", None), ("a\nb", None),
     ("gs://b/k", "sha256:abc"), ("gs://b/k", "sha256:" + "zz" * 32), ("x" * 5000, None), ("gs://b/k", "v" * 600)],
)  # fmt: skip
def test_what_cannot_be_an_identity_is_refused(uri: str, version: str | None) -> None:
    """A malformed URI or digest raises, with words that say what to write."""
    with pytest.raises(MalformedIdentity):
        identify(uri, version)


def test_a_digest_beats_a_declared_version() -> None:
    """docs/architecture.md: the digest when known, else what was declared."""
    assert identify(f"ghcr.io/o/i@{SHA}", "v1", "Image").version == SHA
    assert identify("gs://b/k", SHA.upper().replace("SHA", "sha")).version == SHA
    assert is_digest(SHA) and not is_digest("v1")


def test_the_type_is_not_part_of_the_key() -> None:
    """A generic and a specific mention meet."""
    assert identify("gs://b/k", "v1", "Model").id == identify("gs://b/k", "v1", "Artifact").id
