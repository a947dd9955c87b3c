"""data.dvc, by which a commit names its data: what it records, and whether a folder is that."""

from pathlib import Path
from typing import Any

from luodi import yaml12
from luodi.errors import SourceMismatch
from luodi.files import folder_checksum
from luodi.project import programs
from luodi.system.processes import CommandFailed, Runner

IGNORE = ".dvcignore"
UNITING = (
    "`git config merge.dvc.driver 'dvc git-hook merge-driver --ancestor %O --our %A --their %B' && "
    "echo '*.dvc merge=dvc' >> .git/info/attributes`"
)
"""By which git asks DVC to merge what it records."""


def verify(folder: Path, pointer: Path) -> None:
    """Check that `folder` (data/) is what the DVC pointer file records, but for what .dvcignore keeps from DVC.

    Raises:
        SourceMismatch: Names what differs.
    """
    expected, found = recorded(pointer), folder_checksum(folder)
    if expected != found and (hidden := _hidden(folder)):
        found = folder_checksum(folder, without=hidden)
    if expected != found:
        raise SourceMismatch(
            f"{folder} does not match {pointer.name}: expected {expected}, found {found}; bring back what is missing "
            f"with `dvc pull` (with --force also what was changed), of the embedded datasets with `luodi fetch`; "
            f"if you added shards, record them with `dvc add {folder.name}`"
        )


def _hidden(folder: Path) -> set[str]:
    """Relative paths of files that .dvcignore keeps from DVC.

    Raises:
        SourceMismatch: Rows are among them, which stages read and no commit holds.
    """
    if not any((place / IGNORE).exists() for place in (folder.parent, folder)):
        return set()
    below = folder.name + "/"
    files = [below + path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    try:
        told = programs.dvc(Runner(lambda line: None), folder.parent, "check-ignore", *files)
    except CommandFailed:  # it keeps none
        return set()
    if rows := [name for name in told.splitlines() if name.endswith(".parquet")]:
        raise SourceMismatch(
            f"{IGNORE} keeps {', '.join(rows[:5])} from DVC: no commit holds these rows, and every stage here reads "
            f"them; move them out of {folder.name}/, or take the line out and run `dvc add {folder.name}`"
        )
    return {name.removeprefix(below) for name in told.splitlines()}


def recorded(pointer: Path) -> str:
    """Return the MD5 in a DVC pointer file; "no MD5" if there is no file.

    Raises:
        SourceMismatch: It is none: a merge conflict was left in it, say.
    """
    if not pointer.exists():
        return "no MD5"
    match _read(pointer):
        case {"outs": [{"md5": str(md5)}]}:
            return md5
    raise SourceMismatch(
        f"{pointer} is no DVC pointer: expected `outs` with one `md5`; "
        f"restore it with `git checkout HEAD -- {pointer.name}`"
    )


def require_own(pointer: Path) -> None:
    """Raise SourceMismatch where a DVC pointer file brings its data from elsewhere, or is none.

    What is added to an import is in no remote, for DVC pushes none, and the next `dvc update` takes it away.
    """
    if pointer.exists() and isinstance(found := _read(pointer), dict) and "deps" in found:
        raise SourceMismatch(
            f"{pointer} is an import (`dvc import`, `import-url`): what is changed here DVC would push nowhere, and "
            f"take away at the next `dvc update`; change it where it comes from, then `dvc update {pointer.name}`, or "
            f"make it this project's own with `rm {pointer.name} && dvc add {pointer.stem}`"
        )


def _read(pointer: Path) -> Any:
    text = ""
    try:
        return yaml12.parse(text := yaml12.read(pointer), strict=False)
    except yaml12.Unfit as error:
        if yaml12.MERGED.search(text):  # restored, it would lack the rows of one side
            raise SourceMismatch(
                f"{pointer} holds both sides of a merge (<<<<<<<), as where both took in rows: `git merge --abort`, "
                f"{UNITING}, which lets DVC unite them in this clone from now on, and merge again; or take one side "
                f"with `git checkout --ours {pointer.name}`, or --theirs; then `dvc checkout {pointer.name}`"
            ) from None
        raise SourceMismatch(f"{pointer} {error}: restore it with `git checkout HEAD -- {pointer.name}`") from None
