"""Under which licence each library stands that an image brings along: `make licences` prints them.

What is installed says so itself. Copyleft that would reach our own code, or whoever serves it, is not let in.
"""

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", re.M)
#: Licences that let everybody do what we do, by a word of their name.
FREE = re.compile(r"\b(MIT|BSD|0BSD|FreeBSD|Apache|PSF|Python Software Foundation|ISC|Zlib|Unlicense|CC0|HPND)\b", re.I)
#: Copyleft per file or per library: used as they are, unchanged, and named here one by one.
WEAK = {
    "certifi": "MPL-2.0",
    "hypothesis": "MPL-2.0",
    "orjson": "MPL-2.0",
    "pathspec": "MPL-2.0",
    "psycopg2-binary": "LGPL",
}
FORBIDDEN = re.compile(r"\bA?GPL|Affero|SSPL|BUSL|Commons Clause|Proprietary", re.I)


def pinned(lock: Path) -> dict[str, str]:
    """The libraries of a lock file and their versions."""
    return dict(PINNED.findall(lock.read_text()))


def licence_of(library: Distribution) -> str:
    """What a library says about itself."""
    told: Any = library.metadata  # a message, which the types hide
    classified = [line.rpartition("::")[2].strip() for line in told.get_all("Classifier") or () if "License ::" in line]
    first = (told.get("License") or "").strip().partition("\n")[0][:80]
    return str(told.get("License-Expression") or ", ".join(classified) or first or "unknown")


def verdict(name: str, licence: str) -> str:
    """`free`, `weak` or `refused`."""
    if name in WEAK and WEAK[name].partition("-")[0] in licence:
        return "weak"
    return "free" if FREE.search(licence) and not FORBIDDEN.search(licence) else "refused"


def listed(lock: Path) -> dict[str, tuple[str, str, str]]:
    """Of each library in a lock file that is installed here: version, licence, verdict."""
    found = {}
    for name, version in sorted(pinned(lock).items()):
        try:
            licence = licence_of(distribution(name))
        except PackageNotFoundError:
            continue
        found[name] = (version, licence, verdict(name, licence))
    return found


if __name__ == "__main__":
    table = listed(ROOT / "requirements.lock")
    for name, (version, licence, word) in table.items():
        print(f"{name:32} {version:14} {word:8} {licence}")
    sys.exit(any(word == "refused" for _, _, word in table.values()))
