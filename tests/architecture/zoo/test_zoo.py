from pathlib import Path

import pytest

from convoscope.architecture.files import to_yaml
from convoscope.architecture.graph import logit_shapes, trunk_shape, without_top
from convoscope.architecture.zoo import ZOO, make, resolve
from convoscope.errors import SettingsError, ShapeError, UnknownNameError

NAMES = {
    "two-conv",
    "architecture-1",
    "architecture-2",
    "architecture-3",
    "given-net",
    "own-net",
    "four-heads",
    "flexible",
    "lenet-5",
    "mobilenet_v2",
    "small",
    "squeezenet1_0",
    "vgg11",
    "vgg16",
    "vgg19",
}


def test_the_zoo_holds_every_network_under_its_own_name() -> None:
    assert set(ZOO) == NAMES
    assert {name: make(name).name for name in ZOO} == {name: name for name in ZOO}


@pytest.mark.parametrize("name", sorted(NAMES - {"four-heads"}))
def test_every_network_with_one_head_takes_any_number_of_classes(name: str) -> None:
    assert logit_shapes(make(name, classes=17)) == {"class": (17,)}
    assert logit_shapes(make(name, classes={"class": 3})) == {"class": (3,)}
    assert len(trunk_shape(without_top(make(name)))) == 3


def test_classes_are_given_per_head() -> None:
    net = make("four-heads", classes={"angle": 6, "colour": 2})
    assert logit_shapes(net) == {"length": (1,), "width": (1,), "colour": (1,), "angle": (6,)}
    with pytest.raises(
        SettingsError,
        match=r"^model 'four-heads': one number of classes is for a network with one head, this "
        "one has length, width, colour, angle: give a number per head, such as angle=5",
    ):
        make("four-heads", classes=5)
    with pytest.raises(UnknownNameError, match="there is no head 'color': did you mean 'colour'"):
        make("four-heads", classes={"color": 2})


@pytest.mark.parametrize("classes", [1, 0, -3])
def test_there_must_be_two_classes(classes: int) -> None:
    with pytest.raises(SettingsError, match="head 'class': there must be at least 2 classes, got"):
        make("small", classes=classes)


def test_an_unknown_network_is_told_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="there is no model 'vgg91': did you mean 'vgg19'"):
        make("vgg91")
    with pytest.raises(UnknownNameError, match="there is no model 'q': known are architecture-1, "):
        resolve("q")


def test_only_flexible_takes_options() -> None:
    with pytest.raises(
        SettingsError, match="model 'vgg19': only flexible takes options, got filters: leave them"
    ):
        make("vgg19", filters=3)


def test_a_network_that_does_not_fit_its_input_says_which_layer() -> None:
    with pytest.raises(
        ShapeError, match=r"^model 'lenet-5': layer 'conv2' \(3 of 8\): a 5x5 kernel with padding 0"
    ):
        make("lenet-5", input_shape=(1, 8, 8))


def test_resolve_takes_names_and_files(tmp_path: Path) -> None:
    assert resolve("small", input_shape=(3, 32, 32), classes=4) == make(
        "small", input_shape=(3, 32, 32), classes=4
    )
    assert resolve("flexible", blocks=2) == make("flexible", blocks=2)
    file = tmp_path / "mine.yaml"
    file.write_text(to_yaml(make("lenet-5")), encoding="utf-8")
    assert resolve(str(file)) == make("lenet-5")
    changed = resolve(str(file), input_shape=(3, 40, 40), classes=7)
    assert changed == make("lenet-5", input_shape=(3, 40, 40), classes=7)


def test_errors_about_a_files_network_name_the_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(to_yaml(make("lenet-5")), encoding="utf-8")
    with pytest.raises(ShapeError, match=r"mine\.yaml: layer 'conv2' \(3 of 8\): a 5x5 kernel"):
        resolve(str(file), input_shape=(1, 8, 8))
    with pytest.raises(SettingsError, match=r"mine\.yaml': only flexible takes options, got blo"):
        resolve(str(file), blocks=3)


def test_a_file_without_an_ending_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text(to_yaml(make("lenet-5")), encoding="utf-8")
    assert resolve("mine") == make("lenet-5")


def test_a_headless_network_says_that_it_has_no_head_for_classes(tmp_path: Path) -> None:
    file = tmp_path / "trunk.yaml"
    file.write_text(to_yaml(without_top(make("lenet-5"))), encoding="utf-8")
    with pytest.raises(SettingsError, match="this one has none: give a number per head, such as c"):
        resolve(str(file), classes=3)
