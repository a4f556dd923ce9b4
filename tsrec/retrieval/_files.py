"""Files that survive a crash: synced, replaced by renaming, and written by one process at a time."""

import os
import zlib
from pathlib import Path
from typing import Any

from tsrec.retrieval._store import BLOCK

try:
    import fcntl
except ImportError:  # Windows: there, whoever writes sees to it himself
    fcntl = None  # type: ignore[assignment]

PART = ".part"


def sync(path: Path) -> None:
    """Have the disk hold what was written to a file, or the names in a folder."""
    if os.name == "nt" and path.is_dir():  # folders cannot be opened there
        return
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, content: Any) -> None:
    """Write a whole file and sync it."""
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def switch(path: Path, content: bytes) -> None:
    """Replace a file by another content: whoever looks finds the one or the other."""
    draft = path.with_name(path.name + PART)
    write(draft, content)
    os.replace(draft, path)
    sync(path.parent)


def checksum(path: Path, first: int, size: int) -> int:
    """CRC-32 of some bytes of a file."""
    total = 0
    with open(path, "rb") as file:
        file.seek(first)
        while size and (some := file.read(min(size, BLOCK))):
            total, size = zlib.crc32(some, total), size - len(some)
    return total


def too_short(path: Path, size: int) -> str | None:
    """What is wrong with a file that has to hold some bytes, if something is."""
    if not size:
        return None
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return f"{path.name!r} is missing"
    return f"{path.name!r} holds {found} bytes of {size}" if found < size else None


def lock(path: Path) -> int:
    """Be the only one who holds a file, until the handle is closed or the process ends.

    Raises
    ------
    BlockingIOError
        If another holds it.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(handle)
        where = os.fspath(path.parent)
        raise BlockingIOError(f"path: {where!r} is being written already. Close it there, or open it to read.") from err
    except OSError:  # a file system without locks
        pass
    return handle
