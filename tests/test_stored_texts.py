"""Training texts and pairs that stay on the disk: the minibatches of memory, and the buffer that shuffles rows."""

import gc
import random

import numpy as np
import polars as pl
import pytest
import torch
from spelling import SMALL, WORDS, listed

from contextual_rnn import InputError
from contextual_rnn.data import parquet, stored_rows
from contextual_rnn.data.stored_rows import Rows, StoredRows
from contextual_rnn.jobs import pairs, texts

GIVEN = {"text": "name", "context": ["size", "kind"], "unit": "characters", "jobs": 1, "hidden": 6, "embedding": 4}
GIVEN |= {"epochs": 2, "batch_size": 8}


def numbered(count, blocks=1):
    """Return rows that hold their own number, each twice."""
    rows = StoredRows(2)
    for part in np.array_split(np.arange(count), blocks):
        rows.add(Rows.of([([number], [number, number]) for number in part]))
    return rows


def names(count=60):
    """Return a table of texts with a number, a label and gaps."""
    draw = random.Random(1)
    rows = []
    for number in range(count):
        kind, text = draw.choice("xyz"), "".join(draw.choices("abcdé", k=draw.randint(1, 9)))
        rows.append((text, None if number % 7 == 0 else float(len(text)), None if number % 5 == 0 else kind))
    return pl.DataFrame(rows, schema=["name", "size", "kind"], orient="row")


@pytest.fixture
def small(monkeypatch):
    """Blocks of 10 rows, and a buffer of as little as is asked for."""
    monkeypatch.setattr(stored_rows, "BLOCK", 10)
    monkeypatch.setattr(stored_rows, "LEAST", 0.0)
    monkeypatch.setattr(parquet, "PIECE", 25)


def test_rows_come_once_an_epoch_and_every_block_equally_often_at_any_place(small):
    rows = numbered(200)
    torch.manual_seed(0)
    memory = 3 * 10 * (stored_rows.OF_A_ROW + 20) / 1e9
    assert rows.blocks_of_buffer(memory) == 3
    firsts = torch.zeros(20)
    for _ in range(400):
        buffers = [[int(part[0]) for part in buffer.part(0)] for buffer in rows.buffers(memory)]
        assert list(map(len, buffers)) == [30] * 6 + [20]
        assert sorted(number for buffer in buffers for number in buffer) == list(range(200))
        firsts += torch.bincount(torch.tensor(buffers[0]) // 10, minlength=20) / 10
    expected = 400 * 3 / 20
    assert float(((firsts - expected) ** 2 / expected).sum()) < 43.8  # 0.999 quantile of 19 degrees of freedom


def test_a_buffer_of_all_rows_keeps_their_order_and_its_file_is_removed(small):
    rows = numbered(23, 4)
    (buffer,) = rows.buffers(1.0)
    assert [part.tolist() for part in buffer.part(1)] == [[number, number] for number in range(23)]
    folder = rows.scratch.folder
    assert folder.exists()
    del rows
    gc.collect()
    assert not folder.exists()


def same(found, wanted):
    for name, tensor in wanted.state_dict().items():
        assert torch.allclose(tensor, found.state_dict()[name], rtol=1e-5, atol=1e-6), name


def test_training_on_texts_from_the_disk_is_that_in_memory(tmp_path, small):
    table = names()
    (tmp_path / "set").mkdir()
    for number in range(3):
        table[20 * number : 20 * number + 20].write_parquet(tmp_path / "set" / f"{number}.parquet")
    found = texts.fit(tmp_path / "set", test=table[:9], memory=1e-3, **GIVEN)
    wanted = texts.fit(table, test=table[:9], **GIVEN)
    assert found.symbols == wanted.symbols
    assert found.fields["kind"].names == wanted.fields["kind"].names
    assert found.fields["size"].mean == pytest.approx(wanted.fields["size"].mean, rel=1e-12)
    same(found, wanted)
    said = [one for one in found.report.sentences if "disk" in one]
    assert [one for one in found.report.sentences if one not in said] == wanted.report.sentences
    assert said[0].startswith("The 55 training texts stay on the disk, as 0.00")
    for name, errors in wanted.report.rows.items():
        assert found.report.rows[name] == pytest.approx(errors, rel=1e-5), name


def test_training_with_a_small_buffer_resumes_exactly(tmp_path, small, monkeypatch):
    path = tmp_path / "a.parquet"
    names(200).write_parquet(path, row_group_size=20)
    options = {**GIVEN, "memory": 1e-6, "updates": 3}
    whole = texts.fit(path, **options)
    evaluated, bits = [], texts.train.bits_by_text

    def ends_in_the_second_epoch(model, encoded):
        evaluated.append(model)
        if len(evaluated) == 2:
            raise KeyboardInterrupt
        return bits(model, encoded)

    monkeypatch.setattr(texts.train, "bits_by_text", ends_in_the_second_epoch)
    with pytest.raises(KeyboardInterrupt):
        texts.fit(path, out=tmp_path / "run", **options)
    monkeypatch.setattr(texts.train, "bits_by_text", bits)
    found = texts.fit(path, out=tmp_path / "run", resume=True, **options)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, found.state_dict()[name]), name


def test_what_is_wrong_in_texts_on_the_disk_is_named(tmp_path, small):
    path = tmp_path / "a.parquet"

    def fails(table, match, **options):
        table.write_parquet(path)
        with pytest.raises(InputError, match=match):
            texts.fit(path, **{**GIVEN, "memory": 1e-6, **options})

    place = pl.int_range(pl.len()) == 33
    empty = pl.when(place).then(pl.lit(" ")).otherwise("name")
    fails(names().with_columns(name=empty), "a.parquet, row 34, column 'name': the text is empty")
    text = pl.when(place).then(pl.lit("big")).otherwise(pl.col("size").cast(pl.String))
    fails(names().with_columns(size=text), r"row 34, column 'size': 'big' is no finite number, but 50 of 51 values")
    fails(names().with_columns(size=pl.lit(None, pl.Float64)), "`context`: no value of the column 'size' is known")
    fails(names().drop("kind"), "a.parquet has no column 'kind'; it has 'name', 'size'")


def labelled(count=30):
    """Return a table of words, their sounds, and a language of two tags."""
    rows = [(*one, "de;N" if number % 3 else "en;V") for number, one in enumerate(listed(WORDS[:count]))]
    return pl.DataFrame(rows, schema=["word", "sounds", "language"], orient="row")


@pytest.mark.parametrize("columns", [["word", "sounds", "language"], ["word", "sounds"]])
def test_training_on_pairs_from_the_disk_is_that_in_memory(columns, tmp_path, small):
    table = labelled()
    table.write_parquet(tmp_path / "a.parquet", row_group_size=7)
    options = {**SMALL, "hidden": 8, "epochs": 2, "columns": columns, "label": "token" if len(columns) > 2 else "h0"}
    options |= {"batch_symbols": 60, "choose_by": "loss"} if len(columns) == 2 else {}
    found = pairs.fit(tmp_path, test=table[:4], memory=1e-3, **options)
    wanted = pairs.fit(table, test=table[:4], **options)
    assert (found.source.symbols, found.target.symbols) == (wanted.source.symbols, wanted.target.symbols)
    same(found, wanted)
    about = ("semicolons", "the label column")  # these begin with the name of the file or argument
    said, others = (
        [one for one in each.report.sentences if not any(words in one for words in about)] for each in (found, wanted)
    )
    (on_disk,) = [one for one in said if "disk" in one]
    assert on_disk.startswith("The 27 training pairs stay on the disk")
    assert [one for one in said if one != on_disk] == others
    assert found.report.rows == wanted.report.rows


def test_what_is_wrong_in_pairs_on_the_disk_is_named(tmp_path, small):
    def fails(table, match, **options):
        table.write_parquet(tmp_path / "a.parquet")
        with pytest.raises(InputError, match=match):
            pairs.fit(tmp_path, memory=1e-3, columns=["word", "sounds", "language"], **{**SMALL, **options})

    place = pl.int_range(pl.len()) == 28
    fails(labelled().with_columns(word=pl.when(place).then(None).otherwise("word")), "row 29, column 'word': a text")
    fails(labelled().drop("sounds"), "has no column 'sounds'; it has 'word', 'language'")
    with pytest.raises(InputError, match="`memory` needs a training table that is a Parquet file"):
        pairs.fit(listed(WORDS), memory=1e-3, **SMALL)
