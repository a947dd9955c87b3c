"""The collector of cycles is left as it was."""

import gc

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
