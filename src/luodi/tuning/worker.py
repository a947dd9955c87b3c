"""A process that trains, started by `luodi.tuning.workers`: `python -m luodi.tuning.worker`.

It is told what to work on by a line of JSON, then by a line for each task, and answers each by a line when it is done,
or by a line of JSON that says why it ends.
"""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from luodi import config
from luodi.config import user_code
from luodi.errors import DiskFull, LuodiError
from luodi.files import write_array
from luodi.project.paths import ModelPaths
from luodi.system import disk
from luodi.tuning import goals, space, study
from luodi.tuning.trials import Trials, read_rows
from luodi.tuning.workers import DONE


def main() -> None:
    """Do the tasks of standard input until it ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what training prints is of many trials at once
    setup = json.loads(sys.stdin.readline())
    block = config.parse({"models": {"tuned": setup["settings"]}}, "params.yaml").models["tuned"]
    tune = config.Tune.model_validate_json(json.dumps(setup["tune"]))
    paths = ModelPaths(Path(setup["root"]), "tuned")
    where = study.Place(Path(setup["folder"]), setup["storage"])
    with user_code.importable(paths.root), _telling(answers), study.told(where):
        wanted = goals.of(block, tune)
        search = study.opened(where, setup["study"], wanted)
        trials = Trials(paths, block, tune, space.of(block, tune), wanted, read_rows(Path(setup["rows"])))
        for line in sys.stdin:
            _do(json.loads(line), trials, search, setup["by"])
            print(DONE, file=answers, flush=True)


@contextmanager
def _telling(answers: IO[str]) -> Iterator[None]:
    """Answer by what is wrong, where no other try would end otherwise, and end."""
    try:
        yield
    except (LuodiError, OSError) as error:
        told = error if isinstance(error, LuodiError) else disk.explain(error)
        if told is None:
            raise
        print(json.dumps({"error": str(told), "full": isinstance(told, DiskFull)}), file=answers, flush=True)


def _do(task: dict[str, Any], trials: Trials, search: Any, by: str) -> None:
    if "slot" in task:
        trials.run(search, task["slot"], by)
    else:
        write_array(Path(task["to"]), trials.scores(task["values"], task["seed"]))


if __name__ == "__main__":
    main()
