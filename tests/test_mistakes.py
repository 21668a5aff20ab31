"""Mistakes of files and options, one command each: the error says where, what is wrong, and what mends it."""

import datetime

import polars as pl
import pytest
from spelling import WORDS, listed
from tanks import columns

from contextual_rnn import Label, save
from contextual_rnn.cli import main
from contextual_rnn.data.pairs import read_pairs
from contextual_rnn.data.units import Units
from contextual_rnn.jobs.forecast.model import ForecastModel
from contextual_rnn.jobs.forecast.settings import ForecastSettings
from contextual_rnn.jobs.generation.model import SeriesGenerator
from contextual_rnn.jobs.generation.settings import GenerationSettings
from contextual_rnn.jobs.pairs import PairModel, PairSettings
from contextual_rnn.jobs.series import SeriesModel, SeriesSettings

SERIES = "--inputs u --targets y --epochs 1 --updates 2 --hidden 4 --length 10"
FORECAST = "--targets y --past 8 --horizon 4 --epochs 1 --updates 2 --hidden 4"
PAIRS = "--epochs 1 --hidden 4 --embedding 4"

TABLE = pl.DataFrame(columns(2, 40, kind=lambda number: "ab"[number], size=float))
LINES = TABLE.write_csv().split("\n")
START = datetime.date(2020, 1, 1)
DAYS = ["time,u,y", *(f"{START + datetime.timedelta(day)},{day % 7},{day % 5}" for day in range(40))]
SPELLED = "".join(f"{source}\t{target}\n" for source, target in listed(WORDS))


def changed(line, column, value):
    """Return the table with another cell."""
    cells = LINES[line - 1].split(",")
    cells[column] = value
    return "\n".join([*LINES[: line - 1], ",".join(cells), *LINES[line:]])


FILES = {
    "good.csv": "\n".join(LINES),
    "days.csv": "\n".join(DAYS),
    "semicolons.csv": "\n".join(LINES).replace(",", ";"),
    "commas.csv": "\n".join(LINES).replace(",", ";").replace(".", ","),
    "headless.csv": "\n".join(LINES[1:]),
    "units.csv": "\n".join([LINES[0], "-,m,m,-,-", *LINES[1:]]),
    "names.csv": "\n".join([LINES[0], *(f"{number},{line}" for number, line in enumerate(LINES[1:-1]))]),
    "text.csv": changed(7, 1, "abc"),
    "missing.csv": changed(7, 1, ""),
    "varying.csv": changed(7, 4, "5.0"),
    "label.csv": "\n".join(LINES).replace(",b,", ",z,"),
    "short.csv": "\n".join(LINES[:8]),
    "wide.csv": "\n".join([*LINES[:5], LINES[5] + ",3", *LINES[6:]]),
    "quote.csv": "\n".join(LINES).replace("s0", '"s0', 1),
    "empty.csv": "",
    "header.csv": LINES[0] + "\n",
    "table.txt": "\n".join(LINES),
    "table.xlsx": "PK",
    "latin.csv": "\n".join(LINES).replace("s0", "é").encode("latin-1"),
    "without_u.csv": TABLE.drop("u").write_csv(),
    "month13.csv": "\n".join([*DAYS[:5], "2020-13-01,1,2", *DAYS[6:]]),
    "twice.csv": "\n".join([*DAYS, DAYS[-1]]),
    "gap.csv": "\n".join([*DAYS[:9], *DAYS[10:]]),
    "backwards.csv": "\n".join([DAYS[0], *DAYS[:0:-1]]),
    "second.csv": "\n".join([DAYS[0], *DAYS[1::2]]),
    "pairs.tsv": SPELLED,
    "commas.tsv": SPELLED.replace("\t", ","),
    "tags.tsv": SPELLED.replace("\n", "\tN\n"),
    "gap.tsv": "ab\tA B\nba\t\n",
    "latin.tsv": "ab\tA\né\tB\n".encode("latin-1"),
    "sentences.tsv": "A man in an orange hat stares at a thing.\tx\nTwo dogs run over the wet grass.\ty\n",
    "variants.tsv": "ab\ta b, c d\nba\tb a\n",
    "slashes.tsv": "ab\t/a b/\nba\tb a\n",
    "comment.tsv": "# a\tb\nab\tA B\n",
    "heading.tsv": "ab\tauskunft\n" + "".join(f"{word}\tx y\n" for word in WORDS),
    "smiles.tsv": "CCQ\tab\nCC\tba\n",
    "one.txt": "a\nb\n",
    "two.txt": "a\n",
    "lists/Dutch.txt": "Abel\n",
    "bad.yaml": "hiden: 3\n",
    "twice.yaml": "hidden: 3\nhidden: 4\n",
    "huge.csv": changed(7, 1, "1e60"),
    "thousands.csv": 'u,y\n"1,000",1\n"2,000",2\n',
    "percent.csv": "u,y\n0.5 %,1\n12 %,2\n",
    "words.csv": "u,y\n" + "".join(f"word{number},{number}\n" for number in range(20)),
    "dates.csv": "u,y\n" + "2020-01-01,1\n2020-01-02,2\n" * 9,
    "mixed.csv": "u,y\n" + "1,1\nred,2\nblue,3\n" * 9,
    "zipped.csv": b"PK\x03\x04\0\0",
    "binary.csv": bytes(range(256)),
    "wide16.csv": "\n".join(LINES).encode("utf-16-le"),
    "ends.csv": 'u,y\n"a"b,1\n',
    "trailing.csv": "\n".join([LINES[0], *(f"{line}," for line in LINES[1:-1])]),
    "repeated.csv": "\n".join([*LINES[:9], LINES[0], *LINES[9:]]),
    "footer.csv": "\n".join([*LINES[:-1], "# 80 rows"]),
    "infinite.csv": changed(2, 1, "inf"),
    "page.csv": "<!DOCTYPE html>\n<html></html>\n",
    "two_separators.csv": "u;y,z\n1;2,3\n2;3,4\n",
    "two_formats.csv": "\n".join([*DAYS[:20], *(f"{day % 28 + 1:02}.05.2020,1,2" for day in range(20))]),
    "titled.csv": "Measured in May\n\n" + "\n".join(LINES),
}

# Each: the command, and the parts of its error. OUT is a run folder that is new.
MISTAKES = [
    # separators, headers, encodings
    (
        f"fit series --train semicolons.csv {SERIES} OUT",
        ["semicolons.csv: ", "no comma, but a semicolon", '--separator ";"'],
    ),
    (
        f"fit series --train commas.csv --separator ; {SERIES} OUT",
        ["line 2, column 'u'", "found '0,6", '--decimal ","'],
    ),
    (f"fit series --train headless.csv {SERIES} OUT", ["headless.csv", "no column 'u'; it has 's0'", "--no-header"]),
    (f"fit series --train units.csv {SERIES} OUT", ["units.csv, line 2, column 'u'", "found 'm'", "--skip-rows 2"]),
    (
        f"fit series --train names.csv {SERIES} OUT",
        ["names.csv, line 2: the row has 6 cells, but the header has 5 names", "--no-header"],
    ),
    (
        f"fit series --train table.txt {SERIES} OUT",
        ["table.txt: the ending .txt does not say", "has commas: give", '--separator ","'],
    ),
    (f"fit series --train latin.csv {SERIES} OUT", ["latin.csv, line 2", "is not UTF-8", "such as --encoding latin-1"]),
    (
        f"fit series --train wide.csv {SERIES} OUT",
        ["wide.csv, line 6: the row has 6 cells, but the header has 5 names", "quotation marks, or delete the cells"],
    ),
    (
        f"fit series --train quote.csv {SERIES} OUT",
        ["quote.csv, line 2: a quotation mark", "none closes it; delete it"],
    ),
    (f"fit series --train empty.csv {SERIES} OUT", ["empty.csv is empty", "needs a header and rows"]),
    (f"fit series --train header.csv {SERIES} OUT", ["header.csv has no rows under its header"]),
    (f"fit series --train table.xlsx {SERIES} OUT", ["table.xlsx is a spreadsheet", "save it as a .csv file"]),
    (
        f"fit series --train lists {SERIES} OUT",
        ["lists is a folder", "--series-from-file NAME to read each file as a series of its own; NAME is a new column"],
    ),
    (
        f"fit series --train g*.csv {SERIES} OUT",
        ["g*.csv is a pattern of 2 files; give --series-from-file NAME to read each file"],
    ),
    (
        f"fit series --train good.csv --encoding latin1x {SERIES} OUT",
        ["--encoding must be the name", "found 'latin1x'"],
    ),
    # cells and columns
    (
        f"fit series --train text.csv {SERIES} OUT",
        ["text.csv, line 7, column 'u'", "'abc'", "--missing-values 'abc' and --missing hold"],
    ),
    (
        f"fit series --train missing.csv {SERIES} OUT",
        ["missing.csv, line 7, column 'u'", "the number is missing", "give --missing hold"],
    ),
    (
        f"fit series --train good.csv {SERIES} --targets yy OUT",
        ["good.csv has no column 'yy'", "it has 'id', 'u', 'y'"],
    ),
    (
        f"fit series --train good.csv {SERIES} --targets u OUT",
        ["column 'u' is named in --inputs and --targets; name it in one of them"],
    ),
    (
        f"fit series --train varying.csv --series id --context size {SERIES} OUT",
        [
            "varying.csv, line 7, column 'size'",
            "'s0' has 0.0 before and 5.0 here; correct the cell",
            "give size in --inputs",
        ],
    ),
    (f"fit series --train good.csv --series= {SERIES} OUT", ["--series must not be empty"]),
    (f"fit series --train huge.csv {SERIES} OUT", ["huge.csv, line 7, column 'u': '1e60' is too large"]),
    (
        f"fit series --train thousands.csv {SERIES} OUT",
        ["line 2, column 'u'", "'1,000'", "thousands, write 1000;", 'give --decimal ","'],
    ),
    (f"fit series --train percent.csv {SERIES} OUT", ["line 2, column 'u'", "'0.5 %'", "write the number alone, 0.5,"]),
    (f"fit series --train good.csv --decimal , {SERIES} OUT", ["line 2, column 'u'", 'give --decimal "."']),
    (
        f"fit series --train good.csv {SERIES} --targets kind OUT",
        ["column 'kind'", "no cell of the column is a number; name another column in --targets"],
    ),
    (
        f"fit series --train words.csv {SERIES} OUT",
        ["words.csv, column 'u'", "all 20 texts differ", "name another column than u in --inputs, or give --labels u"],
    ),
    (
        f"fit series --train dates.csv {SERIES} OUT",
        ["line 2, column 'u'", "holds times", "give --time u and name another column than u in --inputs;"],
    ),
    (
        f"fit series --train mixed.csv {SERIES} OUT",
        ["line 3, column 'u'", "numbers and texts", "correct the texts, or,", "give --labels u"],
    ),
    (
        f"fit series --train good.csv {SERIES} --labels y OUT",
        ["--labels names 'y'", "of --context (none) and of --inputs ('u'); leave 'y' out of --labels"],
    ),
    (
        "fit series --train good.csv --inputs kind --targets y --epochs 1 --test label.csv OUT",
        ["label.csv, line 42, column 'kind'", "no label 'z'; it has a, b"],
    ),
    (f"fit series --train good.csv {SERIES} --inputs u,size OUT", ["no column 'u,size'", "one by one, as u size"]),
    (
        f"fit series --train good.csv --separator ; {SERIES} OUT",
        ["the name 'id,u,y,kind,size' has commas", 'so give --separator ","'],
    ),
    (
        f"fit series --train good.csv --skip-rows 100 {SERIES} OUT",
        ["good.csv has 82 lines, and --skip-rows 100 leaves", "a smaller number"],
    ),
    (f"fit series --train titled.csv {SERIES} OUT", ["line 3", "the header has 1 name;", "give --skip-rows 2"]),
    (
        f"fit series --train good.csv --encoding utf-16 {SERIES} OUT",
        ["good.csv has no rows when its --encoding is utf-16", "leave --encoding out"],
    ),
    (
        f"fit series --train zipped.csv {SERIES} OUT",
        ["zipped.csv is a zip archive or an Excel file", "save the table as CSV"],
    ),
    (
        f"fit series --train binary.csv {SERIES} OUT",
        ["binary.csv is not a text file, although its name ends in .csv", "give it the ending of that format"],
    ),
    (
        f"fit series --train trailing.csv {SERIES} OUT",
        ["line 2", "if every row ends with a separator, give --skip-rows 1", "6 names, the last for the empty column"],
    ),
    (
        f"fit series --train repeated.csv {SERIES} OUT",
        ["line 10, column 'u'", "this line repeats the header: delete it"],
    ),
    (
        f"fit series --train footer.csv {SERIES} OUT",
        ["footer.csv, line 83", 'start with # are comments, give --comment "#"'],
    ),
    (f"fit series --train infinite.csv {SERIES} OUT", ["line 2, column 'u'", "found 'inf'; correct the cell, or"]),
    (f"fit series --train page.csv {SERIES} OUT", ["page.csv is a web page (HTML)", "save the table itself as CSV"]),
    (
        f"fit series --train two_separators.csv {SERIES} OUT",
        ["no column 'u'", "the name 'u;y' has semicolons, so give --separator \";\""],
    ),
    (f"fit series --train q_*.csv {SERIES} OUT", ["q_*.csv: no file matches this pattern\n"]),
    (f"fit series --train good.csv days.csv {SERIES} OUT", ["--train takes one file; to read several, give a pattern"]),
    (
        "fit generation --train good.csv --series id --targets y --context u --epochs 1 --hidden 4 OUT",
        ["good.csv, line 3, column 'u'", "or leave u out of --context if it changes with time"],
    ),
    # times
    (
        f"fit series --train month13.csv --time time {SERIES} OUT",
        ["line 6, column 'time'", "'2020-13-01' is not read as a time; write all times", "2024-12-31"],
    ),
    (
        f"fit series --train twice.csv --time time {SERIES} OUT",
        ["line 42, column 'time'", "time of line 41", "delete one of the rows, or name in --series"],
    ),
    (
        f"fit series --train gap.csv --time time {SERIES} OUT",
        ["line 9", "1 row is absent", "--gaps missing and --missing hold"],
    ),
    (
        f"fit series --train backwards.csv {SERIES} OUT",
        ["backwards.csv, line 3, column 'time'", "give --time time to sort", '--time "none"'],
    ),
    (
        f"fit forecast --train good.csv --calendar hour {FORECAST} OUT",
        ["--calendar hour is computed from the times", "name it in --time", "leave --calendar out"],
    ),
    (
        f"fit series --train two_formats.csv --time time {SERIES} OUT",
        ["line 21, column 'time'", "'01.05.2020' has another format than '2020-01-01' above it; write all times"],
    ),
    # lengths, kinds and numbers
    (
        f"fit series --train good.csv --window 100 {SERIES} OUT",
        ["good.csv has 81 steps", "at least 102", "--window is 100", "or train with a --window of at most 79"],
    ),
    (
        f"fit forecast --train short.csv {FORECAST} OUT",
        [
            "has 7 steps",
            "at least 24 (twice the sum of --past and --horizon); give longer",
            "--validation table, with which 9",
        ],
    ),
    (f"fit series --train good.csv --washout 20 {SERIES} OUT", ["--washout (20) must be less than --length (10)"]),
    (
        f"fit series --train good.csv --initial-state context {SERIES} OUT",
        [
            "'context' is computed",
            "name in --context columns that have one value in each",
            "give --window 5",
            "choose another",
        ],
    ),
    (f"fit series --train good.csv --initial-state contxt {SERIES} OUT", ["must be one of", "did you mean 'context'"]),
    (f"fit series --train good.csv {SERIES} --hidden big OUT", ["--hidden must be an integer; found 'big'"]),
    # the command line
    (f"fit series --train good.csv {SERIES} --hiden 4 OUT", ["no option --hiden", "did you mean --hidden"]),
    (f"fit series hidden 4 --train good.csv {SERIES} OUT", ["does not take 'hidden' here", "did you mean --hidden"]),
    (
        f"fit series --train good.csv {SERIES} --resume yes OUT",
        ["--resume is a switch and takes no value; leave 'yes' out"],
    ),
    (
        f"compare series --train good.csv {SERIES} OUT",
        ["`contextual-rnn compare series` needs --test PATH (table to report errors on)\n"],
    ),
    ("predict model_series --inputs good.csv --out", ["--out needs a value, as --out PATH"]),
    ("fit serie --train good.csv", ["no command 'fit serie'", "did you mean fit series"]),
    ("fit pairs --config bad.yaml OUT", ["--config bad.yaml", "no option 'hiden'", "did you mean 'hidden'?"]),
    ("fit pairs --config twice.yaml OUT", ["--config twice.yaml, line 2: 'hidden' is given twice"]),
    ("fit pairs --config no.yaml OUT", ["--config no.yaml: there is no such file"]),
    (
        f"fit pairs --train pairs.tsv {PAIRS} --out model_pairs",
        ["model_pairs/config.json does not hold the settings of a run", "another --out"],
    ),
    # models
    ("predict model_series --inputs without_u.csv --out x.csv", ["without_u.csv has no column 'u'; it has 'id', 'y'"]),
    (
        "predict model_series --inputs label.csv --out x.csv",
        ["label.csv, line 42, series 's1', column 'kind'", "no label 'z'; it has a, b"],
    ),
    (
        "predict model_series --inputs good.csv --out good.csv",
        ["--out good.csv is the file of --inputs", "another name"],
    ),
    ("predict model_series --inputs good.csv --out x.xlsx", ["x.xlsx", "must end in .csv, .tsv or .parquet"]),
    (
        "predict model_generation --inputs good.csv --out x.csv",
        ["model_generation", "generates series; use `contextual-rnn sample model_generation --out PATH`"],
    ),
    (
        "transcribe model_series --input one.txt",
        [
            "model_series",
            "predicts the targets of series; use `contextual-rnn predict model_series --inputs PATH --out PATH`",
        ],
    ),
    ("sample model_generation --out x.csv", ["--context needs a value of every context column: give kind=a or kind=b"]),
    (
        "sample model_generation --out x.csv --context kind=z",
        ["column 'kind'", "no label 'z'; it has a, b"],
    ),
    (
        "sample model_generation --out x.csv --context kin=a",
        ["no context column 'kin', only 'kind'; did you mean 'kind'?"],
    ),
    (
        "forecast model_forecast --past days.csv --out x.csv",
        [
            "reads 'u' of the steps to forecast",
            "--future, a table with the columns 'time' and 'u' for the 4 rows",
            "(2020-02-10 to 2020-02-13)",
        ],
    ),
    (
        "forecast model_forecast --past second.csv --future days.csv --out x.csv",
        ["second.csv is 2 days", "of 1 day; give a table of that frequency"],
    ),
    (
        "predict model_series --inputs missing.csv --out x.csv",
        [
            "missing.csv, line 7, column 'u': the number is missing",
            "change this table, or `fit` another model with --missing (a model reads every table as it was fitted)",
        ],
    ),
    (
        "predict model_series --inputs semicolons.csv --out x.csv",
        [
            "but a semicolon; change this table, or `fit` another model with --separator",
            "or `fit` another model with --separator",
        ],
    ),
    (
        "predict model_series --inputs good.csv --start good.csv --out x.csv",
        ["good.csv is no file of this", "--start takes the file that `predict` wrote as --end for the rows before"],
    ),
    ("sample model_generation --out x.csv --context kind=a kind=b", ["two values of 'kind', 'a' and 'b'"]),
    (
        f"fit series --train gap.csv --time time --gaps missing {SERIES} OUT",
        ["--gaps missing needs a way to fill", "give --missing hold"],
    ),
    (f"fit series --train good.csv --gaps missing {SERIES} OUT", ["name their column in --time"]),
    (f"fit pairs --train pairs.tsv {PAIRS} --resume --out model_pairs", ["config.json does not hold the settings"]),
    ("predict model_series --inputs good.csv extra --out x.csv", ["does not take 'extra' here: --inputs takes one"]),
    ("compare series --train good.csv --inputs u", ["needs --test PATH", "--out PATH", "--targets COLUMN ..."]),
    (
        "predict good.csv --inputs good.csv --out x.csv",
        ["good.csv is no file of this package", "give the folder that `fit` wrote"],
    ),
    (f"fit series --train wide16.csv {SERIES} OUT", ["text in UTF-16; give --encoding utf-16-le\n"]),
    (f"fit series --train ends.csv {SERIES} OUT", ["line 2: text follows the quotation mark", "twice"]),
    (
        f"fit series --train good.csv --hidden 4 {SERIES} --targets yy OUT",
        ["(--hidden is given twice, and the last", "yy"],
    ),
    # pairs of texts
    (f"fit pairs --train commas.tsv {PAIRS} OUT", ["commas.tsv, line 1 has no tab", '--separator ","']),
    (
        f"fit pairs --train tags.tsv {PAIRS} OUT",
        ["tags.tsv, line 1 has 2 tabs", "('aa', 'A:', 'N') is a label", "--label-column 3 for the last"],
    ),
    (f"fit pairs --train gap.tsv {PAIRS} OUT", ["gap.tsv, line 2: the target is empty; write it, or delete the line"]),
    (f"fit pairs --train latin.tsv {PAIRS} OUT", ["latin.tsv, line 2: byte 1 is not UTF-8", "--encoding"]),
    (f"fit pairs --train sentences.tsv {PAIRS} OUT", ["sentences.tsv", "'A man in an orange hat", "--source-unit"]),
    (
        f"fit pairs --train variants.tsv {PAIRS} OUT",
        ["variants.tsv, line 1", "has a comma", '--target-separator ","', "or --target-separator none"],
    ),
    (
        f"fit pairs --train slashes.tsv {PAIRS} OUT",
        ["slashes.tsv, line 2", "no slashes around it", "such as '/a b/'", "--enclosing strip"],
    ),
    (f"fit pairs --train comment.tsv {PAIRS} OUT", ["comment.tsv, line 1 starts with #", '--comment "#"']),
    (
        f"fit pairs --train heading.tsv {PAIRS} OUT",
        ["line 1 ('ab', 'auskunft')", "--header present", "--header absent"],
    ),
    (
        f"fit pairs --train smiles.tsv --source-unit smiles {PAIRS} OUT",
        ["smiles.tsv, line 1", "character 3, 'Q', is no atom", "another --source-unit"],
    ),
    (
        f"fit pairs --train lists {PAIRS} OUT",
        ["lists is a folder; give --file-name to say", "such as Dutch, are: source or target"],
    ),
    (
        f"fit pairs --train pairs.tsv --columns word pron {PAIRS} OUT",
        ["no column 'word'; its first line, which is read as the header", "leave --columns out"],
    ),
    (
        f"fit pairs --source one.txt --target two.txt {PAIRS} OUT",
        ["one.txt has 2 lines and two.txt has 1 line", "must have the same number"],
    ),
    (f"fit pairs --train a=pairs.tsv --test b=pairs.tsv {PAIRS} OUT", ["--test must have the labels", "(a); found b"]),
    ("transcribe model_pairs --input pairs.tsv", ["pairs.tsv, line 1 has a tab", "delete the tab", "--label-column"]),
    ("transcribe model_pairs --label fre", ["--label fre: the model was trained without labels; leave --label out"]),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files, and with a model of each job."""
    folder = tmp_path_factory.mktemp("mistakes")
    (folder / "lists").mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    read = {"targets": ["y"], "hidden": 4}
    kind = {"kind": Label(["a", "b"])}
    models = {
        "series": SeriesModel(SeriesSettings(inputs=["u"], series="id", context=["kind"], **read), kind),
        "generation": SeriesGenerator(GenerationSettings(series="id", context=["kind"], **read), kind),
        "forecast": ForecastModel(ForecastSettings(inputs=["u"], time="time", past=8, horizon=4, **read), {}, "1 day"),
        "pairs": PairModel(PairSettings(hidden=4, embedding=4), ["a"], ["A"], Units("characters", "symbols")),
    }
    for job, model in models.items():
        (folder / f"model_{job}").mkdir()
        save(model, folder / f"model_{job}" / "model.safetensors")
    (folder / "model_pairs" / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize(
    ("command", "said"), MISTAKES, ids=[command.partition(" --epochs")[0] for command, _ in MISTAKES]
)
def test_a_mistake_is_named_with_its_place_and_what_mends_it(command, said, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    with pytest.raises(SystemExit) as stopped:
        main(command.replace(" OUT", " --out run").split())
    printed = capsys.readouterr()
    assert (stopped.value.code, printed.out, printed.err.count("\n")) == (2, "", 1), printed.err
    assert printed.err.startswith("contextual-rnn: ")
    assert [part for part in said if part not in printed.err] == [], printed.err
    assert not (folder / "run").exists()


# Each: a command, and what is said of what is read as it is, but may be a mistake. OUT is a run folder that is new.
TINY = "--inputs u --targets y --epochs 1 --updates 1 --hidden 1 --length 5"
SAID = [
    (
        f"fit series --train decimals.csv --separator ; --decimal , --series id {TINY} OUT",
        ["Every number of column 'u' of decimals.csv that has a comma has three digits", "1,000 is read as 1.000"],
    ),
    (
        f"fit series --train newest.csv --time time {TINY} --seed 0 --seed 1 --resume OUT",
        [
            "The rows of newest.csv are sorted by 'time', as line 3 goes back in time.",
            "for 1 epoch.",
            "if column 'id', whose 2 values each stand in one block of rows, tells series apart, give --series id",
            "--seed is given twice, and the last one counts",
            "held no run to resume, so this is a new one",
        ],
    ),
    (
        f"fit series --train newest.csv --time time --labels u {TINY} OUT",
        ["They are numbers, 12 distinct ones in 12 rows: if they are quantities, leave u out of --labels."],
    ),
    ("transcribe model_pairs --input empty.txt", ["the input is empty, so nothing was written"]),
]


@pytest.mark.parametrize(("command", "said"), SAID, ids=["thousands", "order", "labels", "empty"])
def test_what_may_be_a_mistake_is_said(command, said, folder, tmp_path, monkeypatch, capsys):
    days = [f"{START + datetime.timedelta(11 - day)},{'ab'[day // 6]},{day},{day % 5}" for day in range(12)]
    (folder / "newest.csv").write_text("\n".join(["time,id,u,y", *days]))
    rows = [f"{'ab'[row // 6]};{row + 1},{row * 37 % 1000:03d};{row % 5}" for row in range(12)]
    (folder / "decimals.csv").write_text("\n".join(["id;u;y", *rows]))
    (folder / "empty.txt").write_text("")
    monkeypatch.chdir(folder)
    main(command.replace(" OUT", f" --out {tmp_path / 'run'}").split())
    printed = capsys.readouterr()
    found = " ".join((printed.out + printed.err).split())
    assert [part for part in said if part not in found] == [], found


def test_labels_of_a_column_are_counted(tmp_path):
    path = tmp_path / "tags.tsv"
    path.write_text("ab\tA B\tN\nba\tB A\tV\n")
    assert "tags.tsv: the label column has 2 distinct labels: 'N', 'V'." in read_pairs(path, label_column=3).notes


def test_there_are_at_least_forty_mistakes_of_every_job():
    commands = [command.split(" --")[0].split()[:2] for command, _ in MISTAKES]
    assert len(commands) >= 40
    for name in ("fit series", "fit forecast", "fit pairs", "predict", "sample", "forecast", "transcribe"):
        assert any(" ".join(command).startswith(name) for command in commands)
