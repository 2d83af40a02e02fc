import pytest

from convoscope.architecture.analysis import analyse
from convoscope.architecture.graph import class_count, logit_shapes, trunk_shape, walk
from convoscope.architecture.receptive_field import receptive_field
from convoscope.architecture.zoo import make


def test_own_net_is_small_for_digits_and_for_lines() -> None:
    for shape, classes in (((1, 28, 28), 10), ((3, 28, 28), 96)):
        analysis = analyse(make("own-net", input_shape=shape, classes=classes))
        assert analysis.parameters < 1_000_000
        assert analysis.macs < 50_000_000
    assert logit_shapes(make("own-net", input_shape=(1, 8, 8)))


def test_four_heads_ask_four_questions_of_one_trunk() -> None:
    net = make("four-heads")
    assert {head.name: head.output for head in net.heads} == {
        "length": "sigmoid",
        "width": "sigmoid",
        "colour": "sigmoid",
        "angle": "softmax",
    }
    shapes = logit_shapes(net)
    counts = {head.name: class_count(head, shapes[head.name][0]) for head in net.heads}
    assert counts == {"length": 2, "width": 2, "colour": 2, "angle": 12}
    assert net.input_shape == (3, 28, 28)


@pytest.mark.parametrize(
    ("shape", "last"),
    [
        ((3, 224, 224), 7),
        ((3, 96, 128), 6),
        ((3, 64, 64), 4),
        ((3, 32, 32), 4),
        ((1, 8, 8), 4),
        ((1, 1, 1), 1),
    ],
)
def test_small_takes_images_of_any_size(shape: tuple[int, ...], last: int) -> None:
    net = make("small", input_shape=shape)
    assert trunk_shape(net)[:2] == (256, last)
    assert analyse(net).parameters < 1_000_000
    assert analyse(net).macs < 250_000_000


def test_the_last_maps_of_small_see_most_of_a_photograph() -> None:
    assert receptive_field(make("small"))["relu5"].size == (153, 153)


def test_convolutions_before_batch_norm_have_no_bias() -> None:
    for name in ("own-net", "four-heads", "small"):
        places = list(walk(make(name)))
        convs = [place for place in places if place.layer.kind == "conv2d"]
        assert [len(p.layer.parameter_shapes(p.input_shape)) for p in convs] == [1] * len(convs)
        kinds = [place.layer.kind for place in places]
        for i, kind in enumerate(kinds):
            assert kind != "conv2d" or kinds[i + 1 : i + 3] == ["batch_norm", "activation"]
