"""Where the project lives: the git repository and the DVC remote that every task clones from and pushes to."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from luodi.errors import NotARepository
from luodi.system.masking import in_address, redact

EMBEDDED = ".luodi"


@dataclass(frozen=True)
class Origin:
    """Addresses of the project, from the environment or the checkout.

    Attributes:
        git: URL or path of the git repository (LUODI_GIT_URL).
        branch: The branch that versions land on (LUODI_GIT_BRANCH, default main).
        remote: URL or path of the DVC remote (LUODI_DVC_REMOTE); None means the default remote in .dvc/config.
        home: Folder of this host for private clones and the shared DVC cache (LUODI_HOME).
    """

    git: str
    branch: str
    remote: str | None
    home: Path

    @classmethod
    def from_environment(cls, project: str = "") -> Self:
        """Read the LUODI_* variables; of a `project` that shares its Airflow with others, those with its name in them.

        Of `shop` these are LUODI_SHOP_GIT_URL and on, and its home is the folder projects/shop in LUODI_HOME. What
        `luodi up` starts has one project alone, whatever it is called.

        Raises:
            NotARepository: LUODI_GIT_URL, or that of the project, is not set.
        """
        home = Path(os.environ.get("LUODI_HOME") or Path.home() / ".cache" / "luodi")
        alone = Path(os.environ.get("LUODI_GIT_URL", "")).is_relative_to(home)
        prefix = "LUODI_" if alone or not project else f"LUODI_{project.upper()}_"
        if not (url := os.environ.get(f"{prefix}GIT_URL")):
            raise NotARepository(f"{prefix}GIT_URL is not set: set it to the URL of the project's git repository")
        branch = os.environ.get(f"{prefix}GIT_BRANCH") or "main"
        own = home if prefix == "LUODI_" else home / "projects" / project
        return cls(url, branch, os.environ.get(f"{prefix}DVC_REMOTE"), own)

    @classmethod
    def embedded(cls, root: Path) -> Self:
        """The origin that `luodi run` keeps in one ignored folder of the checkout."""
        home = root / EMBEDDED
        return cls(str(home / "origin.git"), "main", str(home / "remote"), home)

    @classmethod
    def find(cls, root: Path) -> Self:
        """The environment's origin if it is set, else the embedded one.

        Raises:
            NotARepository: There is neither.
        """
        if os.environ.get("LUODI_GIT_URL"):
            return cls.from_environment()
        origin = cls.embedded(root)
        if Path(origin.git).is_dir():
            return origin
        raise NotARepository(
            f"no git origin: expected LUODI_GIT_URL, or the embedded one in {origin.home}; `luodi run MODEL` makes "
            "it; in a clone of a project that others run, set LUODI_GIT_URL to the address of their origin"
        )

    @property
    def address(self) -> str:
        """`git` without a password or a token: what is shown, and written down in clones."""
        return redact(self.git) if any(in_address(self.git)) and not Path(self.git).exists() else self.git

    def credentials(self) -> dict[str, str]:
        """Variables by which git goes to `git` where it is told `address`: a password lies in no clone's settings."""
        if self.address == self.git:
            return {}
        given = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
        return {
            "GIT_CONFIG_COUNT": str(given + 1),
            f"GIT_CONFIG_KEY_{given}": f"url.{self.git}.insteadOf",
            f"GIT_CONFIG_VALUE_{given}": self.address,
        }

    def environment(self) -> dict[str, str]:
        """The variables that `from_environment` reads back."""
        variables = {"LUODI_GIT_URL": self.git, "LUODI_GIT_BRANCH": self.branch, "LUODI_HOME": str(self.home)}
        return variables | ({"LUODI_DVC_REMOTE": self.remote} if self.remote else {})
