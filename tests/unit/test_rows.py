"""Marks name rows that exist: a mistyped row would prove nothing."""

import pytest

from tests import rows


def test_every_mark_names_a_row(request: pytest.FixtureRequest) -> None:
    named = {row for item in request.session.items for mark in item.iter_markers("row") for row in mark.args}
    assert named <= set(rows.titles())
