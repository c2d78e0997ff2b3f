"""What a branch did since the last look. Knows no git library, only a `Repository`.

There is no file that keeps a place: the commits that the server knows are the place. So a
lost disk, a second observer or a look from the very start changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import TYPE_CHECKING

from controllers_hooks.observers import yaml_path
from controllers_hooks.observers.git_facts import (
    Commit,
    Force,
    Held,
    Known,
    Record,
    Watch,
    after_force,
    held,
    history,
)
from lineage.errors import NotFound

if TYPE_CHECKING:
    from controllers_hooks.observers.git import Repository


@dataclass(slots=True)
class Observation:
    """What a look at the branch gave: records to send, words for people."""

    tip: str
    records: list[Record] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Observer:
    """One look at a branch: the value at `path`, in the name of `watch`."""

    repository: Repository
    path: yaml_path.Path
    watch: Watch
    notices: list[str] = field(default_factory=list)

    def observe(self, branch: str, known: Sequence[Known], now: int) -> Observation:
        """What is news after the commits that are `known` (oldest first). `now` in µs.

        Raises:
            NotFound: no commit ever held a value there.
        """
        tip = self.repository.tip(branch)
        newest = next((k for k in reversed(known) if k.deploy), None)
        chain, base = self._since(tip, known)
        floor = max((k.at for k in known), default=0)
        if newest is not None and self._forced(tip, base, newest, known):
            force = Force(newest.sha, tip, max(now, floor + 1))
            records = self._after_force(chain, base, force)
        else:
            if newest is not None:
                chain, base = self._rejoined(chain, base, newest.sha)
            before, steps = self._read(chain, base)
            records = list(history(self.watch, steps, before, floor))
        if newest is None and not records:
            hint = "".join(f"; {notice}" for notice in self.notices[-1:])
            raise NotFound(
                f"no commit of {branch} holds a value there; check --file and --path{hint}"
            )
        return Observation(tip, records, self.notices)

    def _since(self, tip: str, known: Sequence[Known]) -> tuple[list[str], str | None]:
        """The commits that are news, newest first, and the known one they follow."""
        shas = {k.sha for k in known}
        chain: list[str] = []
        for sha in self.repository.first_parents(tip):
            if sha in shas:
                return chain, sha
            chain.append(sha)
        return chain, None

    def _forced(self, tip: str, base: str | None, newest: Known, known: Sequence[Known]) -> bool:
        """Whether the branch dropped what it held last, or went back to what it had dropped."""
        if not self.repository.holds(newest.sha, tip):
            return True
        seen = max((k.at for k in known if k.sha == base), default=newest.at)
        return seen < newest.at and base is not None and self.repository.holds(newest.sha, base)

    def _rejoined(
        self, chain: list[str], base: str | None, newest: str
    ) -> tuple[list[str], str | None]:
        """Somebody merged the branch into their own work and pushed that: its past is no
        longer among the first parents, but it still is the past."""
        if base is not None and self.repository.holds(newest, base):
            return chain, base
        return list(takewhile(lambda sha: self.repository.holds(newest, sha), chain)), newest

    def _after_force(self, chain: list[str], base: str | None, force: Force) -> list[Record]:
        self.notices.append(
            f"the branch was moved from {force.old[:7]} to {force.new[:7]} by force; what it "
            "holds now is recorded from this moment on, the past stays as it was"
        )
        before, steps = self._read(chain, base)
        end = (self.repository.facts(force.new), steps[-1][1] if steps else before)
        return after_force(self.watch, steps, before, end, force)

    def _read(
        self, chain: Sequence[str], base: str | None
    ) -> tuple[Held, list[tuple[Commit, Held]]]:
        before, files = self._held_at(base)
        return before, list(self._steps(chain[::-1], base, before, files))

    def _held_at(self, base: str | None) -> tuple[Held, set[str]]:
        """What was held at a known commit; a file broken then held what it held before."""
        for sha in self.repository.first_parents(base) if base is not None else ():
            files = self.repository.files(sha)
            found, _ = held(files, self.path, self.watch.slot)
            if found is not None:
                return found, set(files)
        return Held(), set()

    def _steps(
        self, chain: Sequence[str], base: str | None, before: Held, files: set[str]
    ) -> Iterator[tuple[Commit, Held]]:
        """Each commit with what it holds; read only where a watched file differs."""
        previous = base
        mark = self.repository.mark(base) if base is not None else None
        for sha in chain:
            if (fresh := self.repository.mark(sha)) != mark:
                there = self.repository.files(sha)
                followed = self._renamed(previous, sha, files, set(there))
                before = self._held(sha, there, before) if followed else before
                mark, files = fresh, set(there) or files
            previous = sha
            yield self.repository.facts(sha), before

    def _held(self, sha: str, files: dict[str, bytes], before: Held) -> Held:
        found, troubles = held(files, self.path, self.watch.slot)
        self.notices += [f"{sha[:7]}: {trouble}" for trouble in troubles]
        if found is None:
            self.notices.append(f"{sha[:7]}: what is held is taken to be as before")
            return before
        if before.values and not found.values:
            gone = "the value is gone" if files else "the file is gone"
            self.notices.append(f"{sha[:7]}: {gone}; the slot ends there")
        return found

    def _renamed(self, old: str | None, new: str, before: set[str], now: set[str]) -> bool:
        """False if all that was watched got other names, which nobody watches."""
        if old is None or bool(before) == bool(now):
            return True
        names = self.repository.renamed(old, new)
        gone = sorted(name for name in before if name in names)
        for name in gone:
            self.notices.append(
                f"{new[:7]}: {name} became {names[name]}; add --file {names[name]} to follow it. "
                "Until then what it held is taken to be live"
            )
        for name in sorted(name for name, later in names.items() if later in now):
            self.notices.append(
                f"{new[:7]}: {names[name]} was {name} before; --file {name} shows more"
            )
        return not gone
