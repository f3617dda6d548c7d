"""Files that are complete or absent, even if the process is killed or the disk fills up while they are written."""

from __future__ import annotations

import errno
import glob
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: Path, content: bytes, replace: bool = True) -> None:
    """Write a file under another name in its folder, and then rename it.

    The file's permissions are those of any new file of the user, as the umask says.

    Args:
        path: the file to write; its folder exists.
        content: what the file shall hold.
        replace: False keeps a file that is already there.

    Raises:
        OSError: no such folder, or no space, with the name of the file; what was there before is still there.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_atomically(path, b"first")
    >>> write_atomically(path, b"second", replace=False)
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('first', 1)
    """
    temporary = path.parent / f"{_beginning(path)}{secrets.token_hex(8)}.tmp"
    try:
        with _said_of(path), temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if not replace:
            try:
                os.link(temporary, path)  # unlike rename, link never overwrites
                return
            except FileExistsError:
                return
            except OSError:  # a file system without hard links
                if path.exists():
                    return
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _said_of(path: Path) -> Iterator[None]:
    """An error of a write, as on a full disk, does not say which file it was: name it."""
    try:
        yield
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None


@contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """A file to write to that takes its name when the block ends, for contents that need not be in memory at once.

    Args:
        path: the file to write; its folder exists. What was there before stays until the block has ended.

    Raises:
        OSError: no such folder, or no space, with the name of the file; what was there before is still there.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> with open_atomically(path) as file:
    ...     _ = file.write(b"first")
    ...     print(path.exists())
    False
    >>> path.read_text()
    'first'
    """
    temporary = path.parent / f"{_beginning(path)}{secrets.token_hex(8)}.tmp"
    try:
        with _said_of(path), temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(path: Path) -> None:
    """Remove what killed processes left of their attempts to write a file. No process may be writing it now.

    Args:
        path: the file, which may be missing, as its folder may.

    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> (path.parent / ".note.txt.0123456789abcdef.tmp").touch()  # a process was killed
    >>> remove_leftovers(path)
    >>> list(path.parent.iterdir())
    []
    """
    for left in path.parent.glob(f"{glob.escape(_beginning(path))}*.tmp"):
        left.unlink(missing_ok=True)


def _beginning(path: Path) -> str:
    """How the temporary names of a file begin. A name is cut: file systems take 255 bytes, up to four per character."""
    return f".{path.name[:50]}."
