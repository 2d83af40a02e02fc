"""Tables of paths and labels: which column is what, and what is refused."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from PIL import Image

from convoscope.data.dataset import Dataset
from convoscope.data.tables import names_images, read_table
from convoscope.errors import DataError, LeakError, UnknownNameError

Row = tuple[object, ...]


def write(folder: Path, header: str, *rows: Row, name: str = "pets.csv") -> Path:
    """A table of those rows; each first cell that ends in .png becomes an image."""
    for row in rows:
        cell = str(row[0])
        if cell.endswith(".png"):
            draw(folder / cell)
    path = folder / name
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def draw(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 4)).save(path)
    return path


def said(dataset: Dataset, head: str = "class") -> list[str | None]:
    names = dataset.class_names[head]
    return [names[i] if i >= 0 else None for i in dataset.labels[head].tolist()]


FOUR: list[Row] = [
    ("in/a.png", "cat"), ("in/b.png", "dog"), ("in/c.png", "dog"), ("d.png", "cat"),
]  # fmt: skip


# -- what a table says ----------------------------------------------------------------------------


def test_a_table_of_paths_and_labels(tmp_path: Path) -> None:
    dataset = read_table(write(tmp_path, "path,label", *FOUR))
    assert dataset.name == "pets"
    assert dataset.root == tmp_path
    assert dataset.ids == ("in/a.png", "in/b.png", "in/c.png", "d.png")
    assert dataset.files == tuple(tmp_path / name for name in dataset.ids)
    assert said(dataset) == ["cat", "dog", "dog", "cat"]
    assert dataset.class_names == {"class": ("cat", "dog")}
    assert (dataset.given_split, dataset.groups, dataset.notes) == (None, None, ())


def test_parquet_says_the_same_as_csv(tmp_path: Path) -> None:
    expected = read_table(write(tmp_path, "path,label", *FOUR))
    path = tmp_path / "pets.parquet"
    columns = {"path": [row[0] for row in FOUR], "label": [row[1] for row in FOUR]}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    dataset = read_table(path)
    assert (dataset.ids, said(dataset)) == (expected.ids, said(expected))


@pytest.mark.parametrize(
    "header", ["File Name,kind", "image_path,kind", "IMG,kind", "whatever,kind", "id,kind"]
)
def test_the_image_column_is_found_by_name_or_by_its_files(tmp_path: Path, header: str) -> None:
    assert read_table(write(tmp_path, header, *FOUR)).ids[3] == "d.png"


def test_a_path_column_beats_an_image_column_of_words(tmp_path: Path) -> None:
    rows = [(f"{i}.png", "photo", "cat" if i % 2 else "dog") for i in range(4)]
    assert read_table(write(tmp_path, "where,image,label", *rows)).ids[0] == "0.png"


def test_paths_may_lack_suffixes_and_bear_backslashes(tmp_path: Path) -> None:
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    path = tmp_path / "t.csv"
    path.write_text("id,label\nin/a,cat\nin\\b.png,dog\nin\\a.png,cat\n")
    assert read_table(path).ids == ("in/a.png", "in/b.png")


def test_decomposed_file_names_are_found(tmp_path: Path) -> None:
    draw(tmp_path / unicodedata.normalize("NFD", "grün.png"))
    draw(tmp_path / "b.png")
    path = tmp_path / "t.csv"
    path.write_text("path,label\ngrün.png,cat\nb.png,dog\n", encoding="utf-8")
    assert len(read_table(path)) == 2


def test_a_class_that_is_also_a_file_is_no_path(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / "images" / f"{number}.png")
    path = tmp_path / "t.csv"
    path.write_text("where,kind\ngone.png,1\nimages/1.png,2\nimages/2.png,1\n0.png,2\n")
    with pytest.raises(DataError, match=r"column 'where': .* 1 of 4 are not there: 'gone\.png'"):
        read_table(path)
    path.write_text("path,label\ngone.png,1\nlost.png,2\n")
    with pytest.raises(DataError, match=r"column 'path': .* 2 of 2 are not there"):
        read_table(path)


def test_images_in_one_folder_below_are_found_and_not_in_several(tmp_path: Path) -> None:
    for name in ("x/a.png", "x/b.png", "y/b.png"):
        draw(tmp_path / name)
    path = tmp_path / "t.csv"
    path.write_text("path,label\na.png,1\nx/b.png,2\n")
    assert read_table(path).ids == ("x/a.png", "x/b.png")
    path.write_text("path,label\na.png,1\nb.png,2\n")
    with pytest.raises(DataError, match=r"1 of 2 are not there: 'b\.png' \(line 3\)"):
        read_table(path)


def test_root_and_absolute_paths(tmp_path: Path) -> None:
    images = tmp_path / "images"
    elsewhere = draw(tmp_path / "x" / "b.png")
    draw(images / "a.png")
    path = write(tmp_path / "x", "path,label", ("a", 1), (elsewhere, 2), name="t.csv")
    dataset = read_table(path, root=images)
    assert dataset.root == images
    assert dataset.ids == ("a.png", elsewhere.as_posix())


def test_several_label_columns_are_heads_and_may_miss_labels(tmp_path: Path) -> None:
    rows: list[Row] = [
        ("a.png", "red", 10), ("b.png", "", 9), ("c.png", "red", 9), ("d.png", "blue", "NaN"),
        ("e.png", "blue", 10), ("f.png", "red", 10),
    ]  # fmt: skip
    dataset = read_table(write(tmp_path, "path,colour,angle", *rows))
    assert list(dataset.labels) == ["colour", "angle"]
    assert said(dataset, "colour") == ["red", None, "red", "blue", "blue", "red"]
    assert dataset.class_names["angle"] == ("9", "10")
    assert dataset.labels["angle"].tolist() == [1, 0, 0, -1, 1, 1]
    assert dataset.notes == (
        "column 'colour' is unknown for 1 of 6 images",
        "column 'angle' is unknown for 1 of 6 images",
    )


def test_columns_that_are_no_labels_are_left_out_with_a_reason(tmp_path: Path) -> None:
    rows = [
        (
            f"{i}.png",
            "cat" if i % 2 else "dog",
            i % 2,
            f"u{i}",
            0.5 * i,
            300,
            200 + i % 2,
            i % 3,
            "",
        )
        for i in range(8)
    ]
    header = "path,species,class_id,uid,score,depth,width,fold,empty"
    dataset = read_table(write(tmp_path, header, *rows))
    assert list(dataset.labels) == ["class"]
    assert said(dataset)[:2] == ["dog", "cat"]
    assert dataset.notes == (
        "column 'uid' is no label: its values hardly repeat (8 different ones in 8 rows)",
        "column 'score' is no label: it holds measurements such as 0.0",
        "column 'depth' is no label: all its cells are '300'",
        "column 'width' is no label: it holds measurements such as 200",
        "column 'fold' is no label: it numbers folds",
        "column 'empty' is no label: all its cells are empty",
        "column 'class_id' is no label: it says what 'species' says in other words",
    )


def test_asked_label_columns_are_taken_as_they_are(tmp_path: Path) -> None:
    rows = [(f"{i}.png", "cat", f"u{i}") for i in range(3)]
    dataset = read_table(write(tmp_path, "path,label,uid", *rows), label_columns=["uid"])
    assert said(dataset) == ["u0", "u1", "u2"]


@pytest.mark.parametrize("header", ["path,label,split", "path,label,Subset", "path,label,part"])
def test_a_split_column_is_found(tmp_path: Path, header: str) -> None:
    words = ("Train", "valid", "TEST", "training")
    rows = [(*row, word) for row, word in zip(FOUR, words, strict=True)]
    dataset = read_table(write(tmp_path, header, *rows))
    assert dataset.given_split == ("train", "validation", "test", "train")
    assert list(dataset.labels) == ["class"]


def test_a_validity_flag_is_a_split(tmp_path: Path) -> None:
    rows = [(*row, flag) for row, flag in zip(FOUR, ("True", "False", "1", "0"), strict=True)]
    dataset = read_table(write(tmp_path, "path,label,is_valid", *rows))
    assert dataset.given_split == ("validation", "train", "validation", "train")


def test_a_class_may_be_a_train(tmp_path: Path) -> None:
    rows = [(f"{i}.png", "train" if i % 2 else "bus") for i in range(4)]
    dataset = read_table(write(tmp_path, "path,label", *rows))
    assert (dataset.given_split, dataset.class_names["class"]) == (None, ("bus", "train"))


def test_groups_by_name_and_when_asked(tmp_path: Path) -> None:
    rows = [(*row, who) for row, who in zip(FOUR, ("p1", "p2", "p1", ""), strict=True)]
    dataset = read_table(write(tmp_path, "path,label,patient_id", *rows))
    assert dataset.groups == ("p1", "p2", "p1", "d.png")
    assert dataset.notes == (
        "images with the same 'patient_id' are one group and stay in one split",
    )
    asked = read_table(write(tmp_path, "path,label,farm", *rows), group_column="farm")
    assert asked.groups == dataset.groups
    assert list(asked.labels) == ["class"]


def test_rows_that_repeat_count_once(tmp_path: Path) -> None:
    rows = [*FOUR, ("./in/a.png", "cat"), ("in/../d.png", "cat")]
    dataset = read_table(write(tmp_path, "path,label", *rows))
    assert len(dataset) == 4
    assert dataset.notes == ("2 rows repeat an earlier one and count once (line 6, line 7)",)
    assert dataset.place == str(tmp_path / "pets.csv")
    once = read_table(write(tmp_path, "path,label", *rows[:-1]))
    assert once.notes == ("1 row repeats an earlier one and counts once (line 6)",)


def test_names_that_differ_in_case_only_are_noted(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label", ("a.png", "Cat"), ("b.png", "cat"))
    assert read_table(path).notes == (
        "'Cat' and 'cat' of 'class' are two classes, though they differ in upper and lower case "
        "only",
    )


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "rows", "sentence"),
    [
        (
            "path,label",
            [*FOUR, ("e.png", ""), ("f.png", "nan")],
            r"column 'label': every image needs a label, but 2 of 6 have none \(line 6, line 7\)",
        ),
        (
            "path,label",
            [*FOUR, *((f"gone{i}.jpg", "cat") for i in range(5))],
            r"5 of 9 are not there: 'gone0\.jpg' \(line 6\), .* and 2 more: put them there, mend",
        ),
        (
            "path,label",
            [("https://x.org/a.png?q", "cat"), ("b.png", "dog")],
            r"1 of 2 are not there: .* download the images and write their paths into the table",
        ),
        ("path,label", [*FOUR, ("", "cat"), ("nan", "dog")], "image, but line 6, line 7 are empty"),
        ("path,label", [*FOUR, (" ", "cat")], r"name an image, but line 6 is empty: fill in the"),
        (
            "path,label",
            [*FOUR, ("in/a.png", "dog")],
            r"line 2 and line 6: .* column 'label', but 'in/a\.png' has 'cat' and 'dog': keep the",
        ),
        (
            "path,label,colour",
            [
                ("a.png", 1, "red"), ("b.png", 2, "red"), ("c.png", 1, "blue"),
                ("d.png", 2, "blue"), ("a.png", 1, ""),
            ],
            r"column 'colour', but 'a\.png' has 'red' and none",
        ),
        (
            "path,label,colour",
            [("a.png", 1, "red"), ("b.png", 2, "red"), ("c.png", 1, "blue"),
             ("d.png", 2, "blue"), ("e.png", "", "")],
            r"column 'label' and 'colour': every image needs a label, but 1 of 5",
        ),
        (
            "path,label,split",
            [(*row, "later") for row in FOUR],
            r"column 'split', line 2: a split must be train, validation or test, got 'later': wri",
        ),
        (
            "path,label,split",
            [("a.png", 1, "train"), ("b.png", 2, "")],
            r"column 'split', line 3: a split must be .* got nothing: write",
        ),
        ("x,y", [(1, "cat"), (2, "dog")], r"but none of 'x', 'y' does: call it 'path', or say --"),
        ("path,uid", [("a.png", 1), ("b.png", 2)], r"must be the label, but column 'uid' is no l"),
        ("path", [("a.png",), ("b.png",)], r"but there is no other column: add a column called '"),
        (
            "path,label",
            [("a.png", 1), ("b.png", 1)],
            r"column 'label': there must be at least two classes .* found only '1': add images",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_one_sentence(
    tmp_path: Path, header: str, rows: list[Row], sentence: str
) -> None:
    with pytest.raises(DataError, match=r"pets\.csv: .*" + sentence):
        read_table(write(tmp_path, header, *rows))


def test_one_image_in_two_splits_is_a_leak(tmp_path: Path) -> None:
    rows = [("a.png", 1, "train"), ("b.png", 2, "test"), ("a.png", 1, "test")]
    with pytest.raises(LeakError, match=r"line 2 and line 4: .* 'a\.png' is in train and in test"):
        read_table(write(tmp_path, "path,label,split", *rows))


def test_unknown_columns_name_the_nearest(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,farm", *((*row, i % 2) for i, row in enumerate(FOUR)))
    for asked in ("image_column", "split_column", "group_column"):
        with pytest.raises(UnknownNameError, match=r"pets\.csv: .* 'fram': did you mean 'farm'"):
            read_table(path, **{asked: "fram"})  # type: ignore[arg-type]
    with pytest.raises(UnknownNameError, match="no column 'lable': did you mean 'label'"):
        read_table(path, label_columns=["lable"])


def test_asked_columns_must_make_sense(tmp_path: Path) -> None:
    path = write(tmp_path, "path,label,empty", *((*row, "") for row in FOUR))
    with pytest.raises(DataError, match="one thing only, but 'label' is asked for twice"):
        read_table(path, label_columns=["label"], group_column="label")
    with pytest.raises(DataError, match="label_columns must name a column, got none"):
        read_table(path, label_columns=[])
    with pytest.raises(DataError, match=r"column 'empty': .* all cells are empty: fill them in"):
        read_table(path, label_columns=["empty"])
    with pytest.raises(DataError, match="column 'label', line 2: a split must be"):
        read_table(path, split_column="label", label_columns=["empty"])


def test_pictures_inside_a_parquet_table_are_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"image": [b"\x89PNG"], "label": [1]}), path)
    with pytest.raises(
        DataError, match=r"'image' must hold words .* save images as files and thei"
    ):
        read_table(path)


def test_a_confined_table_names_nothing_elsewhere(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    draw(tmp_path / "secret.png")
    path = write(inside, "path,label", ("a.png", 1), ("b.png", 2))
    assert len(read_table(path, is_confined=True)) == 2
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    for cell in ("../secret.png", str(tmp_path / "secret.png"), "link.png"):
        path.write_text(f"path,label\na.png,1\n{cell},2\nb.png,1\n")
        with pytest.raises(DataError, match="line 3: a table from an archive may only name images"):
            read_table(path, is_confined=True)


def test_tables_that_name_images_are_told_from_others(tmp_path: Path) -> None:
    assert names_images(write(tmp_path, "anything,label", *FOUR))
    assert not names_images(write(tmp_path, "class,count", ("cat", 3), ("dog", 4)))
    assert not names_images(write(tmp_path, "path,label"))
