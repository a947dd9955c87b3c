"""The project on disk and in git: paths, graph, lock entries, the origin, and the private clones of tasks."""
