"""What lies in a folder of stored features: entries, who refers to them, damage and leftovers."""

import dataclasses
import fcntl
import json
import os
import re
import time

from glimpse.pipelines.feature_store import FeatureStore
from glimpse.pipelines.feature_writer import PARTIAL_SUFFIX, host_name

_YOUNG_SECONDS = 60
_KEY = re.compile(r"([0-9a-f]{64})\.(?:tfrecord|json)")
_TEMPORARY = re.compile(rf"\.[0-9a-f]{{32}}@.+{re.escape(PARTIAL_SUFFIX)}")


@dataclasses.dataclass(frozen=True)
class CacheEntry:
    """The features stored under one key.

    Args:
        key: The key.
        num_bytes: Size of its files.
        shape: `(steps, ...)`; None where the entry is damaged.
        dtype: "float16" or "float32"; None where it is damaged.
        damage: What is wrong with it, or None.
        indices: Folders of the given indices that refer to it.
    """

    key: str
    num_bytes: int
    shape: tuple | None = None
    dtype: str | None = None
    damage: str | None = None
    indices: tuple = ()


@dataclasses.dataclass(frozen=True)
class Removal:
    """Files that nothing needs, and why.

    Args:
        paths: The files.
        reason: "left over", "damaged" or "not referred to".
        num_bytes: Their size.
        words: What is wrong with them.
    """

    paths: tuple
    reason: str
    num_bytes: int
    words: str


class FeatureCache:
    """A folder of stored features and the indices that refer to it.

    Only files named as a `FeatureStore` names them count; others that lie beside them are counted
    and left alone.

    Args:
        folder: The folder of a `FeatureStore`.
        indices: The `FeatureIndex`es that are known to refer to it.

    Raises:
        ValueError: If there is no such folder, an index refers to another one, or nothing in it
            has the name of stored features and there is no index that refers to it.
    """

    def __init__(self, folder, indices=()):
        self.store = FeatureStore(folder)
        if not os.path.isdir(self.store.folder):
            raise ValueError(f"{folder}: no such folder of stored features.")
        self._has_indices = bool(indices)
        self._referring = {}
        for index in indices:
            if not os.path.isdir(index.store.folder) or not os.path.samefile(
                index.store.folder, self.store.folder
            ):
                raise ValueError(
                    f"The index in {index.folder} refers to {index.store.folder}, not to "
                    f"{self.store.folder}: leave it out."
                )
            for key in _keys_of(index):
                self._referring.setdefault(key, []).append(index.folder)
        if not indices and not any(map(_is_own_name, os.listdir(self.store.folder))):
            raise ValueError(
                f"{folder}: holds no features of glimpse; give the folder that `glimpse extract` "
                "wrote features to, by default `features` in its --output."
            )

    def entries(self):
        """Returns a CacheEntry for each key of the folder, in order."""
        return [self._entry(key) for key in self._keys(self.store.path)]

    def num_foreign(self):
        """Returns how many files and folders lie there that are not of a store."""
        return sum(not _is_own_name(name) for name in os.listdir(self.store.folder))

    def absent(self):
        """Returns {key that an index refers to and that is not stored: folders of the indices}."""
        stored = set(self._keys(self.store.path))
        return {key: tuple(by) for key, by in self._referring.items() if key not in stored}

    def verify(self, entry, progress=lambda num_bytes: None):
        """Returns the entry, its damage told where its features are not those that were written.

        Args:
            entry: A CacheEntry.
            progress: Called with the bytes of each step that was read.
        """
        if entry.damage is not None:
            return entry
        try:
            self.store.verify(entry.key, progress)
        except (KeyError, ValueError) as error:
            return dataclasses.replace(entry, damage=error.args[0])
        return entry

    def removals(self, entries, older_than=24.0):
        """Returns the Removals of what dead writers left, of damage, and of what nobody refers to.

        Nothing counts as not referred to unless there are indices.

        Args:
            entries: From `entries`, or from `verify`.
            older_than: Hours. Younger files are kept where they may be of work that goes on:
                temporary files of other machines, whose writers cannot be asked, features to
                which no index refers yet, and damage, because what looks damaged may be between
                the two renames of a writer on another machine.
        """
        found = [self._leftover(path) for path in self._left_over(older_than)]
        for entry in entries:
            paths = [self.store.path(entry.key), self.store.metadata_path(entry.key)]
            paths = tuple(path for path in paths if os.path.exists(path))
            if not paths or min(map(_age, paths)) < older_than * 3600:
                continue
            if entry.damage is not None:
                found.append(Removal(paths, "damaged", entry.num_bytes, entry.damage))
            elif self._has_indices and not entry.indices:
                words = "no given index refers to it"
                found.append(Removal(paths, "not referred to", entry.num_bytes, words))
        return found

    def remove(self, removal):
        """Removes the files of a Removal; the features go before what is known of them."""
        for path in removal.paths:
            os.unlink(path)

    def _entry(self, key):
        indices = tuple(self._referring.get(key, ()))
        try:
            stored = self.store.stored(key)
        except ValueError as error:
            paths = (self.store.path(key), self.store.metadata_path(key))
            num_bytes = sum(os.path.getsize(path) for path in paths if os.path.exists(path))
            return CacheEntry(key, num_bytes, damage=str(error), indices=indices)
        return CacheEntry(key, stored.num_bytes, stored.shape, stored.dtype, indices=indices)

    def _keys(self, path_of):
        """The keys of which there is the file that `path_of`, a method of the store, names."""
        matches = filter(None, map(_KEY.fullmatch, os.listdir(self.store.folder)))
        keys = {match[1] for match in matches}
        return sorted(key for key in keys if os.path.isfile(path_of(key)))

    def _left_over(self, older_than):
        """Temporary files whose writer is dead, and metadata whose features never came."""
        folder = self.store.folder
        stored = set(self._keys(self.store.path))
        described = [key for key in self._keys(self.store.metadata_path) if key not in stored]
        alone = filter(_is_metadata, map(self.store.metadata_path, described))
        names = [name for name in sorted(os.listdir(folder)) if _TEMPORARY.fullmatch(name)]
        paths = [os.path.join(folder, name) for name in names]
        for path in [*paths, *alone]:
            try:
                age = _age(path)
                here = path.endswith(f"@{host_name()}{PARTIAL_SUFFIX}")
                if _is_locked(path):
                    continue
            except FileNotFoundError:
                continue  # Its writer has just finished.
            # A file is locked a moment after it is made; metadata come a moment before features.
            if age > (_YOUNG_SECONDS if here else older_than * 3600):
                yield path

    def _leftover(self, path):
        words = "its writer is gone"
        return Removal((path,), "left over", os.path.getsize(path), words)


def _is_own_name(name):
    return bool(_KEY.fullmatch(name) or _TEMPORARY.fullmatch(name))


def _age(path):
    return time.time() - os.stat(path).st_mtime


def _is_metadata(path):
    """Whether it is a writer's, whatever its name says."""
    with open(path, encoding="utf-8") as file:
        try:
            values = json.load(file)
        except ValueError:
            return False
    return isinstance(values, dict) and {"shape", "dtype", "sha256"} <= set(values)


def _is_locked(path):
    with open(path, "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
    return False


def _keys_of(index):
    keys = {index.black_key}
    for clip in index.entries:
        keys |= {clip.key, clip.flipped_key}
    return keys - {None}
