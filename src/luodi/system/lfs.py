"""Git LFS keeps large files beside git, and in git pointers: what lies in their place where they were not brought."""

from pathlib import Path

from luodi.errors import LuodiError

BEGINS = b"version https://git-lfs.github.com/spec/"


def is_pointer(path: Path) -> bool:
    """Tell whether a file is no file but a pointer to one; of what cannot be read whoever reads it is told."""
    try:
        with path.open("rb") as file:
            return file.read(len(BEGINS)) == BEGINS
    except OSError:
        return False


def require_content(path: Path, kind: type[LuodiError]) -> None:
    """Raise an error of that kind if a file is a pointer."""
    if path.is_file() and is_pointer(path):  # nothing may ever come from a pipe
        raise kind(
            f"{path} is a pointer of Git LFS, not the file itself: run `git lfs install && git lfs pull` in the "
            "repository that it is of, and then this again"
        )
