import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from convoscope.architecture.files import to_yaml
from convoscope.architecture.zoo import ZOO, make
from convoscope.cli.describe import describe
from convoscope.errors import ConvoscopeError, SettingsError, UnknownNameError


def run(*words: str) -> Result:
    return CliRunner().invoke(describe, list(words), catch_exceptions=False)


def described(*words: str) -> dict[str, object]:
    content = json.loads(run(*words, "--json").output)
    assert isinstance(content, dict)
    return content


def rows(*words: str) -> dict[str, dict[str, object]]:
    layers = described(*words)["layers"]
    assert isinstance(layers, list)
    return {layer["name"]: layer for layer in layers}


def program(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The installed program in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", "from convoscope.cli import main; main()", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    )


def test_vgg19_to_the_unit() -> None:
    content = described("vgg19")
    assert content["parameters"] == 143_667_240
    assert content["macs"] == 19_632_062_464
    layers = rows("vgg19")
    assert layers["block5_conv4"]["receptive_field"] == [252, 252]
    assert layers["block5_conv4"]["jump"] == [16, 16]
    assert layers["block5_pool"]["receptive_field"] == [268, 268]
    assert layers["block5_pool"]["output_shape"] == [512, 7, 7]


def test_no_top_leaves_the_heads_out() -> None:
    assert described("vgg19", "--no-top")["parameters"] == 20_024_384
    assert "head" not in run("vgg19", "--no-top").output


def test_input_and_classes_are_free() -> None:
    content = described("two-conv", "--input", "3x224x224", "--classes", "3")
    assert content["parameters"] == 389_336_515
    assert rows("small", "--input", "1x32x48", "--classes", "7")["dense"]["output_shape"] == [7]
    heads = described("four-heads", "--classes", "angle=6, length=2")["heads"]
    assert heads == {"length": [1], "width": [1], "colour": [1], "angle": [6]}


def test_every_row_of_the_table_is_a_layer_and_its_numbers() -> None:
    lines = run("architecture-1").output.splitlines()
    cells = {line.split()[0]: line.split() for line in lines if line.strip()}
    assert cells["conv1"][1:] == (
        ["conv2d", "8x54x54", "2,912", "8,468,064", "91.1", "KiB", "11", "4"]
    )
    assert cells["pool2"][1:] == ["max_pool2d", "16x10x10", "6.2", "KiB", "67", "16"]
    assert cells["dense1"][1:] == ["dense", "128", "204,928", "204,800", "512", "B", "all"]
    assert cells["total"][1:] == ["211,701", "10,222,304", "155.5", "KiB"]
    assert cells["211,701"][:2] == ["211,701", "parameters"]


def test_the_conventions_stand_below_the_table() -> None:
    text = run("lenet-5").output
    assert "1 MAC = one multiplication by a weight and its addition (2 FLOPs)" in text
    assert "memory = every layer's output for one image in float32" in text
    assert "61,706 parameters (241.0 KiB in float32), 416.52 kMACs" in text


def test_the_totals_of_the_table_are_the_sums_of_its_columns() -> None:
    lines = [line.split() for line in run("vgg11").output.splitlines() if line.strip()]
    body = [x for x in lines if len(x) > 2 and x[1] in ("conv2d", "dense")]
    total = next(x for x in lines if x[0] == "total")
    for column in (0, 1):
        added = sum(int(x[3 + column].replace(",", "")) for x in body)
        assert f"{added:,}" == total[1 + column]


def test_several_heads_have_a_line_each() -> None:
    lines = [line.strip() for line in run("four-heads").output.splitlines()]
    heads = [line for line in lines if line.startswith("head ")]
    assert heads == ["head 'length'", "head 'width'", "head 'colour'", "head 'angle'"]


def test_branches_are_indented(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    body = "[{kind: conv2d, name: inner, filters: 1, padding: 1}]"
    file.write_text(
        f"input_shape: [1, 8, 9]\nlayers: [{{kind: residual, name: '[b]sum', body: {body}}}]",
        encoding="utf-8",
    )
    text = run(str(file)).output
    assert "\n   inner" in text
    assert "\n [b]sum" in text
    assert run(str(file), "--input", "1x30x8").output.startswith("net: input 1x30x8\n")


def test_a_file_is_described_as_the_network_in_it(tmp_path: Path) -> None:
    file = tmp_path / "lenet.yaml"
    file.write_text(to_yaml(make("lenet-5")), encoding="utf-8")
    assert described(str(file)) == described("lenet-5")


def test_small_numbers_have_no_prefix(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    layers = "[{kind: conv2d, filters: 1, kernel_size: 2}, {kind: flatten}]"
    file.write_text(f"input_shape: [1, 3, 3]\nlayers: {layers}", encoding="utf-8")
    assert "5 parameters (20 B in float32), 16 MACs, 32 B of activations" in run(str(file)).output


def test_flexible_shows_formulas_beside_the_numbers() -> None:
    text = run("flexible").output
    lines = [line.split() for line in text.splitlines()]
    assert "Formulas, m = 32, k = 3, n = 64" in text
    assert ["conv", "weights", "parameters", "(3", "+", "4m)·m·k²", "37,728"] in lines
    assert ["dense", "weights", "parameters", "64·m·n", "131,072"] in lines
    assert ["output", "weights", "parameters", "10·n", "640"] in lines
    assert ["conv", "MACs", "(196608", "+", "21760m)·m·k²", "257,163,264"] in lines
    assert [
        *["total", "MACs", "(196608", "+", "21760m)·m·k²", "+", "64·m·n", "+", "10·n"],
        "257,294,976",
    ] in lines
    assert "169,674 parameters" in text


def test_flexible_takes_options() -> None:
    content = described(
        "flexible",
        *("--set", "filters=16", "--set", "organisation=x2", "--set", "batch-norm=yes"),
        *("--set", "dropout=.25", "--set", "activation=elu", "--classes", "4"),
    )
    assert content["symbols"] == {"m": 16, "k": 3, "n": 64}
    formulas = content["formulas"]
    assert isinstance(formulas, list)
    found = {(line["part"], line["counts"]): line for line in formulas}
    assert found["total", "parameters"]["value"] == content["parameters"]
    assert found["total", "macs"]["value"] == content["macs"]
    assert found["output weights", "parameters"]["symbols"] == "4·n"
    layers = rows("flexible", "--set", "filters=16", "--set", "organisation=x2")
    assert layers["conv5"]["output_shape"] == [256, 16, 16]


@pytest.mark.parametrize(
    ("words", "kind", "message"),
    [
        (["vgg91"], UnknownNameError, "there is no model 'vgg91': did you mean 'vgg19'?"),
        (
            ["vgg19", "--input", "224x224"],
            SettingsError,
            "--input must be channels x height x width such as 3x224x224, got '224x224'",
        ),
        (
            ["vgg19", "--classes", "many"],
            SettingsError,
            "--classes must be a whole number, or one per head such as angle=12,length=2, got 'man",
        ),
        (["vgg19", "--set", "x"], SettingsError, "--set must be KEY=VALUE such as filters=32, got"),
        (["flexible", "--set", "filter=3"], UnknownNameError, "did you mean 'filters'?"),
        (
            ["flexible", "--set", "filters=x"],
            SettingsError,
            "filters must be an int from 1 to 65536, got 'x'",
        ),
        (
            ["nets/none.yaml"],
            ConvoscopeError,
            "nets/none.yaml: a network's description must be ",
        ),
    ],
)
def test_mistakes_are_one_sentence(
    words: list[str], kind: type[ConvoscopeError], message: str
) -> None:
    with pytest.raises(kind) as caught:
        run(*words)
    assert message in str(caught.value)


def test_the_program_exits_with_2_and_one_line() -> None:
    result = program("describe", "lenet-5", "--input", "1x8x8")
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == (
        "convoscope: model 'lenet-5': layer 'conv2' (3 of 8): a 5x5 kernel with padding 0 does not "
        "fit in a map of 4x4: use a smaller kernel, more padding, fewer poolings before it, or a "
        "larger input\n"
    )


def test_a_table_too_wide_for_the_terminal_goes_without_kinds() -> None:
    result = program("describe", "vgg19", FORCE_COLOR="1", COLUMNS="80", TERM="dumb")
    assert result.returncode == 0
    assert "max_pool2d" not in result.stdout
    rules = [line for line in result.stdout.splitlines() if "block5_conv4" in line]
    assert len(rules) == 1
    assert "462,422,016" in rules[0]


def test_describe_loads_neither_numpy_nor_pytorch_nor_pydantic() -> None:
    code = (
        "import sys; sys.argv = ['convoscope', 'describe', 'flexible']\n"
        "from convoscope.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch', 'pydantic', 'yaml', 'PIL'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert result.stdout.splitlines()[-1] == "[]"


def test_describing_a_file_loads_neither_numpy_nor_pytorch(tmp_path: Path) -> None:
    file = tmp_path / "net.yaml"
    file.write_text(to_yaml(make("small")), encoding="utf-8")
    code = (
        f"import sys; sys.argv = ['convoscope', 'describe', {str(file)!r}]\n"
        "from convoscope.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'numpy', 'torch'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert result.stdout.splitlines()[-1] == "[]"


def test_help_lists_the_networks() -> None:
    text, width = run("--help").output, max(map(len, ZOO))
    for name, entry in ZOO.items():
        assert f"  {name}  {' ' * (width - len(name))}{entry.summary}\n" in text
