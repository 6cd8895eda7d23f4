"""Many lines of a table at once, split into columns by functions that go over all of the text.

Only where that gives what a reader of CSV gives: whatever could mean something else is refused, and read line by line.
"""

from collections.abc import Sequence


def columns_of(lines: Sequence[str], width: int, delimiter: str) -> list[list[str]] | None:
    """The columns of `lines`, each a row of `width` fields; None if they are not as simple as that.

    Spaces behind a delimiter do not belong to a field; quotes are around all fields of a column or around none, and
    no field has anything in it that would have to be escaped somewhere.
    """
    text = "".join(lines).replace("\r\n", "\n").removesuffix("\n")
    if "\\" in text or not text.replace("\n", "").replace(delimiter, "").isprintable():
        return None
    separator = f"{delimiter} " if f"{delimiter} " in text else delimiter
    if f"{separator} " in text or text.startswith(" ") or "\n " in text:  # spaces that a reader leaves out
        return None
    fields = text.replace("\n", f"{separator}\n").split(separator)
    if len(fields) != width * len(lines):
        return None
    # Each row begins with its end of line, so that a field too many here and one too few there would show.
    first = "".join(fields[::width]).split("\n")
    if len(first) != len(lines):
        return None
    columns = [first, *(fields[place::width] for place in range(1, width))]
    plain = [_bare(column, delimiter) for column in columns]
    found = [column for column in plain if column is not None]
    return found if len(found) == width else None


def _bare(column: list[str], delimiter: str) -> list[str] | None:
    """Its fields without the quotes around them; None when some are elsewhere."""
    text = "\n".join(column)
    if '"' not in text:
        return None if delimiter in text else column
    begun, ended = text.count('\n"') + text.startswith('"'), text.count('"\n') + text.endswith('"')
    around = begun == ended == len(column) and text.count('"') == 2 * len(column)
    return text[1:-1].split('"\n"') if around and min(map(len, column)) > 1 else None
