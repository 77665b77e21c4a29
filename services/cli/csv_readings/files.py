"""CSV files as rows with the line they begin on."""

import csv
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from services.cli.csv_readings.manifest import Row
from services.cli.errors import WrongUsage


class CsvFile(Struct, frozen=True):
    """A file as it was read: its name as the manifest has it, its digest, its columns."""

    name: str
    text: str
    sha256: str
    header: tuple[str, ...]

    def rows(self) -> Iterator[tuple[int, Row | str]]:
        """Each row under the line it begins on, or why it cannot be read; blank lines are none."""
        header = self.header
        for line, cells in self.lines():
            yield line, cells if isinstance(cells, str) else dict(zip(header, cells, strict=True))

    def lines(self) -> Iterator[tuple[int, list[str] | str]]:
        """The same with the cells in the order of the columns."""
        reader = csv.reader(io.StringIO(self.text, newline=""))
        columns, line = len(self.header), 1
        while True:
            try:
                for cells in reader:
                    if line > 1 and len(cells) == columns:
                        yield line, cells
                    elif line > 1 and cells:
                        yield line, f"has {len(cells)} cells, and the file {columns} columns"
                    line = reader.line_num + 1
            except csv.Error as error:
                yield line, f"cannot be read: {error}"
                line = reader.line_num + 1
            else:
                return


def read(folder: Path, name: str) -> CsvFile:
    """Reads a file of UTF-8, with or without a byte order mark."""
    path = folder / name
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise WrongUsage(
            f"{path} cannot be read: {error.strerror}; say where the files lie with --files DIR"
        ) from error
    except UnicodeDecodeError as error:
        raise WrongUsage(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    return CsvFile(name, text, hashlib.sha256(content).hexdigest(), tuple(header))
