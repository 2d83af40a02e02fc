"""What is varied: from words, from YAML, to variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from convoscope.errors import ConvoscopeError, SettingsError
from convoscope.jobs.vary_space import (
    Factor,
    Level,
    first_network,
    from_sets,
    joined,
    merged,
    of_values,
    read_space,
    values_of,
    variants,
)

LETTERS = [
    Factor(name="a", levels=(Level(name="0"), Level(name="1", changes={"x": 1}))),
    Factor(name="b", levels=(Level(name="0"), Level(name="2", changes={"y": 2}))),
]


def test_sets_become_factors_and_a_single_value_holds_for_all() -> None:
    space = from_sets(["layers.conv1.kernel_size=2,3", "schedule=none,cosine", "epochs=4"])
    assert [factor.name for factor in space.factors] == ["conv1 kernel_size", "schedule"]
    assert [level.name for level in space.factors[0].levels] == ["2", "3"]
    assert space.factors[0].levels[1].changes == {"layers.conv1.kernel_size": 3}
    assert space.fixed == {"epochs": 4}
    assert space.combine == "grid"


def test_a_mapping_of_addresses_is_a_grid() -> None:
    space = of_values({"layers.conv1.kernel_size": [3, 5], "epochs": range(2, 4)})
    assert len(variants(space.factors, space.combine)) == 4
    with pytest.raises(SettingsError, match="epochs: there must be values to try, got none"):
        of_values({"epochs": []})


def test_the_first_of_the_networks_that_are_varied() -> None:
    sets = ["epochs=1,2", "training.backbone=vgg19,squeezenet1_0"]
    assert first_network(from_sets(sets)) == {"backbone": "vgg19"}
    assert first_network(from_sets(["model=small,own-net"])) == {"model": "small"}
    assert first_network(from_sets(["epochs=1,2", "backbone=vgg19"])) == {}


def test_none_is_no_value_in_a_layer_and_a_word_in_a_setting() -> None:
    (activation, schedule) = from_sets(
        ["layers.conv1.activation=none,relu", "training.schedule=none,step"]
    ).factors
    assert activation.levels[0].changes == {"layers.conv1.activation": None}
    assert schedule.levels[0].changes == {"training.schedule": "none"}


def test_two_addresses_with_one_short_name_keep_their_whole_ones() -> None:
    space = from_sets(["epochs=1,2", "training.epochs=3,4"])
    assert [factor.name for factor in space.factors] == ["epochs", "training.epochs"]


def test_a_grid_is_every_level_with_every_other() -> None:
    found = variants(LETTERS, "grid")
    assert [variant.label for variant in found] == ["a 0, b 0", "a 0, b 2", "a 1, b 0", "a 1, b 2"]
    assert [variant.name for variant in found] == ["as-it-is", "b-2", "a-1", "a-1-b-2"]
    assert found[3].changes == {"x": 1, "y": 2}


def test_one_at_a_time_changes_one_thing_each() -> None:
    found = variants(LETTERS, "one-at-a-time")
    assert [variant.changes for variant in found] == [{}, {"x": 1}, {"y": 2}]


def test_names_of_folders_are_safe_and_differ() -> None:
    levels = [Level(name=name, changes={"x": k}) for k, name in enumerate(("a/b", "a b", "A?B"))]
    found = variants([Factor(name="f", levels=(Level(name="0"), *levels))], "grid")
    assert [variant.name for variant in found] == ["as-it-is", "f-a-b", "f-a-b-2", "f-A-B-3"]


def test_edits_of_two_levels_are_done_one_after_the_other() -> None:
    first, second = {"layers": [{"remove": "a"}]}, {"layers": [{"remove": "b"}], "epochs": 2}
    assert merged(first, second) == {"layers": [{"remove": "a"}, {"remove": "b"}], "epochs": 2}


def test_a_file_names_factors_and_levels(tmp_path: Path) -> None:
    file = tmp_path / "v.yaml"
    file.write_text(
        "model: given-net\nsettings: {epochs: 3}\ncombine: grid\nvariations:\n"
        "  size:\n    layers.conv1.kernel_size: [7, 2]\n"
        "  pooling:\n    max: {}\n    none:\n      layers: [{remove: pool1}]\n"
    )
    space = read_space(file)
    assert (space.model, dict(space.settings), space.combine) == (
        "given-net",
        {"epochs": 3},
        "grid",
    )
    size, pooling = space.factors
    assert (size.name, size.address) == ("size", "layers.conv1.kernel_size")
    assert [level.name for level in pooling.levels] == ["max", "none"]
    assert pooling.levels[1].changes == {"layers": [{"remove": "pool1"}]}
    both = joined(space, from_sets(["epochs=5,6"]))
    assert [factor.name for factor in both.factors] == ["size", "pooling", "epochs"]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (["layers.conv1.kernel_size"], "must be followed by ADDRESS=VALUE,VALUE such as"),
        (["a=1,,2"], "must be followed by ADDRESS=VALUE,VALUE such as"),
        (["a=1,2", "a=3"], "each address must be there once, 'a' is there twice"),
        (["a=1,2,1"], "a: each value must be there once, '1' is there 2 times"),
    ],
)
def test_sets_that_say_nothing_are_refused(texts: list[str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        from_sets(texts)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("variation: {}", "there is no key of variations 'variation': did you mean 'variations'"),
        ("- a", "there must be a mapping with variations, got"),
        ("model: 3\nvariations: {a: {b: {}}}", "model must be a name or a file, got 3"),
        ("model: given-net", "variations: must hold names with what they mean, got None"),
        ("variations: {}", "variations: there must be something to vary, got none"),
        ("variations: {a: 3}", "variations: 'a': must hold names with what they mean, got 3"),
        ("variations: {a: {epochs: []}}", "variations: a: there must be values to try, got none"),
        ("variations: {a: {x: {layers: 3}}}", "'a': 'x': layers must be a list of edits"),
        ("combine: all\nvariations: {a: {x: {}}}", "there is no way to combine 'all'"),
        ("a: [", "line 1"),
    ],
)
def test_files_that_say_something_else_are_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "v.yaml"
    file.write_text(text)
    with pytest.raises(ConvoscopeError, match=says) as caught:
        read_space(file)
    assert str(caught.value).startswith(str(file))


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="variations must be a readable YAML file"):
        read_space(tmp_path / "none.yaml")


def test_nothing_to_vary_is_said() -> None:
    for factors in ([], [Factor(name="a", levels=(Level(name="0"),))]):
        with pytest.raises(SettingsError, match="there must be something to vary, got no address"):
            variants(factors, "grid")


def test_a_grid_that_nobody_can_mean_is_refused() -> None:
    factor = values_of("a", list(range(30)))
    with pytest.raises(SettingsError, match="at most 500 variants, got 30 x 30: vary less"):
        variants([factor, values_of("b", list(range(30)))], "grid")


def test_the_same_factor_twice_is_refused() -> None:
    space = from_sets(["a=1,2"])
    with pytest.raises(SettingsError, match="each thing that is varied must be there once, 'a'"):
        joined(space, space)
