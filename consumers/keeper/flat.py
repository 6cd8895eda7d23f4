"""Many lines of a table at once, split into columns by functions that go over all of the text.

Only where that gives what a reader of CSV gives: whatever could mean something else is refused, and read line by line.
"""

import csv

#: What may stand in a field and needs no backslash, neither in JSON nor for the database, once its quotes are gone; and
#: the ends of lines.
PLAIN = bytes(each for each in range(0x20, 0x7F) if each != ord("\\")) + b"\n"


def columns_of(lines: str, width: int, delimiter: str) -> list[list[str]] | None:
    """The columns of `lines`, each a row of `width` fields; None if they are not as simple as that.

    Spaces behind a delimiter do not belong to a field; quotes are around all fields of a column or around none, and
    no field has anything in it that would have to be escaped somewhere.
    """
    if len(lines) > csv.field_size_limit():  # there may be a field that a reader refuses
        return None
    text = (lines.replace("\r\n", "\n") if "\r" in lines else lines).removesuffix("\n")
    separator = f"{delimiter} " if f"{delimiter} " in text else delimiter
    if not _is_plain(text, delimiter) or _has_spaces_before(text, separator):
        return None
    fields = text.replace("\n", f"{separator}\n").split(separator)
    rows = text.count("\n") + 1
    if len(fields) != width * rows:
        return None
    # Each row begins with its end of line, so that a field too many here and one too few there would show.
    first = "".join(fields[::width]).split("\n")
    if len(first) != rows:
        return None
    return _bare(text, [first, *(fields[place::width] for place in range(1, width))], delimiter)


def _is_plain(text: str, delimiter: str) -> bool:
    if text.isascii():
        return not text.encode().translate(None, PLAIN + delimiter.encode())
    return "\\" not in text and text.replace("\n", "").replace(delimiter, "").isprintable()


def _has_spaces_before(text: str, separator: str) -> bool:
    """Whether a field begins with spaces that a reader leaves out."""
    return " " in text and (f"{separator} " in text or text.startswith(" ") or "\n " in text)


def _bare(text: str, columns: list[list[str]], delimiter: str) -> list[list[str]] | None:
    """The fields of `text` without the quotes around them; None when some are elsewhere, or a delimiter is."""
    rows = len(columns[0])
    quotes, delimiters = 0, rows * (len(columns) - 1)
    for place, column in enumerate(columns):
        if not column[0].startswith('"'):
            continue
        joined = "\n".join(column)
        inside = joined[1:-1].split('"\n"')
        # As many quotes as there are ends of fields, and nothing else between two fields.
        if not joined.endswith('"') or len(inside) != rows or joined.count('"') != 2 * rows:
            return None
        columns[place] = inside
        quotes += 2 * rows
        delimiters += joined.count(delimiter)
    return columns if text.count('"') == quotes and text.count(delimiter) == delimiters else None
