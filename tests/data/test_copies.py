from tests.data.conftest import decoded_of

from convoscope.data.copies import belonging, copies


def test_images_with_the_same_pixels_belong_together() -> None:
    decoded = decoded_of([0, 1, 0, 1], pixels=list("abac"), ids=list("wxyz"))
    assert belonging(decoded) == ("w", "x", "w", "z")


def test_a_group_joins_what_its_images_are_copies_of() -> None:
    decoded = decoded_of(
        [0, 1, 0, 1, 0], pixels=list("abacd"), ids=list("vwxyz"), groups=list("pqrqs")
    )
    assert belonging(decoded) == ("v", "w", "v", "w", "z")
    assert copies(decoded) == ("v", "w", "v", "y", "z")


def test_where_all_are_independent_there_is_nothing_to_say() -> None:
    assert belonging(decoded_of([0, 1, 0, 1])) is None
    assert copies(decoded_of([0, 1, 0, 1], groups=list("aabb"))) is None
