"""Files that are there whole or not at all, whatever is killed or full meanwhile."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def write_atomically(path: Path, content: bytes, replace: bool = True) -> None:
    """Write a file under another name in its folder, and then give it its own.

    Args:
        replace: False keeps a file that is already there.

    Raises:
        OSError: no such folder, or no space; what was there before is still there.

    >>> path = Path(tempfile.mkdtemp()) / "note.txt"
    >>> write_atomically(path, b"first")
    >>> write_atomically(path, b"second", replace=False)
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('first', 1)
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
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
        Path(temporary).unlink(missing_ok=True)
