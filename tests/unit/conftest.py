"""Hypothesis without deadlines: a busy machine is not a failure. `make check` takes fewer examples."""

from hypothesis import settings

settings.register_profile("luodi", deadline=None)
settings.register_profile("quick", deadline=None, max_examples=20)
settings.load_profile("luodi")
