"""A file of vectors that grows: those of the texts that a model was last trained on, whatever ends the process.

Two files, `MD5.keys` and `MD5.vectors` of an encoder's hash, to which rows are appended: of what a kill left
half-written the whole rows count. One process writes; another that trains the same model at that time keeps nothing.
"""

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from luodi.files import private, replacing

KEY = 16  # bytes
STALE = 2  # times as many rows as are wanted: the file is written anew with these alone


class Kept:
    """Vectors float32 [width] by their keys. A file that cannot be written costs a line and nothing else."""

    def __init__(self, folder: Path, md5: str, width: int) -> None:
        self.folder, self.width = folder, width
        self.keys, self.vectors = folder / f"{md5}.keys", folder / f"{md5}.vectors"
        self.files: tuple[IO[bytes], IO[bytes]] | None = None
        self.rows: dict[bytes, int] = {}

    def __enter__(self) -> Self:
        try:
            self._open()
        except OSError as error:
            self._told(error)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for file in self.files or ():
            with suppress(OSError):  # a full disk is told of already
                file.close()

    def read(self, keys: Sequence[bytes], found: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Fill the rows of `found` [keys, width] whose vectors are there; return which."""
        there: NDArray[np.bool_] = np.array([key in self.rows for key in keys], bool)
        mapped = np.memmap(self.vectors, np.float32, "r") if there.any() else np.zeros(0, np.float32)
        for place in np.flatnonzero(there).tolist():
            row = self.rows[keys[place]] * self.width
            found[place] = mapped[row : row + self.width]
            there[place] = found[place].any() and np.isfinite(found[place]).all()  # a power cut may leave zeros
        return there

    def append(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep some more, float32 [keys, width]."""
        try:
            if self.files is None:
                return
            for file, content in zip(self.files, (vectors.tobytes(), b"".join(keys)), strict=True):
                file.write(content)
                file.flush()
        except OSError as error:
            self._told(error)
            self.__exit__(None, None, None)
            self.files = None

    def only(self, keys: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Drop what no key names, once that is the most of it; `vectors` are those of `keys`."""
        wanted = dict.fromkeys(keys)
        if self.files is None or len(self.rows) < STALE * len(wanted):
            return
        place = {key: row for row, key in enumerate(keys)}
        with suppress(OSError), private():
            self.keys.unlink()  # vectors without keys are none
            with replacing(self.vectors) as temporary, temporary.open("wb") as file:
                for key in wanted:
                    file.write(vectors[place[key]].tobytes())
            with replacing(self.keys) as temporary:
                temporary.write_bytes(b"".join(wanted))

    def _told(self, error: OSError) -> None:
        print(f"train: the vectors cannot be kept ({error}): they will be computed again", flush=True)

    def _open(self) -> None:
        with private():
            self.folder.mkdir(parents=True, exist_ok=True)
            keys, vectors = self.keys.open("ab+"), self.vectors.open("ab+")
        try:
            fcntl.flock(keys, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            keys.close()
            vectors.close()
            return
        self.files = vectors, keys
        for path in self.folder.iterdir():  # of an encoder that it had before
            if path not in (self.keys, self.vectors):
                path.unlink(missing_ok=True)
        size = 4 * self.width
        whole = min(os.fstat(keys.fileno()).st_size // KEY, os.fstat(vectors.fileno()).st_size // size)
        keys.truncate(whole * KEY)
        vectors.truncate(whole * size)
        keys.seek(0)
        content = keys.read()
        self.rows = {content[KEY * row : KEY * (row + 1)]: row for row in range(whole)}
