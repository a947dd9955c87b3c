"""luodi on Airflow. Nothing is imported here: Airflow imports this in each of its processes."""


def hostname() -> str:
    """Return the name by which the parts of Airflow on one machine find each other: one that nobody looks up."""
    return "localhost"


GPU = "gpu"
"""The pool of what trains, where the setup made one."""
