"""What a reference in a question names: ids of actions and artifacts. Pure, over a `Reader`.

A reference is what people have at hand: an id, an action's key, a URI as they write it, the
last part of one, the beginning of a commit.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress

from lineage.errors import BadRequest, MalformedIdentity, NotFound
from lineage.identity import Identity, action_id, canonical_uri, identify
from lineage.merge import ArtifactState
from lineage.queries.asof import raise_later
from lineage.store.ports import ActionFilter, ArtifactFilter, Reader

_TYPES = ("Artifact", "Code", "Image")
"""What a URI in a question may name; each has its own canonical form."""
_HEX = re.compile(r"(?:[a-z0-9]+:)?[0-9a-f]{7,}\Z")
"""A commit or a digest; of these a beginning is enough, if it is long enough to mean one."""
_SHORT = re.compile(_HEX.pattern, re.IGNORECASE)
_SUGGESTED = 5
_LOOKED_AT = 200


def resolve(reader: Reader, ref: str) -> list[str]:
    """The ids that `ref` names: an id, an action's key, a URI (every version of it),
    `URI@version`, or what ends a URI or a key (its last part) or names an action, if unique.
    Of a commit or a digest its first 7 digits are enough, if no other version has them.

    Raises:
        NotFound: nothing is called that, or nothing was at the moment the reader is cut at.
        BadRequest: several things are; the message lists some.
    """
    try:
        return _resolve(reader, ref.strip())
    except NotFound:
        raise_later(reader, ref, lambda whole: _resolve(whole, ref.strip()))
        raise


def _resolve(reader: Reader, ref: str) -> list[str]:
    if not ref:
        raise BadRequest("say what to look at: an id, a URI, URI@version or the key of an action")
    if reader.action(ref) or reader.artifact(ref):
        return [ref]
    if reader.action(action_id(ref)):
        return [action_id(ref)]
    return _by_uri(reader, ref) or _by_last_part_at(reader, ref) or _by_last_part(reader, ref)


def family_of(place: str, uri: str, type: str) -> str:
    """The canonical URI that a question names; `place` is where it stood.

    Raises:
        BadRequest: it cannot be one.
    """
    try:
        return canonical_uri(uri, type)
    except MalformedIdentity as error:
        raise BadRequest(f"{place}: {error.detail}") from error


def _identities(ref: str) -> Iterator[Identity]:
    """What `ref` may mean: a URI, or a URI and a version after the last `@`."""
    uri, at, version = ref.rpartition("@")
    for type_ in _TYPES:
        for mention in ((ref, None), (uri, version)) if at and uri and version else ((ref, None),):
            try:
                yield identify(*mention, type_)
            except MalformedIdentity:
                continue
        if uri and _SHORT.match(version):  # part of a digest is no version by itself
            with suppress(MalformedIdentity):
                yield identify(uri, None, type_)._replace(version=version.lower())


def _by_uri(reader: Reader, ref: str) -> list[str]:
    identities = list(dict.fromkeys(_identities(ref)))
    families = reader.families(list(dict.fromkeys(i.uri for i in identities)))
    for named in (_exactly, _begun):
        for identity in identities:
            if found := named(ref, identity.version, families.get(identity.uri, ())):
                return found
    return []


def _exactly(_: str, version: str | None, family: Iterable[ArtifactState]) -> list[str]:
    return sorted(one.id for one in family if version in (None, one.version))


def _begun(ref: str, version: str | None, family: Iterable[ArtifactState]) -> list[str]:
    """The one commit or digest that begins with what is given of it, as git has it.

    Raises:
        BadRequest: several do; the message lists some.
    """
    if version is None or not _SHORT.match(version):
        return []
    found: dict[str, list[str]] = {}
    for one in family:
        whole = one.version or ""
        if _HEX.match(whole) and version in (whole[: len(version)], _digits(whole)[: len(version)]):
            found.setdefault(f"{one.uri}@{whole}", []).append(one.id)
    if len(found) > 1:
        raise BadRequest(f"{ref!r} begins {len(found)} versions; write more of one: {_some(found)}")
    return sorted(id_ for ids in found.values() for id_ in ids)


def _digits(version: str) -> str:
    return version.rpartition(":")[2]


def _by_last_part_at(reader: Reader, ref: str) -> list[str]:
    """`code-intelligence@388b16f`: what ends one URI, at a version of it."""
    name, _, version = ref.rpartition("@")
    uris = [uri for uri, (fits, _) in _uris(reader, name).items() if fits] if name else []
    if len(uris) != 1 or not version:
        return []
    family = reader.families(uris)[uris[0]]
    return _exactly(ref, version, family) or _begun(ref, version.lower(), family)


def _by_last_part(reader: Reader, ref: str) -> list[str]:
    """Things before actions: many commits deploy `worker`, and a slot is what is meant."""
    near: set[str] = set()
    for names in (_uris(reader, ref), _keys(reader, ref)):
        found = {name: ids for name, (fits, ids) in names.items() if fits}
        if len(found) == 1:
            return sorted(next(iter(found.values())))
        if found:
            listed = _some(found)
            raise BadRequest(f"{ref!r} names {len(found)} things; write one of them out: {listed}")
        near |= names.keys()
    near = near or _versions(reader, ref.rpartition("@")[0])
    hint = f"; near it are {_some(near)}" if near else ""
    raise NotFound(
        f"nothing is called {ref!r}: give an id, a URI, URI@version or the key of an action{hint}"
    )


def _versions(reader: Reader, name: str) -> set[str]:
    """What there is of a thing that was named at a version it does not have."""
    found = reader.artifacts(ArtifactFilter(q=name), None, _SUGGESTED + 1).items if name else []
    return {f"{one.uri}@{one.version}" for one in found if one.version}


def _uris(reader: Reader, ref: str) -> dict[str, tuple[bool, list[str]]]:
    """URIs that hold `ref`: whether it is the last part, and the ids of their versions."""
    out: dict[str, tuple[bool, list[str]]] = {}
    for artifact in reader.artifacts(ArtifactFilter(q=ref), None, _LOOKED_AT).items:
        fits = _ends(artifact.uri, ref)
        out.setdefault(artifact.uri, (fits, []))[1].append(artifact.id)
    return out


def _keys(reader: Reader, ref: str) -> dict[str, tuple[bool, list[str]]]:
    found = reader.actions(ActionFilter(q=ref), None, _LOOKED_AT).items
    return {a.key: (_ends(a.key, ref) or a.get("name") == ref, [a.id]) for a in found}


def _ends(name: str, ref: str) -> bool:
    return name == ref or name.endswith(("/" + ref, "#" + ref))


def _some(names: Collection[str]) -> str:
    listed = ", ".join(sorted(names)[:_SUGGESTED])
    return f"{listed}, …" if len(names) > _SUGGESTED else listed
