"""A delivery matches when all its files do: not the last one only, and not more manifests than can be told apart."""

import hashlib

import pytest

from consumers.delivered import Candidate, Files, Found
from consumers.keeper.matching import judge
from schemas.deliveries import Extra, Outcome

FILES = {"1.flac": Found(10), "2.flac": Found(20), "scans/front.png": Found(5)}


def manifest(host: str, files: Files, external_id: str = "1") -> Candidate:
    sizes = repr(sorted((path, file.size) for path, file in files.items()))
    return Candidate(host, external_id, hashlib.sha256(sizes.encode()).hexdigest(), files)


def outcome(delivered: Files, *candidates: Candidate, extra: Extra = Extra.IGNORE) -> tuple[Outcome, list[str]]:
    verdict = judge(delivered, candidates, extra)
    return verdict.outcome, [each.host for each in verdict.matched]


@pytest.mark.row("S2-12")
def test_every_file_decides() -> None:
    here = manifest("a", FILES)
    assert outcome(FILES, here) == (Outcome.MATCHED, ["a"])
    for path, file in FILES.items():
        assert outcome({**FILES, path: Found(file.size + 1)}, here) == (Outcome.MISMATCH, [])
        left = {name: other for name, other in FILES.items() if name != path}
        assert outcome(left, here) == (Outcome.PARTIAL, [])
    assert outcome({**FILES, "1.flac": Found(11), "2.flac": Found(21)}, here) == (Outcome.MISMATCH, [])
    assert outcome(FILES) == (Outcome.UNKNOWN, [])


@pytest.mark.row("S2-12")
def test_a_hash_counts_where_both_have_one() -> None:
    here = manifest("a", {"1.flac": Found(10, "aa"), "2.flac": Found(20)})
    assert outcome({"1.flac": Found(10, "aa"), "2.flac": Found(20, "bb")}, here)[0] is Outcome.MATCHED
    assert outcome({"1.flac": Found(10), "2.flac": Found(20)}, here)[0] is Outcome.MATCHED
    assert outcome({"1.flac": Found(10, "ab"), "2.flac": Found(20)}, here)[0] is Outcome.MISMATCH


@pytest.mark.row("S2-12")
def test_files_too_many_are_as_the_sender_wants_it() -> None:
    here, more = manifest("a", FILES), {**FILES, "notes.txt": Found(1)}
    assert outcome(more, here) == (Outcome.MATCHED, ["a"])
    assert outcome(more, here, extra=Extra.REFUSE) == (Outcome.MISMATCH, [])
    [compared] = judge(more, [here], Extra.REFUSE).compared
    assert (compared.missing, compared.wrong, compared.extra) == ([], [], ["notes.txt"])


@pytest.mark.row("S2-12")
def test_all_hosts_with_the_same_list_match_and_different_lists_do_not_mix() -> None:
    less = {"1.flac": Found(10), "2.flac": Found(20)}
    whole, same, part = manifest("a", FILES), manifest("b", dict(FILES)), manifest("c", less)
    assert outcome(FILES, whole, same, part) == (Outcome.MATCHED, ["a", "b"])
    assert outcome({**FILES, "x": Found(1)}, whole, same, part) == (Outcome.AMBIGUOUS, [])
    assert outcome(less, whole, same, part) == (Outcome.MATCHED, ["c"])
    assert outcome({"1.flac": Found(10)}, whole, part) == (Outcome.AMBIGUOUS, [])
    assert outcome({"2.flac": Found(20), "1.flac": Found(9)}, whole, same) == (Outcome.MISMATCH, [])
    wrong = manifest("d", {"1.flac": Found(99)})
    assert outcome({"1.flac": Found(10)}, whole, wrong) == (Outcome.PARTIAL, [])
