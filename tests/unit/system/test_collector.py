"""The collector of cycles is left as it was."""

import gc
import subprocess
import sys
import weakref

import pytest

from luodi.system.collector import uncollected


@pytest.mark.parametrize("enabled", [True, False])
def test_the_collector_is_off_for_a_while_and_left_as_it_was(enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with pytest.raises(ImportError), uncollected():
            assert not gc.isenabled()
            raise ImportError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_made_is_of_the_oldest_generation_and_still_collected() -> None:
    """Else the next look through the young would be one through all of it."""

    class Cycle(list["Cycle"]):
        pass

    with uncollected():
        made = [Cycle() for _ in range(100)]
        made[0].append(made[0])
    old = {id(one) for one in gc.get_objects(generation=2)}
    assert all(id(one) in old for one in made)
    gone = weakref.ref(made[0])
    del made
    gc.collect()
    assert gone() is None


def test_a_command_ends_without_a_look_through_all_that_it_imported() -> None:
    """It takes as long as an eighth of `luodi validate`."""
    code = (
        "import atexit, gc, sys; atexit.register(lambda: print(len(gc.get_objects()) < 1000)); "
        "sys.argv = ['luodi', '--version']; from luodi.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "True"
