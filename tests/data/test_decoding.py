from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from convoscope.arrays import ByteArray
from convoscope.data.decoding import (
    BIG,
    MOST_PIXELS,
    Picture,
    has_image_suffix,
    image_suffixes,
    network_input,
    open_image,
    picture_input,
    read_picture,
    resize,
)
from convoscope.data.preprocessing import ChannelOrder, Preprocessing, Resize
from convoscope.errors import UnreadableImageError

RED, GREEN, BLUE, BLACK, WHITE = (
    (255, 0, 0),
    (0, 255, 0),
    (0, 0, 255),
    (0, 0, 0),
    (255, 255, 255),
)


def corners(rgb: ByteArray) -> list[tuple[int, ...]]:
    """The colours of the corners, clockwise from the top left."""
    return [tuple(rgb[place].tolist()) for place in ((0, 0), (0, -1), (-1, -1), (-1, 0))]


def four_colours(size: int = 4) -> Image.Image:
    """Red, green, blue and white quarters, clockwise from the top left."""
    image = np.zeros((size, size, 3), np.uint8)
    half = size // 2
    image[:half, :half], image[:half, half:] = RED, GREEN
    image[half:, half:], image[half:, :half] = BLUE, WHITE
    return Image.fromarray(image)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def pixels_of(content: bytes) -> ByteArray:
    return read_picture(content).pixels


# -- modes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "TGA", "WEBP"])
def test_lossless_formats_give_their_pixels(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    rgb = pixels_of(saved(four_colours(), kind, **options))
    assert rgb.dtype == np.uint8
    assert rgb.tolist() == np.asarray(four_colours()).tolist()


def test_gray_becomes_equal_channels() -> None:
    gray = np.arange(16, dtype=np.uint8).reshape(4, 4)
    rgb = pixels_of(saved(Image.fromarray(gray), "PNG"))
    assert all((rgb[..., c] == gray).all() for c in range(3))


def test_one_bit_is_black_and_white() -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    assert pixels_of(saved(image, "PNG")).tolist() == [[list(BLACK), list(WHITE)]]


def test_16_bit_gray_is_scaled_and_never_wraps() -> None:
    values = np.array([[0, 257, 256 * 128, 65535]], np.uint16)
    for kind in ("PNG", "TIFF"):
        picture = read_picture(saved(Image.fromarray(values), kind))
        assert picture.pixels[0, :, 0].tolist() == [0, 1, 128, 255]
        assert picture.mode.startswith("I")


def test_big_endian_16_bit_tiff_is_the_same_picture() -> None:
    values = np.array([[0, 257, 256 * 128, 65535]], np.uint16)
    little = saved(Image.fromarray(values), "TIFF")
    tags = struct.pack(
        ">2sHIH" + "HHII" * 9 + "I",
        *(b"MM", 42, 8, 9),
        *(256, 3, 1, 4 << 16),  # width
        *(257, 3, 1, 1 << 16),  # height
        *(258, 3, 1, 16 << 16),  # bits per sample
        *(259, 3, 1, 1 << 16),  # no compression
        *(262, 3, 1, 1 << 16),  # black is zero
        *(273, 4, 1, 8 + 2 + 9 * 12 + 4),  # where the pixels lie
        *(277, 3, 1, 1 << 16),  # samples per pixel
        *(278, 3, 1, 1 << 16),  # rows per strip
        *(279, 4, 1, 8),  # bytes in the strip
        0,
    )
    big = tags + values.astype(">u2").tobytes()
    assert pixels_of(big).tolist() == pixels_of(little).tolist()


def test_floats_are_read_as_0_to_1_or_0_to_255() -> None:
    unit = Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32))
    bytes_ = Image.fromarray(np.array([[0.0, 127.6, 255.0]], np.float32))
    assert pixels_of(saved(unit, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    assert pixels_of(saved(bytes_, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


def test_values_without_a_known_scale_are_refused() -> None:
    depth = Image.fromarray(np.array([[-1.5, 3000.0]], np.float32))
    with pytest.raises(UnreadableImageError, match=r"its values run from -1\.5 to 3000, and no"):
        read_picture(saved(depth, "TIFF"))
    holes = Image.fromarray(np.array([[np.nan, 1.0]], np.float32))
    with pytest.raises(UnreadableImageError, match="its values run from nan to nan"):
        read_picture(saved(holes, "TIFF"))
    wide = Image.fromarray(np.array([[0, 70000]], np.int32))
    with pytest.raises(UnreadableImageError, match="whole numbers are read as 0 to 65535"):
        read_picture(saved(wide, "TIFF"))


def test_transparency_lies_over_white() -> None:
    ink = np.zeros((1, 3, 4), np.uint8)
    ink[0, :, 3] = (0, 128, 255)  # black ink: clear, half, solid
    assert pixels_of(saved(Image.fromarray(ink), "PNG"))[0, :, 0].tolist() == [255, 127, 0]
    with_gray = Image.fromarray(ink).convert("LA")
    assert pixels_of(saved(with_gray, "PNG"))[0, :, 0].tolist() == [255, 127, 0]


def test_a_palette_with_a_transparent_colour_lies_over_white() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([*BLACK, *RED])
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF"):
        rgb = pixels_of(saved(image, kind, transparency=0))
        assert rgb.tolist() == [[list(WHITE), list(RED)]]
    assert pixels_of(saved(image, "PNG")).tolist() == [[list(BLACK), list(RED)]]


def test_cmyk_becomes_rgb() -> None:
    cyan = Image.new("CMYK", (8, 8), (255, 0, 0, 0))
    for kind in ("JPEG", "TIFF"):
        picture = read_picture(saved(cyan, kind))
        assert picture.mode == "CMYK"
        assert np.abs(picture.pixels[4, 4].astype(int) - (0, 255, 255)).max() <= 3


def test_of_an_animation_the_first_frame_is_read() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, GREEN, BLUE)]
    for kind in ("GIF", "WEBP", "TIFF", "PNG"):
        options = {"lossless": True} if kind == "WEBP" else {}
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert pixels_of(content)[0, 0].tolist() == list(RED)


@pytest.mark.parametrize(
    ("orientation", "clockwise"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [BLUE, WHITE, RED, GREEN]),
        (4, [WHITE, BLUE, GREEN, RED]),
        (5, [RED, WHITE, BLUE, GREEN]),
        (6, [WHITE, RED, GREEN, BLUE]),
        (7, [BLUE, GREEN, RED, WHITE]),
        (8, [GREEN, BLUE, WHITE, RED]),
        (99, [RED, GREEN, BLUE, WHITE]),
    ],
)
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG"])
def test_pictures_are_turned_upright(
    kind: str, orientation: int, clockwise: list[tuple[int, ...]]
) -> None:
    tags = Image.Exif()
    tags[0x0112] = orientation
    stored = four_colours(32).crop((0, 0, 32, 24))
    stored.paste(four_colours(24).resize((32, 24), Image.Resampling.NEAREST))
    options = {"quality": 100, "subsampling": 0} if kind == "JPEG" else {}
    picture = read_picture(saved(stored, kind, exif=tags, **options))
    found = np.array(corners(picture.pixels))
    assert np.abs(found - np.array(clockwise)).max() <= 6
    is_turned = orientation in (5, 6, 7, 8)
    assert (picture.width, picture.height) == ((24, 32) if is_turned else (32, 24))
    assert picture.pixels.shape == (picture.height, picture.width, 3)


def test_damaged_metadata_does_not_make_a_picture_unreadable() -> None:
    content = saved(four_colours(), "PNG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\0\0")
    assert corners(pixels_of(content))[0] == RED


def test_a_big_jpeg_is_decoded_smaller_and_looks_the_same() -> None:
    side = 2400
    assert side * side > BIG
    rows, columns = np.mgrid[0:side, 0:side]
    waves = 127 + 120 * np.sin(rows / 90) * np.cos(columns / 130)
    big = Image.fromarray(waves.astype(np.uint8)).convert("RGB")
    content = saved(big, "JPEG", quality=95)
    picture = read_picture(content, enough=512)
    assert (picture.width, picture.height) == (side, side)
    assert picture.pixels.shape == (600, 600, 3)
    whole = read_picture(content)
    assert whole.pixels.shape == (side, side, 3)
    short, long = (resize(p.pixels, (64, 64), "squash").astype(int) for p in (picture, whole))
    assert np.abs(short - long).max() <= 4


def test_suffixes_are_those_of_readable_pictures() -> None:
    assert {".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".webp"} <= image_suffixes()
    assert not {".txt", ".pdf", ".eps", ".mpg", ".csv", ".json"} & image_suffixes()


# -- what cannot be read --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.jpg", "a/b.JPEG", "a.b.png", "a.tif", "A.WEBP", "a.Gif"])
def test_an_image_is_known_by_its_suffix(name: str) -> None:
    assert has_image_suffix(name)
    assert has_image_suffix(Path(name))
    assert Path(name).suffix.lower() in image_suffixes()


@pytest.mark.parametrize("name", ["jpg", "a.jpg.txt", ".png", "a.eps", "LICENSE", "a.", ""])
def test_what_only_looks_like_an_image_is_none(name: str) -> None:
    assert not has_image_suffix(name)


def test_usual_suffixes_are_known_before_pillow_loads_all_its_readers() -> None:
    code = """
import sys
from convoscope.data.decoding import has_image_suffix
assert has_image_suffix("a.jpg") and "PIL.WebPImagePlugin" not in sys.modules
assert has_image_suffix("a.webp") and "PIL.WebPImagePlugin" in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", ["BMP", "GIF", "ICO", "JPEG", "PNG", "PPM", "TGA", "TIFF", "WEBP"])
def test_a_picture_lasts_when_its_file_is_closed(kind: str) -> None:
    stream = BytesIO()
    four_colours(32).save(stream, kind)
    picture = read_picture(stream.getvalue())
    assert picture.image.mode == "RGB"
    assert picture.image.crop((0, 0, 8, 8)).resize((1, 1)).getpixel((0, 0)) == pytest.approx(
        RED, abs=8
    )
    assert picture.pixels.shape == (32, 32, 3)


def test_an_unreadable_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    file = tmp_path / "empty.jpg"
    file.touch()
    with pytest.raises(UnreadableImageError) as caught:
        open_image(file)
    assert str(caught.value) == (
        f"{file}: an image must be readable, but the file is empty (0 bytes): "
        "mend the file, or leave it out"
    )


def test_a_text_file_is_no_image(tmp_path: Path) -> None:
    file = tmp_path / "a.jpg"
    file.write_text("hello, I am no picture")
    with pytest.raises(UnreadableImageError, match="it is in no image format that is known"):
        open_image(file)
    with pytest.raises(UnreadableImageError, match="it begins with b'hello, I am '"):
        open_image(file)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_truncated_file_is_refused(kind: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    content = saved(Image.fromarray(noise), kind)
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImageError, match=r"damaged or cut short|no image format"):
            read_picture(content[: int(len(content) * part)])


def test_damaged_bytes_are_refused_or_read_but_never_crash() -> None:
    rng = np.random.default_rng(1)
    for kind in ("JPEG", "PNG", "GIF", "TIFF", "BMP", "WEBP", "ICO", "TGA"):
        content = saved(four_colours(32), kind)
        for _ in range(40):
            damaged = bytearray(content)
            for place in rng.integers(0, len(content), 3):
                damaged[place] = rng.integers(0, 256)
            try:
                assert pixels_of(bytes(damaged)).ndim == 3
            except UnreadableImageError as error:
                assert str(error)  # noqa: PT017


def bomb(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that announces a picture of that size."""

    def chunk(name: bytes, content: bytes) -> bytes:
        whole = name + content
        return struct.pack(">I", len(content)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def test_a_picture_too_large_for_the_memory_is_refused_by_its_header(tmp_path: Path) -> None:
    file = tmp_path / "bomb.png"
    file.write_bytes(bomb(60_000, 60_000))
    with pytest.raises(
        UnreadableImageError,
        match=r"bomb\.png: .* it has 3,600,000,000 pixels, more than the 178,956,970 that",
    ):
        open_image(file)


def test_the_bound_is_met_to_the_pixel() -> None:
    side = int(MOST_PIXELS**0.5)
    with pytest.raises(UnreadableImageError, match=r"178,9\d\d,\d\d\d pixels, more than"):
        read_picture(bomb(side + 1, side + 1))


def test_a_large_picture_below_the_bound_is_tried_without_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "large.png"
    file.write_bytes(bomb(10_000, 9_000))  # Pillow warns from 89 million pixels on
    with pytest.raises(UnreadableImageError, match="it is damaged or cut short"):
        open_image(file)


def test_a_missing_file_and_a_folder_say_what_the_system_says(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="the system says 'No such file or directory'"):
        open_image(tmp_path / "a.jpg")
    with pytest.raises(UnreadableImageError, match="the system says 'Is a directory'"):
        open_image(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_says_so(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(saved(four_colours(), "PNG"))
    file.chmod(0)
    with pytest.raises(UnreadableImageError, match="the system says 'Permission denied'"):
        open_image(file)


# -- sizes ----------------------------------------------------------------------------------------


def test_an_image_of_the_right_size_stays_as_it_is() -> None:
    image = np.asarray(four_colours())
    for rule in ("squash", "crop", "pad"):
        assert resize(image, (4, 4), rule) is image


def test_squash_shows_all_of_the_picture() -> None:
    wide = np.asarray(four_colours(64).resize((128, 64), Image.Resampling.NEAREST))
    assert corners(resize(wide, (16, 16), "squash")) == [RED, GREEN, BLUE, WHITE]


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_crop_takes_the_middle(shape: tuple[int, int]) -> None:
    image = np.zeros((*shape, 3), np.uint8)
    top, left = (shape[0] - 32) // 2, (shape[1] - 32) // 2
    image[top : top + 32, left : left + 32] = RED
    cropped = resize(image, (16, 16), "crop")
    assert (cropped == RED).all()


def test_crop_of_a_hair_is_what_there_is() -> None:
    assert (
        resize(np.full((1, 4000, 3), 9, np.uint8), (8, 4), "crop").tolist() == [[[9] * 3] * 4] * 8
    )


@pytest.mark.parametrize("shape", [(32, 96), (96, 32)])
def test_pad_keeps_the_whole_picture_with_black_beside_it(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 200, np.uint8)
    padded = resize(image, (30, 30), "pad")
    inside = padded[10:20] if shape[0] < shape[1] else padded[:, 10:20]
    assert (inside == 200).all()
    assert padded.astype(int).sum() == inside.astype(int).sum()


def test_pad_shows_even_a_hair() -> None:
    hair = np.full((1, 4000, 3), 200, np.uint8)
    assert (resize(hair, (8, 8), "pad") == 200).any()


def test_shrinking_is_antialiased() -> None:
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = resize(checks[..., None], (16, 16), "squash")
    assert small.shape == (16, 16, 1)
    assert np.abs(small.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("rule", ["squash", "crop", "pad"])
@pytest.mark.parametrize("order", ["rgb", "gray"])
def test_a_picture_gives_what_its_pixels_give(rule: Resize, order: ChannelOrder) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (90, 61, 3)).astype(np.uint8)
    picture = Picture(image=Image.fromarray(noise), width=61, height=90, mode="RGB")
    for size in ((12, 30), (90, 61), (120, 100)):
        preprocessing = Preprocessing(size=size, resize=rule, order=order)
        given = picture_input(picture, preprocessing)
        assert given.shape == (*size, preprocessing.channels)
        assert (given == network_input(noise, preprocessing)).all()


def test_gray_networks_get_luminance() -> None:
    colours = np.array([[RED, GREEN, BLUE, WHITE]], np.uint8)
    gray = network_input(colours, Preprocessing(size=(1, 4), order="gray"))
    assert gray.shape == (1, 4, 1)
    expected = np.round(255 * np.array([0.299, 0.587, 0.114, 1.0]))
    assert gray[0, :, 0].tolist() == expected.tolist()


def test_colour_networks_get_gray_pictures_in_three_equal_channels() -> None:
    ink = np.arange(4, dtype=np.uint8).reshape(1, 4, 1)
    for order in ("rgb", "bgr"):
        rgb = network_input(ink, Preprocessing(size=(1, 4), order=order))
        assert rgb.tolist() == [[[v, v, v] for v in range(4)]]
