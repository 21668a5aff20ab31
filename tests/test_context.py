"""Named context: every field becomes its part of one vector, and what is wrong is said by name."""

import math
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.func import vmap

from contextual_rnn import (
    MLP,
    Context,
    ContextState,
    ContextualRNN,
    Element,
    FreeState,
    Image,
    Label,
    Quantity,
    Summary,
    Vector,
    Window,
    load,
)


def encoder(hidden=3):
    core = nn.GRU(2, hidden, batch_first=True)
    return ContextualRNN(core, FreeState(core))


FIELDS = {
    "label": (lambda **a: Label(4, **a), lambda rows: torch.randint(4, (rows,))),
    "name": (lambda **a: Label(["ice", "fre"], size=3, **a), lambda rows: ["ice", "fre", "fre"][:rows]),
    "quantity": (lambda **a: Quantity(0.5, 4.5, **a), lambda rows: 0.5 + 4 * torch.rand(rows)),
    "vector": (lambda **a: Vector(3, **a), lambda rows: torch.randn(rows, 3)),
    "element": (lambda **a: Element(2, **a), lambda rows: torch.randn(rows, 2)),
    "window": (lambda **a: Window(5, 2, **a), lambda rows: torch.randn(rows, 5, 2)),
    "image": (lambda **a: Image(1, 4, 6, down=2, **a), lambda rows: torch.rand(rows, 1, 4, 6)),
    "summary": (lambda **a: Summary(encoder(), 3, **a), lambda rows: (torch.randn(rows, 4, 2), [4, 1, 2][:rows])),
}


@settings(max_examples=40, deadline=None)
@given(names=st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=6), rows=st.integers(1, 3))
def test_fields_mix_without_limit(names, rows):
    fields = {f"{name}_{place}": FIELDS[name][0]() for place, name in enumerate(names)}
    known = {f"{name}_{place}": FIELDS[name][1](rows) for place, name in enumerate(names)}
    context = Context(**fields)
    vector = context(known)
    assert vector.shape == (rows, context.out_features)
    parts = vector.split([fields[name].out_features for name in sorted(fields)], dim=1)
    for name, part in zip(sorted(fields), parts, strict=True):
        torch.testing.assert_close(part, fields[name](known[name], rows))
    alone = context({name: first(value) for name, value in known.items()})
    torch.testing.assert_close(alone, vector[:1])


def first(value):
    return (value[0][:1], value[1][:1]) if isinstance(value, tuple) else value[:1]


def test_what_each_field_makes():
    torch.testing.assert_close(Label(3)(torch.tensor([2, 0]), 2), torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    torch.testing.assert_close(Quantity(0.5, 4.5)(torch.tensor([0.5, 2.5]), 2), torch.tensor([[-1.0], [0.0]]))
    for alike in (0.9677999949201714, 0.1, 1e9 / 3):
        for count in (3, 7, 4136):
            level = Quantity.standardised([alike] * count)
            assert level(torch.tensor([alike + 0.5], dtype=torch.float64), 1).item() == pytest.approx(0.5, abs=1e-6)
    standard = Quantity.standardised([1.0, 3.0, math.nan])
    torch.testing.assert_close(standard(torch.tensor([2.0, 9.0]), 2), torch.tensor([[0.0], [7.0]]))
    coarse = Image(1, 2, 4, down=2)(torch.arange(8.0).view(1, 1, 2, 4), 1)
    torch.testing.assert_close(coarse, torch.tensor([[2.5, 4.5]]))
    assert Element(2)(torch.ones(1, 1, 2), 1).shape == (1, 2)


@pytest.mark.parametrize("kind", ["first", "last", "mean", "final"])
def test_a_summary_sees_no_padding(kind):
    field = Summary(encoder(), 3, kind)
    x = torch.randn(2, 5, 2)
    short = field((x[:1, :2], [2]), 1)
    x[0, 2:] = math.nan
    padded = field((x, torch.tensor([2, 5])), 2)
    torch.testing.assert_close(padded[:1], short)
    output, state = field.network(x[1:])
    right = {"first": output[:, 0], "last": output[:, -1], "mean": output.mean(1), "final": state[:, 0]}[kind]
    torch.testing.assert_close(padded[1:], right)


def test_the_window_is_no_part_of_the_rest():
    window = Window(2, 3)
    x, y, lengths = torch.randn(4, 6, 2), torch.randn(4, 6, 1), torch.tensor([6, 2, 3, 5])
    opened = window.take(x, y, lengths)
    torch.testing.assert_close(opened.opening, torch.cat([x, y], 2)[:, :2])
    torch.testing.assert_close((opened.x, opened.y), (x[:, 2:], y[:, 2:]))
    assert opened.lengths.tolist() == [4, 0, 1, 3]
    turned = window.take(x.transpose(0, 1), y.transpose(0, 1), batch_first=False)
    torch.testing.assert_close(turned.opening, opened.opening)
    torch.testing.assert_close(turned.x.transpose(0, 1), opened.x)
    with pytest.raises(ValueError, match="row 1 has 1 step, fewer than the window's 2"):
        window.take(x, y, torch.tensor([6, 1, 3, 5]))
    with pytest.raises(ValueError, match="more steps than the window"):
        window.take(x[:, :2], y[:, :2])
    with pytest.raises(ValueError, match="2 features; the window was made for 3"):
        window.take(x)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_what_is_not_known_has_features_of_its_own(name):
    make, value = FIELDS[name]
    context = Context(here=make(unknown=True), other=Quantity(0, 1))
    with torch.no_grad():
        context.fields[0].unknown.normal_()
    other = torch.tensor([0.0, 0.5, 1.0])
    absent = context({"other": other})
    torch.testing.assert_close(absent, context({"other": other, "here": None}))
    known = value(3)
    if name == "label":
        partly = known.clone()
        partly[1] = -1
    elif name == "name":
        partly = [known[0], None, known[2]]
    elif name == "summary":
        partly = (known[0].clone(), known[1])
        partly[0][1, 0] = math.nan
    else:
        partly = known.clone()
        partly.view(3, -1)[1, 0] = math.nan
    found, right = context({"other": other, "here": partly}), context({"other": other, "here": known})
    torch.testing.assert_close(found[1], absent[1])
    torch.testing.assert_close(found[[0, 2]], right[[0, 2]])
    found.sum().backward()
    gradients = [p.grad for p in context.parameters()]
    assert all(gradient is not None and not gradient.isnan().any() for gradient in gradients)
    with pytest.raises(ValueError, match=r"context field 'here': row 1 is missing; create the field with unknown=True"):
        Context(here=make())({"here": partly})


def test_fields_are_dropped_in_training_alone():
    context = Context(digit=Label(2, unknown=True, drop=0.3), period=Quantity(0, 1))
    known = {"digit": torch.ones(5000, dtype=torch.long), "period": torch.zeros(5000)}
    share = (context(known)[:, 1] == 0).double().mean()
    assert abs(share - 0.3) < 4 * math.sqrt(0.3 * 0.7 / 5000)
    context.eval()
    assert (context(known)[:, 1] == 1).all()


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"digits": torch.tensor([1])}, "no field 'digits': its fields are digit, name, opening, period"),
        ({"digit": torch.tensor([10])}, "field 'digit': row 0 has label 10; labels must be from 0 to 9"),
        ({"digit": torch.tensor([1.0])}, "field 'digit': labels must be integers"),
        ({"period": torch.tensor([1.0, 5.0])}, "field 'period': row 1 is 5, outside the range 0.5 to 4.5"),
        ({"period": torch.tensor([math.inf])}, "field 'period': row 0 contains a number that is infinite"),
        ({"name": ["ice", "ger"]}, "field 'name': row 1 has label 'ger'; labels must be one of ice, fre"),
        ({"opening": torch.zeros(1, 4, 2)}, r"field 'opening': expected shape \(batch, 5, 2\), found \(1, 4, 2\)"),
        (
            {"digit": torch.tensor([1, 2]), "period": torch.tensor([1.0])},
            "has 1 rows; expected 2, as in the other fields",
        ),
        ({}, "no context was given: pass a value for at least one of digit, name, opening, period"),
    ],
)
def test_what_is_wrong_is_said_by_name(known, said):
    optional = {"unknown": True}
    context = Context(
        digit=Label(10, **optional),
        period=Quantity(0.5, 4.5, **optional),
        name=Label(["ice", "fre"], **optional),
        opening=Window(5, 2, **optional),
    )
    with pytest.raises(ValueError, match=said):
        context(known)


def test_a_field_that_must_be_known_cannot_be_left_out():
    context = Context(digit=Label(10), period=Quantity(0, 1))
    with pytest.raises(ValueError, match="context field 'period': no value was given; pass one"):
        context({"digit": torch.tensor([1])})
    with pytest.raises(ValueError, match="found a Tensor"):
        context(torch.zeros(1, 2))
    with pytest.raises(ValueError, match="drop needs unknown=True"):
        Label(10, drop=0.5)


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(sorted(FIELDS)),
    value=st.one_of(
        st.lists(st.floats(), max_size=3), st.lists(st.integers(-5, 9), max_size=3), st.lists(st.text(), max_size=3)
    ),
)
def test_whatever_is_given_makes_finite_features_or_one_sentence(name, value):
    context = Context(here=FIELDS[name][0](unknown=True))
    try:
        value = value if name == "name" else torch.tensor(value)
    except (TypeError, ValueError, RuntimeError):
        return  # no tensor is made of text
    try:
        found = context({"here": value})
    except ValueError as error:
        found, said = None, str(error)
    assert said.startswith("context field 'here': ") if found is None else found.isfinite().all()


def test_saved_and_loaded_it_makes_the_same(tmp_path):
    context = Context(**{name: make(unknown=True, drop=0.1) for name, (make, _) in FIELDS.items()})
    core = nn.LSTM(1, 4, batch_first=True)
    rnn = ContextualRNN(core, ContextState(core, nn.Sequential(context, MLP(context.out_features, [5])))).eval()
    known = {name: value(3) for name, (_, value) in FIELDS.items()}
    rnn.save(tmp_path / "model.safetensors")
    again = load(tmp_path / "model.safetensors").eval()
    torch.testing.assert_close(again(torch.zeros(3, 2, 1), known), rnn(torch.zeros(3, 2, 1), known), rtol=0, atol=0)


def test_one_model_serves_any_subset():
    """A series' level is the sum of two quantities, told at the start alone: each that is known takes error away."""
    torch.manual_seed(0)
    core = nn.GRU(1, 16, batch_first=True)
    context = Context(a=Quantity(-1, 1, unknown=True, drop=0.3), b=Quantity(-2, 2, unknown=True, drop=0.3))
    rnn = ContextualRNN(core, ContextState(core, nn.Sequential(context, MLP(2, [16]))))
    head = nn.Linear(16, 1)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], 1e-2)

    def error(known):
        a, b = 2 * torch.rand(256) - 1, 4 * torch.rand(256) - 2
        told = {name: value for name, value in (("a", a), ("b", b)) if name in known}
        told = told or {"a": torch.full((256,), math.nan)}
        output, _ = rnn(torch.zeros(256, 4, 1), told)
        return (head(output)[..., 0] - (a + b).unsqueeze(1)).square().mean()

    for _ in range(250):
        optimizer.zero_grad()
        error("ab").backward()
        optimizer.step()
    rnn.eval()
    with torch.no_grad():
        both, only_b, only_a, none = (float(error(known)) for known in ("ab", "b", "a", ""))
    assert both < only_b / 2 < only_a / 2 < none / 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", [name for name in sorted(FIELDS) if name != "summary"])
def test_fields_take_the_dtype_of_the_model(name, dtype):
    make, value = FIELDS[name]
    known = {"here": value(3)}
    context = Context(here=make())
    single = context(known)
    core = nn.LSTM(1, 4, batch_first=True)
    network = nn.Sequential(context, nn.Linear(context.out_features, 5))
    model = ContextState(core, network).to(dtype)
    assert {leaf.dtype for leaf in model(3, known)} == {dtype}
    torch.testing.assert_close(context(known), single.to(dtype), rtol=2e-2, atol=2e-2)
    assert context(known).dtype == dtype


def test_columns_of_numpy_and_pandas_are_read():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"a": [0.1, 0.2, 0.3], "count": [3, 4, 5], "label": ["x", None, "y"], "number": [0, None, 2]}, index=[7, 3, 9]
    )
    context = Context(
        a=Quantity(0, 1),
        b=Quantity(0, 10),
        c=Label(["x", "y"], unknown=True),
        d=Label(3, unknown=True),
        e=Vector(2),
        f=Quantity(0, 1, unknown=True),
    )
    known = {
        "a": frame["a"],
        "b": frame["count"],
        "c": frame["label"],
        "d": frame["number"],
        "e": frame[["a", "count"]],
        "f": pandas.Series([0.5, None, 1.0], dtype="Float64"),
    }
    found = context(known)
    assert found.dtype == torch.float32
    right = [
        [-0.8, -0.4, 1, 0, 1, 0, 0, 0.1, 3, 0],
        [-0.6, -0.2, 0, 0, 0, 0, 0, 0.2, 4, 0],
        [-0.4, 0.0, 0, 1, 0, 0, 1, 0.3, 5, 1],
    ]
    torch.testing.assert_close(found, torch.tensor(right))
    arrays = {"a": np.array([0.1, 0.2]), "b": [3, 4], "c": np.array(["x", "y"]), "d": np.array([1, 2], np.uint8)}
    arrays |= {"e": np.zeros((2, 2)), "f": [0.5, None]}
    assert context(arrays).shape == (2, 10)
    core = nn.GRU(1, 4, batch_first=True)
    for network, value in [
        (MLP(1, 5), frame["a"]),
        (MLP(2, 5), frame[["a", "count"]]),
        (nn.Linear(2, 5), np.zeros((3, 2))),
        (nn.Sequential(nn.Flatten(), nn.Linear(2, 5)), torch.zeros(3, 2, dtype=torch.float64)),
        (nn.Embedding(6, 2), frame["count"]),
        (Quantity(0, 1), frame["a"]),
        (Label(["x", "y"]), ["x", "y", "x"]),
        (6, np.array([3, 4, 5], np.uint8)),
    ]:
        assert ContextState(core, network)(3, value).shape == (3, 1, 4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_labels_of_every_integer_type(dtype):
    index = torch.tensor([2, 0], dtype=dtype)
    assert torch.equal(Label(3)(index), torch.tensor([[0.0, 0, 1], [1, 0, 0]]))
    assert Label(3, size=4)(index).shape == (2, 4)
    with pytest.raises(ValueError, match="row 0 has label 200; labels must be from 0 to 2"):
        Label(3)(torch.tensor([200], dtype=torch.uint8))


def test_quantities_are_scaled_in_double():
    large = 2**40
    field = Quantity(large, large + 8)
    right = torch.tensor([[-1.0], [0.0], [1.0]])
    assert torch.equal(field(torch.tensor([large, large + 4, large + 8])), right)
    assert torch.equal(field(np.array([large, large + 4, large + 8], float)), right)
    assert torch.equal(field([large, large + 4, large + 8]), right)
    with pytest.raises(ValueError, match="row 1 contains a number that is infinite or too large for float32"):
        Quantity.standardised([0.0, 1.0])([0.0, 1e60])


def test_single_precision_is_scaled_as_before():
    field, x = Quantity(0.3, 4.7), torch.linspace(0.3, 4.7, 999)[1:-1]
    assert torch.equal(field(x)[:, 0], 2 * (x - 0.3) / (4.7 - 0.3) - 1)


def test_standardised_quantities_have_the_bits_of_double_arithmetic():
    values = np.random.default_rng(0).normal(3, 1e-3, 1001)
    right = ((values - values.mean()) / values.std()).astype(np.float32)
    found = Quantity.standardised(values)(values)
    assert found[:, 0].tolist() == [float(value) for value in right]


WRONG = {
    "text for names": (lambda: Label("north"), "found 'north'"),
    "a flag": (lambda: Label(True), "found True"),
    "numbers for names": (lambda: Label([1, 2]), r"found \[1, 2\]"),
    "no range": (lambda: Quantity(), "needs low and high, or mean and deviation"),
    "half a range": (lambda: Quantity(1.0), "needs low and high, or mean and deviation"),
    "both": (lambda: Quantity(0, 1, mean=0, deviation=1), "needs low and high, or mean and deviation"),
    "no deviation": (lambda: Quantity(mean=0, deviation=0), "the deviation positive; found 0 and 0"),
    "text as quantity": (lambda: Quantity(0, 1)(["a"]), "expected numbers, found \\['a'\\]"),
    "one label": (lambda: Label(["a", "b"])("a"), "must be a list of names, one for each sequence; found a string"),
    "no rows": (lambda: Context(a=Quantity(0, 1))({"a": 0.5}), "context field 'a': expected one row for each"),
    "complex": (lambda: Vector(1)(torch.zeros(2, 1, dtype=torch.complex64)), "expected shape"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_refused_in_one_sentence(what):
    make, said = WRONG[what]
    with pytest.raises(ValueError, match=said):
        make()


def test_fields_print_what_they_are():
    assert repr(Label(3)) == "Label(labels=3)"
    assert repr(Label(["a", "b"], unknown=True, drop=0.5)) == "Label(labels=['a', 'b'], unknown=True, drop=0.5)"
    assert repr(Quantity(0, 4.5)) == "Quantity(low=0.0, high=4.5)"
    assert repr(Quantity.standardised([1.0, 3.0])) == "Quantity(mean=2.0, deviation=1.0)"
    assert "a, b" in repr(Context(b=Label(2), a=Label(2)))


def tensors(rows):
    torch.manual_seed(rows)
    return {name: value(rows) for name, (_, value) in FIELDS.items() if name not in ("name", "summary")}


def all_fields(**arguments):
    names = [name for name in FIELDS if name not in ("name", "summary")]
    return Context(**{name: FIELDS[name][0](**arguments) for name in names}).eval()


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("unknown", [False, True])
def test_a_trace_holds_for_every_batch(unknown):
    context = all_fields(unknown=unknown)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        traced = torch.jit.trace(context, (tensors(4),), strict=False)
    assert torch.equal(traced(tensors(7)), context(tensors(7)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_an_exported_context_holds_for_every_batch():
    context = all_fields()
    batch = torch.export.Dim("batch", min=2)
    shapes = ({name: {0: batch} for name in tensors(4)},)
    program = torch.export.export(context, (tensors(4),), dynamic_shapes=shapes).module()
    known = tensors(7)
    assert torch.equal(program(known), context(known))
    known["quantity"][2] = math.nan  # cannot be refused there
    assert program(known).isnan().any(1).tolist() == [row == 2 for row in range(7)]


def test_a_context_is_vectorised():
    context, known = all_fields(unknown=True), tensors(5)
    found = vmap(lambda one: context({name: value[None] for name, value in one.items()})[0])(known)
    assert torch.equal(found, context(known))
