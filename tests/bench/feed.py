"""Datapoints to export, by the million: numbers or texts, a tenth of them labelled."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.bench.house import House
from tests.labelled import WORDS, Annotations

FEATURES = [f"f{n}" for n in range(20)]
FILL = """
insert into datapoints (project, dimension, key, {column}, label)
select %(project)s, {dimension}, 'k' || n, {content}, case when n %% 10 = 0 then %(label)s end
from generate_series(1, %(rows)s) n
"""


@dataclass(frozen=True)
class Feed:
    """What datapoints hold, the terms of their project, and a model for them."""

    name: str
    column: str
    dimension: int
    content: str
    terms: Mapping[str, Any]
    model: dict[str, Any]

    def fill(self, house: House, name: str, rows: int) -> Annotations:
        """A project with so many datapoints."""
        project = Annotations(house.system, name, **self.terms)
        statement = FILL.format(column=self.column, dimension=self.dimension, content=self.content)
        with house.connection.cursor() as cursor:
            cursor.execute(statement, {"project": name, "rows": rows, "label": self.model["classes"][0]})
            cursor.execute("vacuum analyze datapoints")
        return project

    def bare(self, project: str) -> str:
        """The query of a bare COPY: every datapoint, as it lies there."""
        return f"select id, {self.column} from datapoints where project = '{project}'"


NUMBERS = Feed(
    "20 numbers",
    "vector",
    len(FEATURES),
    f"array[{', '.join(['random() - 0.5'] * len(FEATURES))}]",
    {"features": FEATURES, "labels": ["a", "b"]},
    {"classes": ["a", "b"], "coefficients": [[0.5] * len(FEATURES)], "intercepts": [0.0]},
)
TEXTS = Feed(
    "20 words",
    "text",
    0,
    "'a good or a bad day ' || repeat('among many others ', 4) || n || ' ' || md5(cast(n as text))",
    {"labels": WORDS["classes"]},
    WORDS,
)
