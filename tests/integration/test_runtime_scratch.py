"""Work folders: locked while their process lives, swept when it has died."""

import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

from consumers.runtime.scratch import Scratch
from infra.claims import Claim

DIES = """
import os, sys
from pathlib import Path
from consumers.runtime.scratch import Scratch
Scratch(Path(sys.argv[1]))
os._exit(9)
"""


def claim() -> Claim:
    return Claim(uuid4(), "analyze.sleep", {}, 1, 1, 5, 7, None, 0.0)


def test_what_dead_processes_left_is_swept_and_what_the_living_use_is_not(tmp_path: Path) -> None:
    living = Scratch(tmp_path)
    used = living.folder(claim())
    subprocess.run(
        [sys.executable, "-c", DIES, str(tmp_path)], check=False, env=os.environ | {"PYTHONPATH": str(Path.cwd())}
    )
    (tmp_path / "somebody-elses").mkdir()
    assert len(list(tmp_path.iterdir())) == 3
    other = Scratch(tmp_path)
    assert used.is_dir()
    assert len(list(tmp_path.iterdir())) == 3
    for scratch in (living, other):
        scratch.close()
    assert [left.name for left in tmp_path.iterdir()] == ["somebody-elses"]


def test_an_attempts_folder_is_its_own_and_goes_with_all_that_is_in_it(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    first, second = scratch.folder(claim()), scratch.folder(claim())
    (first / "deep" / "er").mkdir(parents=True)
    (first / "deep" / "file").touch()
    scratch.remove(first)
    assert not first.exists()
    assert list(second.iterdir()) == []
    scratch.close()


def test_what_lies_in_a_folder_is_weighed_however_deep_and_a_folder_that_is_gone_weighs_nothing(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    folder = scratch.folder(claim())
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "outside").symlink_to(tmp_path)
    empty = scratch.used(folder)
    (folder / "deep" / "er" / "file").write_bytes(b"x" * 1_000_000)
    assert 1_000_000 <= scratch.used(folder) - empty < 1_100_000
    scratch.remove(folder)
    assert scratch.used(folder) == 0
    scratch.close()
