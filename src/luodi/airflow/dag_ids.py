"""How DAGs and assets are called: `retrain_reviews`, or `shop.retrain_reviews` of a project that shares its Airflow."""


def dag_id(kind: str, model: str, project: str = "") -> str:
    """Return the id of the DAG that does `kind`, such as retrain, for a model."""
    return of_project(f"{kind}_{model}", project)


def of_project(name: str, project: str) -> str:
    """Return a name as others in the same Airflow know it. No model has a dot in its name, nor has a project."""
    return f"{project}.{name}" if project else name


def project(dag_id: str) -> str:
    """Return which project a DAG is of; an empty text if the Airflow has one alone."""
    return dag_id.rpartition(".")[0]


def model(dag_id: str, kind: str) -> str:
    """Return the model of the DAG that does `kind` for it."""
    return dag_id.rpartition(".")[2].removeprefix(f"{kind}_")


def is_of(dag_id: str, *kinds: str) -> bool:
    """Return whether a DAG is one that does one of these for a model."""
    return dag_id.rpartition(".")[2].startswith(tuple(f"{kind}_" for kind in kinds))
