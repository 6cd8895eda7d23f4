"""Versions of a kind: what says them, and how older parameters become today's."""

from typing import Any

import pytest
from pydantic import Field

from schemas import versions
from schemas.fields import Strict
from schemas.registry import KINDS, Consumer, Kind
from schemas.versions import UnknownVersion


class Newest(Strict):
    frames: int = Field(ge=1)
    name: str = "none"


def renamed(params: dict[str, Any]) -> dict[str, Any]:
    return {"count": params["number"]}


def nested(params: dict[str, Any]) -> dict[str, Any]:
    return {"frames": int(params["count"])}


KIND = Kind("test.kind", Newest, Consumer.ANALYZER, "A kind with a past.", version=3, upgrades=(renamed, nested))


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ({}, 1),
        ({"reelmill-version": 2}, 2),
        ({"reelmill-version": "3"}, 3),
        ({"cloudEvents_dataschema": "urn:reelmill:test.kind.v2"}, 2),
        ({"cloudEvents:dataschema": "test.kind.v3"}, 3),
        ({"cloudEvents_dataschema": "https://example.com/my.schema.v9"}, 1),
        ({"cloudEvents_dataschema": "urn:reelmill:other.kind.v9"}, 1),
        ({"cloudEvents_dataschema": "urn:reelmill:test.kind.v2", "reelmill-version": 3}, 3),
        ({"reelmill-version": 2, "something-new": {"from": "the future"}, "cloudEvents_specversion": "2.0"}, 2),
    ],
)
def test_a_message_says_its_version_or_has_the_first(headers: dict[str, Any], version: int) -> None:
    assert versions.told(KIND, headers) == version


@pytest.mark.parametrize("given", [0, -1, 2.0, True, "one", "", None, b"2", 2**40, [1], "²"])
def test_what_is_no_version_is_refused(given: Any) -> None:
    with pytest.raises(UnknownVersion):
        versions.told(KIND, {"reelmill-version": given})


@pytest.mark.parametrize(("version", "params"), [(1, {"number": "7"}), (2, {"count": 7}), (3, {"frames": 7})])
def test_older_parameters_become_todays(version: int, params: dict[str, Any]) -> None:
    assert versions.upgraded(KIND, version, params) == {"frames": 7}


def test_what_is_newer_or_was_never_valid_is_refused() -> None:
    with pytest.raises(UnknownVersion, match="up to version 3; this is version 4"):
        versions.upgraded(KIND, 4, {})
    bad: list[dict[str, Any]] = [{}, {"number": None}, {"number": []}]
    for params in bad:
        with pytest.raises(UnknownVersion):
            versions.upgraded(KIND, 1, params)


def test_a_kind_has_a_way_from_each_of_its_versions() -> None:
    with pytest.raises(AssertionError, match="upgrade"):
        Kind("test.kind", Newest, Consumer.ANALYZER, "A kind that forgets.", version=2)


@pytest.mark.row("X-08")
def test_a_split_of_version_1_keeps_the_settings_that_it_did_not_name() -> None:
    kind = KINDS["split.video"]
    for given, meant in (
        ({}, ("veryfast", 23)),
        ({"crf": 30}, ("veryfast", 30)),
        ({"preset": "medium"}, ("medium", 23)),
    ):
        params = kind.params.model_validate(versions.upgraded(kind, 1, {"file": "7b4758d4", "rate": 5} | given))
        assert (params.model_dump()["preset"], params.model_dump()["crf"]) == meant
    newest = kind.params.model_validate(versions.upgraded(kind, 2, {"file": "7b4758d4", "rate": 5})).model_dump()
    assert (newest["preset"], newest["crf"]) == ("ultrafast", 25)
