"""Datasets from files, archives and mirrors: what is read, and what is refused with which words."""

import hashlib
import io
import os
import re
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from prismlib import datasets
from prismlib.data import Dataset, random_split, synthetic
from prismlib.datasets import CARDS, Source, load

TRAIN, TEST = b"0 2 0\n1 1\n2 3 0 1\n", b"0 3\n1\n2 2\n"
USER, ITEM = [0, 0, 0, 1, 2, 2, 2, 2], [0, 2, 3, 1, 0, 1, 2, 3]
RATINGS = b"1::10::3::978300760\n1::30::5::978300761\n2::20::2::978300762\n3::30::4::978300763\n"
REAL = os.environ.get("PRISM_DATA")


def toy(name: str, user: list[int] = USER, item: list[int] = ITEM) -> Dataset:
    return Dataset(name, np.array(user, np.int32), np.array(item, np.int32), max(user) + 1, max(item) + 1)


def md5(content: bytes) -> str:
    return hashlib.md5(content).hexdigest()


def archive(content: bytes = RATINGS, member: str = "ml-1m/ratings.dat") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, content)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def pin(monkeypatch: pytest.MonkeyPatch, data: Dataset) -> None:
    """Make ``data`` the published content of its name."""
    pinned = None if data.name == "amazonbook" else data.content_hash
    sizes = {"users": data.num_users, "items": data.num_items, "interactions": len(data), "content_hash": pinned}
    monkeypatch.setitem(CARDS, data.name, replace(CARDS[data.name], **sizes))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty ``PRISM_DATA``, an empty cache, and toys in the place of the published datasets."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("PRISM_DATA", str(folder))
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "cache" / project)
    for name in ("gowalla", "amazonbook", "amazonbook-partial"):
        pin(monkeypatch, toy(name))
    pin(monkeypatch, toy("movielens1m", [0, 0, 1], [0, 1, 1]))
    return folder


@pytest.fixture
def web(tmp_path, monkeypatch):
    """A local server: ``pages`` maps a path to its bytes, ``asked`` lists the paths that were asked for."""

    web = SimpleNamespace(pages={}, asked=[])

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            web.asked.append(self.path)
            content = web.pages.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_):
            pass

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    web.url = f"http://127.0.0.1:{server.server_port}"
    published = [
        Source(file, md5(content), (f"{web.url}/first/{file}", f"{web.url}/second/{file}"))
        for file, content in (("train.txt", TRAIN), ("test.txt", TEST))
    ]
    for name in ("gowalla", "amazonbook"):
        monkeypatch.setitem(datasets.SOURCES, name, tuple(published))
    yield web
    server.shutdown()
    server.server_close()
    thread.join()


def put_lists(folder: Path, name: str = "gowalla", train: bytes = TRAIN, test: bytes = TEST) -> None:
    write(folder / name / "train.txt", train)
    write(folder / name / "test.txt", test)


# What is read


def test_npz_and_text_give_the_same_dataset(folder):
    put_lists(folder)
    from_text = load("gowalla")
    order = np.random.default_rng(0).permutation(len(USER))  # the order in the file does not matter
    np.savez_compressed(folder / "gowalla.npz", user=np.array(USER)[order], item=np.array(ITEM)[order])
    (folder / "gowalla" / "train.txt").write_text("not read: the .npz comes first")
    from_npz = load("gowalla")
    assert from_text.content_hash == from_npz.content_hash == toy("gowalla").content_hash
    assert from_text.user.dtype == from_npz.item.dtype == np.int32
    assert not from_npz.synthetic


def test_line_ends_and_blanks_do_not_matter(folder):
    put_lists(folder, train=TRAIN.replace(b"\n", b" \r\n").rstrip(), test=b"\n" + TEST)
    assert load("gowalla").content_hash == toy("gowalla").content_hash


@pytest.mark.parametrize("file", ["ml-1m/ratings.dat", "ml-1m.zip", "movielens1m.npz"])
def test_all_ratings_of_movielens_are_a_dataset_of_their_own(
    folder: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the released code's loader takes them: the rating of 2, which the paper leaves out, is a positive too."""
    pin(monkeypatch, toy("movielens1m-all", [0, 0, 1, 2], [0, 2, 1, 2]))
    if file.endswith(".npz"):
        np.savez(folder / file, user=[1, 1, 2, 3], item=[10, 30, 20, 30], rating=np.array([3, 5, 2, 4], np.int8))
    else:
        write(folder / file, archive() if file.endswith(".zip") else RATINGS)
    every, three = load("movielens1m-all"), load("movielens1m")
    assert (len(every), every.num_items, len(three), three.num_items) == (4, 3, 3, 2)
    assert every.name == "movielens1m-all" and every.content_hash != three.content_hash


@pytest.mark.parametrize("file", ["movielens1m/ratings.dat", "ml-1m/ratings.dat", "ml-1m.zip", "movielens1m.npz"])
def test_movielens_keeps_ratings_from_3_and_renumbers(folder, file):
    if file.endswith(".npz"):
        columns = np.array([[1, 1, 2, 3], [10, 30, 20, 30], [3, 5, 2, 4]])
        np.savez(folder / file, user=columns[0], item=columns[1], rating=columns[2].astype(np.int8))
    else:
        write(folder / file, archive() if file.endswith(".zip") else RATINGS)
    data = load("movielens1m")
    assert (data.user.tolist(), data.item.tolist()) == ([0, 0, 1], [0, 1, 1])


def test_synthetic():
    data = load("synthetic")
    assert data.synthetic
    card = CARDS["synthetic"]
    assert (data.num_users, data.num_items, len(data)) == (card.users, card.items, card.interactions)
    assert data.content_hash == card.content_hash == synthetic().content_hash
    assert random_split(data, 123).split_hash == card.split_hash


def test_content_hash_needs_no_data_where_it_is_pinned(folder):
    assert datasets.content_hash("gowalla") == toy("gowalla").content_hash
    with pytest.raises(FileNotFoundError, match="amazonbook: no data found"):
        datasets.content_hash("amazonbook")


def test_tables_are_well_formed():
    assert all(datasets.identity_card(name).name == name for name in CARDS)
    assert set(CARDS) - set(datasets.SOURCES) == {"synthetic", "amazonbook-partial"}
    for card in CARDS.values():
        assert all((card.source, card.terms, card.citation))
        assert (card.content_hash is None) == (card.split_hash is None) == (card.name == "amazonbook")
        if card.paper and card.name != "movielens1m":
            assert card.paper == (card.users, card.items, card.interactions)
    for source in sum(datasets.SOURCES.values(), ()):
        assert re.fullmatch("[0-9a-f]{32}", source.md5)
        assert len(source.urls) >= 2
        assert all(url.startswith("https://") for url in source.urls)


# What is refused


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (b"", r"train.txt: no interactions"),
        (b"\n\n", r"train.txt: no interactions"),
        (b"0\n1\n", r"train.txt: no interactions"),
        (b"0 1\n1 two 3\n", r"train.txt, line 2: found 't' where only whole numbers >= 0"),
        (b"0 1\n\n1 -2\n", r"train.txt, line 3: found '-'"),
        (b"0 1.5\n", r"train.txt, line 1: found '\.'"),
        (b"0 1\n1 10000000\n", r"train.txt, line 2: item 10000000 is outside 0\.\.9999999"),
        (b"0 1\n4294967296 1\n", r"train.txt, line 2: user 4294967296 is outside"),
        (b"0 1\n1 " + b"9" * 30, r"train.txt, line 2: item \d+ is outside"),
        (b"0 2 0 2\n", r"user 0 has item 2 twice"),
        (b"0 2\n0 2\n", r"user 0 has item 2 twice"),
        (b"2 2\n", r"train.txt and .*test.txt: user 2 has item 2 twice"),
        (
            TRAIN[:-2],
            r"gowalla: not the published interactions: expected 3 users, 4 items, 8 .*; got 3 users, 4 items, 7",
        ),
        (
            TRAIN.replace(b"1 1", b"1 2"),
            r"not the published interactions: expected .*, hash \w{64}; got .*, hash \w{64}",
        ),
    ],
)
def test_bad_lists(folder, train, message):
    put_lists(folder, train=train)
    with pytest.raises(ValueError, match=f"{message}.*Replace the file by the original") as error:
        load("gowalla")
    assert str(folder / "gowalla" / "train.txt") in str(error.value)


@pytest.mark.parametrize(
    ("ratings", "message"),
    [
        (b"1::10::6::1\n", r"line 1: rating 6 is outside 1\.\.5"),
        (b"1::10::3::1\n1::20::0::1\n", r"line 2: rating 0 is outside 1\.\.5"),
        (b"1::10::3::1\n\n1::20::4\n", r"line 3: 3 fields instead of user::item::rating::timestamp"),
        (b"1::10::3.5::1\n", r"line 1: found '\.'"),
        (b"1,10,3,1\n", r"line 1: found ','"),
        (b"userId::movieId::rating::timestamp\n", r"line 1: found 'u'"),
        (b"1::10::3::1\n1::10::4::2\n", r"user 1 has item 10 twice"),
        (b"1::10::2::1\n", r"no interactions"),
        (b"", r"no interactions"),
    ],
)
def test_bad_ratings(folder, ratings, message):
    write(folder / "ml-1m" / "ratings.dat", ratings)
    with pytest.raises(ValueError, match=rf"ratings.dat(: |, ){message}.*Replace the file"):
        load("movielens1m")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"user": USER}, "damaged or incomplete .*item is not a file in the archive"),
        ({"user": USER, "item": ITEM[:-1]}, r"item must be integer, 1-D, as long as user; got int64 \(7,\)"),
        ({"user": USER, "item": np.array(ITEM) / 2}, "item must be integer, .* got float64"),
        ({"user": [USER, USER], "item": ITEM}, r"user must be integer, 1-D, .* got int64 \(2, 8\)"),
        ({"user": USER, "item": [0, 2, 3, 1, 0, 1, 2, -3]}, r"item -3 is outside 0\.\.9999999"),
        ({"user": [*USER[:-1], 2**31], "item": ITEM}, "user 2147483648 is outside"),
        ({"user": [*USER[:-1], 0], "item": [*ITEM[:-1], 2]}, "user 0 has item 2 twice"),
        ({"user": np.array([], int), "item": np.array([], int)}, "no interactions"),
        ({"user": np.array(USER, object), "item": ITEM}, "allow_pickle=False"),
        ({"user": USER[:-1], "item": ITEM[:-1]}, "not the published interactions"),
    ],
)
def test_bad_npz(folder, arrays, message):
    np.savez(folder / "gowalla.npz", **{name: np.asarray(array) for name, array in arrays.items()})
    with pytest.raises(ValueError, match=f"gowalla.npz: .*{message}.*Replace the file"):
        load("gowalla")


def test_npz_without_ratings(folder):
    np.savez(folder / "movielens1m.npz", user=[1], item=[1])
    with pytest.raises(ValueError, match=r"movielens1m.npz: .*rating is not a file in the archive"):
        load("movielens1m")


@pytest.mark.parametrize("file", ["gowalla.npz", "ml-1m.zip"])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "text", "empty"])
def test_damaged_archives(folder, file, damage):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, user=np.arange(2000), item=np.arange(2000))
    whole = buffer.getvalue() if file == "gowalla.npz" else archive(RATINGS * 100)
    flipped = bytes(byte ^ 255 if 80 <= place < 90 else byte for place, byte in enumerate(whole))
    write(folder / file, {"truncated": whole[:-40], "flipped": flipped, "text": b"0 1\n", "empty": b""}[damage])
    with pytest.raises(ValueError, match=f"{file}: (damaged|not an .npz, or truncated).*Replace the file"):
        load("gowalla" if file == "gowalla.npz" else "movielens1m")


def test_zip_of_something_else(folder):
    write(folder / "ml-1m.zip", archive(member="ml-20m/ratings.csv"))
    with pytest.raises(
        ValueError, match=r"ml-1m.zip: damaged, or not MovieLens 1M .*no item named 'ml-1m/ratings.dat'"
    ):
        load("movielens1m")


def test_one_of_two_files(folder):
    write(folder / "gowalla" / "train.txt", TRAIN)
    missing = re.escape(f"{folder / 'gowalla' / 'test.txt'} is missing")
    with pytest.raises(FileNotFoundError, match=rf"(?s)PRISM_DATA is .*, which has none of: .*{missing}"):
        load("gowalla")


def test_a_folder_of_data_that_is_not_there_is_named_before_any_download(folder, monkeypatch):
    monkeypatch.setenv("PRISM_DATA", str(folder / "mistyped"))
    monkeypatch.setattr(datasets, "_cached_files", lambda *_: pytest.fail("a download was tried"))
    with pytest.raises(FileNotFoundError, match=r"mistyped, which is no folder: correct it, or unset it to download"):
        load("gowalla")


def test_a_hash_that_is_not_pinned_is_computed_once_for_the_same_files(folder, monkeypatch):
    loads = []
    monkeypatch.setattr(datasets, "load", lambda name: loads.append(name) or toy(name))
    path = folder / "amazonbook" / "train.txt"
    write(path, TRAIN)
    assert {datasets.content_hash("amazonbook") for _ in range(3)} == {toy("amazonbook").content_hash}
    assert len(loads) == 1
    os.utime(path, ns=(0, 0))  # other files
    datasets.content_hash("amazonbook")
    assert len(loads) == 2


@pytest.mark.parametrize("call", [load, datasets.content_hash])
def test_unknown_name(call):
    with pytest.raises(
        ValueError, match="unknown dataset 'netflix'; known: synthetic, movielens1m, gowalla, yelp2018, "
    ):
        call("netflix")


# The two AmazonBooks


def test_partial_amazonbook_is_never_taken_for_the_whole(folder):
    np.savez(folder / "amazonbook.npz", user=USER, item=ITEM)
    assert len(load("amazonbook-partial")) == len(USER)
    with pytest.raises(
        FileNotFoundError, match=r"amazonbook.npz: that is partial, and loads only as 'amazonbook-partial'"
    ):
        load("amazonbook", download=False)


def test_partial_amazonbook_has_no_download(folder):
    with pytest.raises(FileNotFoundError, match="no download for it: it is read from that folder only") as error:
        load("amazonbook-partial")
    assert str(folder / "amazonbook.npz") in str(error.value)


def test_amazonbook_is_known_by_its_md5s_and_counts(folder, web, monkeypatch):
    put_lists(folder, "amazonbook")
    assert datasets.content_hash("amazonbook") == toy("amazonbook").content_hash
    monkeypatch.setitem(CARDS, "amazonbook", replace(CARDS["amazonbook"], interactions=9))
    with pytest.raises(
        ValueError, match=r"not the published interactions: expected .* 9 interactions.* got .* 8 inter"
    ):
        load("amazonbook")
    put_lists(folder, "amazonbook", test=b"0 3\n2 2\n")  # the same pairs, but other bytes
    with pytest.raises(
        ValueError, match=f"test.txt: amazonbook: not the published file: MD5 expected {md5(TEST)}, got "
    ):
        load("amazonbook")


# Downloads


def test_mirrors_are_tried_in_turn_and_the_cache_is_used(folder, web, capsys):
    web.pages |= {"/second/train.txt": TRAIN, "/first/test.txt": TEST[:-3], "/second/test.txt": TEST}
    assert load("gowalla").content_hash == toy("gowalla").content_hash
    assert web.asked == ["/first/train.txt", "/second/train.txt", "/first/test.txt", "/second/test.txt"]
    assert "100%" in capsys.readouterr().err
    assert len(load("gowalla")) == len(load("gowalla", download=False)) == len(USER)
    assert len(web.asked) == 4


def test_line_ends_of_a_mirror_do_not_matter(folder, web):
    web.pages |= {"/first/train.txt": TRAIN.replace(b"\n", b"\r\n"), "/first/test.txt": TEST.replace(b"\n", b"\r\n")}
    assert len(load("gowalla")) == len(USER)


def test_zip_is_downloaded_as_it_is(folder, web, monkeypatch):
    content = archive(RATINGS.replace(b"\n", b"\r\n"))
    web.pages["/m%2Fml-1m.zip"] = content
    source = Source("ml-1m.zip", md5(content), (f"{web.url}/m%2Fml-1m.zip",))
    monkeypatch.setitem(datasets.SOURCES, "movielens1m", (source,))
    assert len(load("movielens1m")) == 3


def test_no_progress_bar(folder, web, capsys):
    web.pages |= {"/first/train.txt": TRAIN, "/first/test.txt": TEST}
    load("gowalla", progress=False)
    assert "100%" not in capsys.readouterr().err


def test_wrong_checksum_everywhere(folder, web, tmp_path):
    web.pages |= {"/first/train.txt": b"0 1\n", "/second/train.txt": b"0 2\n"}
    with pytest.raises(FileNotFoundError, match="No mirror gave the right file") as error:
        load("gowalla")
    for mirror in ("first", "second"):
        assert f"{web.url}/{mirror}/train.txt: MD5 hash of downloaded file" in str(error.value)
    assert md5(TRAIN) in str(error.value)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_damaged_cache_is_downloaded_again(folder, web, tmp_path):
    put_lists(tmp_path / "cache" / "prismlib", train=TRAIN[:9])
    with pytest.raises(ValueError, match=r"cache.*train.txt.*not the published interactions.*or remove it"):
        load("gowalla", download=False)
    web.pages["/first/train.txt"] = TRAIN
    assert len(load("gowalla")) == len(USER)
    assert web.asked == ["/first/train.txt"]


def test_offline_and_no_file(folder, web):
    with pytest.raises(
        FileNotFoundError, match=r"gowalla: no data found. PRISM_DATA is .*, which has none of: "
    ) as error:
        load("gowalla", download=False)
    for text in ("gowalla.npz", "gowalla/train.txt", "gowalla/test.txt"):
        assert str(folder / text) in str(error.value).splitlines()[0]  # of which a sweep prints no more
    for url in (url for source in datasets.SOURCES["gowalla"] for url in source.urls):
        assert url in str(error.value)
    assert not web.asked


def test_no_server_and_no_folder(folder, web, monkeypatch):
    monkeypatch.delenv("PRISM_DATA")
    gone = Source("ml-1m.zip", md5(b""), ("http://127.0.0.1:9/ml-1m.zip",))  # the discard port: nobody listens
    monkeypatch.setitem(datasets.SOURCES, "movielens1m", (gone,))
    with pytest.raises(FileNotFoundError, match=r"movielens1m: no data found\. Set the environment variable") as error:
        load("movielens1m")
    assert str(Path("$PRISM_DATA", "ml-1m.zip")) in str(error.value)
    assert "http://127.0.0.1:9/ml-1m.zip: " in str(error.value)


@pytest.mark.parametrize("package", ["pooch", "tqdm"])
def test_download_needs_the_extra(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ModuleNotFoundError, match=r"gowalla.npz[\s\S]*pip install -e '.\[data\]'"):
        load("gowalla")
    put_lists(folder)
    assert len(load("gowalla")) == len(USER)


def test_no_word_of_a_missing_progress_bar_in_a_notebook(tmp_path):
    script = """
import sys
sys.modules["ipywidgets"] = None  # not installed
import ipykernel.zmqshell  # what tqdm knows a notebook by
from prismlib import datasets
datasets.load("gowalla", download=False)
"""
    environment = {name: value for name, value in os.environ.items() if name != "PRISM_DATA"}
    environment["XDG_CACHE_HOME"] = str(tmp_path)  # no download of before
    words = [sys.executable, "-c", script]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert "FileNotFoundError: gowalla: no data found" in ended.stderr  # it came as far as looking for a download
    assert "IProgress" not in ended.stderr


# The published data


@pytest.mark.skipif(not REAL, reason="PRISM_DATA names no folder with the published data")
@pytest.mark.parametrize("name", [name for name in CARDS if name != "synthetic"])
def test_published_data(name):
    if not any(path.is_file() for paths in datasets._layouts(name) for path in paths):
        pytest.skip(f"PRISM_DATA has no {name}")
    data, card = load(name, download=False), CARDS[name]
    assert (data.num_users, data.num_items, len(data)) == (card.users, card.items, card.interactions)
    if card.paper:
        padding = name == "movielens1m"
        assert card.paper == (data.num_users + padding, data.num_items + padding, len(data))
    if card.content_hash:
        assert data.content_hash == card.content_hash
        assert random_split(data, 123).split_hash == card.split_hash
