"""Search for settings: trials of a study that Optuna keeps, processes that train them, the winner and what it is worth.

A study is named for all that decides it, see `study.name`, so that a rerun goes on and a change begins anew. A trial is
of a slot, its place from 0 on: a slot whose trial died has another trial, one whose trial ended has none again.
"""
