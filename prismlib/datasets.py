"""Datasets by name: ``load`` reads the published ones, and your own datasets, which ``save`` keeps.

Wherever the files come from, their interactions must be exactly those of the dataset's card (``prismlib._cards``).
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import warnings
import zipfile
import zlib
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prismlib._cards import CARDS as CARDS
from prismlib._cards import SOURCES as SOURCES
from prismlib._cards import Card as Card
from prismlib._cards import Source as Source
from prismlib.data import Dataset, random_split, synthetic
from prismlib.files import write_atomically

_Int = npt.NDArray[np.int64]
_ID_LIMIT = 10_000_000  # published ids stay below 100,000: a larger one is a damaged file, not a large dataset
#: The fewest stars of a positive, by the name of the dataset. The paper's have 3 or more, its released code keeps all.
_RATED = {"movielens1m": 3, "movielens1m-all": 1}
_LENGTH = 100  # files add to a name, and file systems end names at 255 bytes
#: Of a user's dataset: a safe name for a file, a folder and an argument.
_NAME = re.compile(f"[a-z0-9][a-z0-9_-]{{0,{_LENGTH - 1}}}")
_CARD = ".card.json"
_DAMAGED = (KeyError, OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, zlib.error)  # when unzipping


def load(name: str, download: bool = True, progress: bool = True) -> Dataset:
    """Read a dataset from the folder that ``PRISM_DATA`` names, else the download cache, else the network.

    Args:
        name: the dataset's name, one of :func:`known`.
        download: whether files that are missing may be downloaded. False stays offline.
        progress: whether a download shows a progress bar.

    Returns:
        The dataset, whose sizes and hash are those of its card.

    Raises:
        ValueError: the name is unknown, a file is damaged, or the interactions are not those of the card.
        FileNotFoundError: there is no file, and none can be downloaded. The message says which file belongs where, and
            where it comes from.
        ModuleNotFoundError: ``PRISM_DATA`` has no file, and pooch or tqdm, of the extra ``data``, is not installed.

    >>> len(load("synthetic"))
    18000
    """
    card = identity_card(name)
    if name == "synthetic":
        return synthetic()
    if name not in CARDS:
        return _load_saved(card)
    if os.environ.get("PRISM_DATA") and not _folder().is_dir():
        raise FileNotFoundError(f"PRISM_DATA is {_folder()}, which is no folder: correct it, or unset it to download")
    local = [paths for paths in _layouts(name) if any(path.is_file() for path in paths)]
    paths = local[0] if local else _cached_files(name, download, progress)
    for path in paths:
        if local and not path.is_file():
            raise FileNotFoundError(_not_found(name, f"{path} is missing"))
    where = " and ".join(map(str, paths))
    if card.content_hash is None:
        for path, source in zip(paths, SOURCES[name], strict=True):
            if (md5 := hashlib.md5(_text(path), usedforsecurity=False).hexdigest()) != source.md5:
                raise _bad(path, f"{name}: not the published file: MD5 expected {source.md5}, got {md5}")
    table = np.concatenate([_read(name, path) for path in paths])
    key = np.sort(table[:, 0] * _ID_LIMIT + table[:, 1])
    for repeated in key[1:][np.diff(key) == 0]:  # an error names the first of them
        raise _bad(where, f"user {repeated // _ID_LIMIT} has item {repeated % _ID_LIMIT} twice")
    user, item = np.divmod(key, _ID_LIMIT)
    if name in _RATED:  # close the gaps between its ids
        user, item = (np.unique(ids, return_inverse=True)[1] for ids in (user, item))
    data = Dataset(name, user.astype(np.int32), item.astype(np.int32), int(user.max()) + 1, int(item.max()) + 1)

    form = "{} users, {} items, {} interactions, hash {}".format
    expected = form(card.users, card.items, card.interactions, card.content_hash or data.content_hash)
    got = form(data.num_users, data.num_items, len(data), data.content_hash)
    if got != expected:
        raise _bad(where, f"{name}: not the published interactions: expected {expected}; got {got}")
    return data


def content_hash(name: str) -> str:
    """The content hash of a dataset, see :attr:`prismlib.data.Dataset.content_hash`.

    The data are read only where the dataset's card has no hash.

    Args:
        name: the dataset's name, one of :func:`known`.

    Raises:
        ValueError: the name is unknown; or as :func:`load`, where the data are read.
        FileNotFoundError: the data have to be read and are not found.

    >>> content_hash("gowalla")[:8]
    '40a23f2f'
    """
    if pinned := identity_card(name).content_hash:
        return pinned
    files = [path for paths in _layouts(name) for path in paths if path.is_file()]
    return _computed_hash(name, tuple((path, path.stat().st_mtime_ns) for path in files))


@lru_cache
def _computed_hash(name: str, files: tuple[tuple[Path, int], ...]) -> str:
    return load(name).content_hash  # it takes about a second, and a sweep asks hundreds of times


def identity_card(name: str) -> Card:
    """The card of a dataset.

    Args:
        name: the dataset's name, one of :func:`known`.

    Raises:
        ValueError: the name is unknown, and the message lists those that are known; or the card in ``PRISM_DATA`` is
            damaged.

    >>> identity_card("synthetic").users
    600
    """
    card = CARDS.get(name) or _saved_card(name)
    if card is None:
        raise ValueError(f"unknown dataset {name!r}; known: {', '.join(known())}; `save` keeps one of your own")
    return card


def known() -> list[str]:
    """The names that :func:`load` knows.

    The published datasets come first. The datasets that :func:`save` has kept in ``PRISM_DATA`` follow.

    >>> known()[:3]
    ['synthetic', 'movielens1m', 'gowalla']
    """
    saved = (path.name.removesuffix(_CARD) for path in _folder().glob(f"*{_CARD}"))
    return [*CARDS, *sorted(name for name in saved if name not in CARDS and _NAME.fullmatch(name))]


def save(data: Dataset, source: str, terms: str = "Private.", citation: str = "none") -> Card:
    """Keep your own dataset in the folder ``PRISM_DATA``. Whatever takes a dataset's name finds it there.

    Two files are written: ``NAME.npz`` has the pairs, and ``NAME.card.json`` has the identity card, in plain JSON. A
    name stands for one set of interactions. Other interactions need another name.

    Args:
        data: the dataset, e.g. from :func:`prismlib.data.dataset_from_pairs`. Its name becomes the name of files and of
            a folder.
        source: where the data come from, in words, for the card.
        terms: what one may do with the data, in words, for the card.
        citation: whom to cite, in words, for the card.

    Returns:
        The dataset's card.

    Raises:
        ValueError: ``PRISM_DATA`` is not a folder; the name belongs to a published dataset, is longer than 100
            characters, has others than lower-case letters, digits, ``-`` and ``_``, or is kept with other interactions;
            or the dataset has fewer than 10 interactions.
    """
    if data.name in CARDS or not _NAME.fullmatch(data.name):
        raise ValueError(
            f"{data.name!r} cannot name a dataset of your own: use lower-case letters, digits, - and _, at most "
            f"{_LENGTH} of them, and none of {', '.join(CARDS)}"
        )
    if not _folder().is_dir():
        raise ValueError("set the environment variable PRISM_DATA to the folder that shall keep the dataset")
    old = _saved_card(data.name)
    if old is not None and old.content_hash != data.content_hash:
        raise ValueError(f"{_folder()} keeps {data.name} with other interactions: choose another name, or remove it")
    sizes = data.num_users, data.num_items, len(data)
    hashes = data.content_hash, random_split(data, 123).split_hash
    card = Card(data.name, *sizes, None, *hashes, source, terms, citation, data.synthetic)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, user=data.user, item=data.item)
    write_atomically(_folder() / f"{data.name}.npz", buffer.getvalue())
    # the card comes last: a dataset is known once it has a card, and so never without its pairs
    write_atomically(_folder() / f"{data.name}{_CARD}", (json.dumps(asdict(card), indent=1) + "\n").encode())
    return card


def _saved_card(name: str) -> Card | None:
    path = _folder() / f"{name}{_CARD}"
    if not _NAME.fullmatch(name) or not path.is_file():
        return None
    try:
        card = Card(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{path}: not a dataset's card ({error}). Remove it, and save the dataset again.") from None
    if card.name != name or not card.content_hash:
        raise ValueError(f"{path}: not the card of {name}. Remove it, and save the dataset again.")
    return card


def _load_saved(card: Card) -> Dataset:
    path = _folder() / f"{card.name}.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is gone, though its card is there: save the dataset again")
    user, item = _read_npz(path, ("user", "item"))[0].astype(np.int32).T
    data = Dataset(card.name, user, item, card.users, card.items, card.synthetic)
    if data.content_hash != card.content_hash:
        raise _bad(path, f"not its card's interactions: expected hash {card.content_hash}; got {data.content_hash}")
    return data


def _folder() -> Path:
    # where it is unset, nothing is found, and errors print the variable's name
    return Path(os.path.expanduser(os.environ.get("PRISM_DATA") or "$PRISM_DATA"))


def _layouts(name: str) -> list[list[Path]]:
    """The files in the folder ``PRISM_DATA`` that a dataset may be read from. The first alternative found is read."""
    folder = _folder()
    if name in _RATED:
        return [[folder / f] for f in ("movielens1m.npz", "movielens1m/ratings.dat", "ml-1m/ratings.dat", "ml-1m.zip")]
    if name == "amazonbook-partial":
        return [[folder / "amazonbook.npz"]]
    text = [folder / name / "train.txt", folder / name / "test.txt"]
    return [text] if name == "amazonbook" else [[folder / f"{name}.npz"], text]


def _cached_files(name: str, download: bool, progress: bool) -> list[Path]:
    """The dataset's files in the download cache. Files that are missing or damaged there are downloaded first."""
    if name not in SOURCES:
        raise FileNotFoundError(_not_found(name, "There is no download for it: it is read from that folder only"))
    try:
        with warnings.catch_warnings():
            # in a notebook without ipywidgets tqdm draws its bar as text, and warns that it does
            warnings.filterwarnings("ignore", message="IProgress not found")
            import pooch  # type: ignore[import-untyped]
            import tqdm  # noqa: F401 - draws pooch's progress bar
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            _not_found(name, "Downloading needs pooch and tqdm: run pip install -e '.[data]' in a checkout")
        ) from error

    def fetch(url: str, output: str, _: object) -> None:
        pooch.HTTPDownloader(progressbar=progress)(url, output, None)
        if url.endswith(".txt"):  # UltraGCN's repository has CR LF line ends
            Path(output).write_bytes(_text(Path(output)))

    cache = Path(pooch.os_cache("prismlib"), name)
    paths = [cache / source.file for source in SOURCES[name]]
    if not download and not all(path.is_file() for path in paths):
        raise FileNotFoundError(_not_found(name, "It was not downloaded: download=False"))
    for source in SOURCES[name] if download else ():
        failures = ["No mirror gave the right file:"]
        for url in source.urls:
            try:  # pooch checks the MD5 of a temporary file before it moves that into the cache
                pooch.retrieve(url, f"md5:{source.md5}", source.file, cache, downloader=fetch)
                break
            except (OSError, ValueError) as error:  # unreachable, or a wrong MD5: try the next mirror
                failures.append(f"{url}: {error}")
        else:
            raise FileNotFoundError(_not_found(name, *failures))
    return paths


def _not_found(name: str, *why: str) -> str:
    # the first line says it all: a sweep prints no more of an error
    files = "; ".join(" and ".join(map(str, paths)) for paths in _layouts(name))
    folder = os.environ.get("PRISM_DATA")
    unset = "Set the environment variable PRISM_DATA to a folder that holds one of"
    todo = f"PRISM_DATA is {folder}, which has none of" if folder else unset
    lines = [f"{name}: no data found. {todo}: {files}"]
    if name == "amazonbook":
        lines += ["  (not amazonbook.npz: that is partial, and loads only as 'amazonbook-partial')"]
    lines += [f"  to be had from {url}" for source in SOURCES.get(name, ()) for url in source.urls]
    return "\n".join([*lines, *why])


def _bad(where: Path | str, what: str) -> ValueError:
    return ValueError(f"{where}: {what}. Replace the file by the original, or remove it.")


def _read(name: str, path: Path) -> _Int:
    """The positive rows of a file, with the published ids: (user, item), and for MovieLens (user, item, rating)."""
    names = ("user", "item", "rating") if name in _RATED else ("user", "item")
    table, line = (_read_npz if path.suffix == ".npz" else _read_text)(path, names)
    for what, column in zip(names, table.T, strict=True):
        low, high = (1, 5) if what == "rating" else (0, _ID_LIMIT - 1)
        for row in np.flatnonzero((column < low) | (column > high)):
            where = path if line is None else f"{path}, line {line[row]}"
            raise _bad(where, f"{what} {column[row]} is outside {low}..{high}")
    if "rating" in names:
        table = table[table[:, 2] >= _RATED[name]]
    if not len(table):
        raise _bad(path, "no interactions in it")
    return table


def _read_npz(path: Path, names: tuple[str, ...]) -> tuple[_Int, None]:
    """The named arrays of an ``.npz`` as columns, and None, since an ``.npz`` has no lines that an error could name."""
    if not zipfile.is_zipfile(path):
        raise _bad(path, "not an .npz, or truncated")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            columns = [arrays[name] for name in names]
    except _DAMAGED as error:
        raise _bad(path, f"damaged or incomplete ({error})") from error
    for name, column in zip(names, columns, strict=True):
        if column.dtype.kind not in "iu" or column.shape != (columns[0].size,):
            raise _bad(path, f"{name} must be integer, 1-D, as long as user; got {column.dtype} {column.shape}")
    return np.column_stack(columns).astype(np.int64), None


def _read_text(path: Path, names: tuple[str, ...]) -> tuple[_Int, _Int]:
    """Rows and their lines of a text: LightGCN has "user item item ...", MovieLens "user::item::rating::timestamp"."""
    number, line = _numbers(path, _text(path).replace(b"::", b" "))
    if "rating" in names:
        fields = np.bincount(line)
        for wrong in np.flatnonzero((fields != 4) & (fields != 0)):
            raise _bad(f"{path}, line {wrong}", f"{fields[wrong]} fields instead of user::item::rating::timestamp")
        return number.reshape(-1, 4)[:, :3], line[::4]
    is_user = np.diff(line, prepend=0) > 0
    user = number[is_user][np.cumsum(is_user) - 1]
    return np.column_stack([user, number])[~is_user], line[~is_user]


def _text(path: Path) -> bytes:
    """The text of a file, or of the ratings in MovieLens's zip, with LF line ends."""
    if path.suffix != ".zip":
        return path.read_bytes().replace(b"\r\n", b"\n")
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.read("ml-1m/ratings.dat").replace(b"\r\n", b"\n")
    except _DAMAGED as error:
        raise _bad(path, f"damaged, or not MovieLens 1M ({error})") from error


def _numbers(path: Path, text: bytes) -> tuple[_Int, _Int]:
    """All numbers of a text, and the line of each number, counted from 1."""
    if stray := re.search(rb"[^0-9 \n]", text):
        line = text.count(b"\n", 0, stray.start()) + 1
        raise _bad(f"{path}, line {line}", f"found {chr(stray[0][0])!r} where only whole numbers >= 0 may stand")
    fields = [len(line.split()) for line in text.split(b"\n")]
    return np.fromstring(text, np.int64, sum(fields), sep=" "), np.repeat(np.arange(len(fields)) + 1, fields)
