"""Every kind of image that people have, and every way in which one is broken."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from support.pictures import encoded, noise

from effbench.data.pixels.decoding import UnreadableImageError, decode

RED = (200, 30, 40)


def pixels(content: bytes) -> np.ndarray:
    picture = decode(content)
    assert picture.image.mode == "RGB"
    return np.asarray(picture.image)


def plain(mode: str, size: tuple[int, int] = (8, 6)) -> Image.Image:
    return Image.new("RGB", size, RED).convert(mode)


def test_lossless_formats_keep_every_pixel():
    image = noise(1)
    for form in ("PNG", "BMP"):
        np.testing.assert_array_equal(pixels(encoded(image, form)), np.asarray(image))
    content = encoded(image, "WEBP", lossless=True)
    np.testing.assert_array_equal(pixels(content), np.asarray(image))


@pytest.mark.parametrize("options", [{}, {"progressive": True}])
@pytest.mark.parametrize("mode", ["RGB", "CMYK", "L"])
def test_jpeg(mode, options):
    content = encoded(plain(mode), "JPEG", quality=95, **options)
    assert decode(content).format == "JPEG"
    expected = np.asarray(plain(mode).convert("RGB"), int)
    assert np.abs(pixels(content) - expected).max() <= 3


def test_a_jpeg_with_a_second_image_in_it_is_its_first():
    content = encoded(plain("RGB"), "MPO", save_all=True, append_images=[noise(1, 8, 6)])
    assert decode(content).format == "MPO"
    assert np.abs(pixels(content).astype(int) - RED).max() <= 3


def test_grey_of_16_bits_is_scaled_and_not_clipped():
    values = np.array([[0, 128, 257, 32768, 65407, 65535]], np.uint16)
    found = pixels(encoded(Image.fromarray(values)))
    np.testing.assert_array_equal(found[0, :, 0], [0, 0, 1, 128, 255, 255])
    assert (found == found[..., :1]).all()


def png(colour_type: int, bits: int, row: bytes, width: int) -> bytes:
    """A PNG of one row, as Pillow does not write them."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, 1, bits, colour_type, 0, 0, 0)
    data = zlib.compress(b"\0" + row)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def test_colours_of_16_bits():
    content = png(2, 16, struct.pack(">6H", 65535, 32768, 0, 0, 65535, 257), 2)
    np.testing.assert_array_equal(pixels(content), [[[255, 128, 0], [0, 255, 1]]])


def test_a_palette():
    found = pixels(encoded(plain("RGB").quantize(4)))
    np.testing.assert_array_equal(found, np.broadcast_to(RED, found.shape))


def test_where_an_image_is_see_through_there_is_white():
    half = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    half.putpixel((1, 0), (*RED, 255))
    np.testing.assert_array_equal(pixels(encoded(half)), [[[255] * 3, RED]])
    grey = Image.new("LA", (1, 1), (0, 0))
    np.testing.assert_array_equal(pixels(encoded(grey)), [[[255] * 3]])
    weak = Image.new("RGBA", (1, 1), (0, 0, 0, 127))
    assert pixels(encoded(weak, "WEBP", lossless=True))[0, 0, 0] == pytest.approx(128, abs=1)


def test_a_palette_with_a_colour_to_see_through():
    image = Image.new("P", (2, 1))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((1, 0), 1)
    for form in ("PNG", "GIF"):
        found = pixels(encoded(image, form, transparency=0))
        np.testing.assert_array_equal(found, [[[255] * 3, [40, 50, 60]]])


def test_the_first_frame_of_several():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "lime", "blue")]
    for form in ("GIF", "PNG", "WEBP"):
        options = {"lossless": True} if form == "WEBP" else {}
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], **options)
        np.testing.assert_array_equal(pixels(content)[0, 0], [255, 0, 0])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_turns_an_image(orientation):
    """As the standard numbers the corners: row 0 and column 0 of the file are these sides."""
    source = noise(3, 5, 4)
    turned = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    found = pixels(encoded(source, exif=exif))
    np.testing.assert_array_equal(found, turned[orientation](np.asarray(source)))
    left = decode(encoded(source, exif=exif), upright=False).image
    np.testing.assert_array_equal(left, source)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0junk" * 9]
)
def test_damaged_exif_turns_nothing(exif):
    found = pixels(encoded(plain("RGB"), "JPEG", quality=95, exif=exif))
    assert found.shape == (6, 8, 3)


def reason(content: bytes) -> str:
    with pytest.raises(UnreadableImageError) as caught:
        decode(content)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_no_bytes():
    assert reason(b"") == "0 bytes"


@pytest.mark.parametrize(
    "content",
    [b"x", b"<html>404</html>", b"%PDF-1.7", b"%!PS-Adobe-3.0 EPSF-3.0\n", b"\0" * 5000],
    ids=repr,
)
def test_what_is_no_image(content):
    assert reason(content) == "not a JPEG, PNG, GIF, BMP or WebP"


def test_formats_that_are_not_read_are_not_opened():
    assert reason(encoded(noise(1), "TIFF")) == "not a JPEG, PNG, GIF, BMP or WebP"


@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF", "BMP", "WEBP"])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_an_image_that_is_cut_off(form, share):
    content = encoded(noise(1, 64, 64), form)
    assert reason(content[: int(share * len(content))])


def test_a_png_with_a_damaged_middle():
    content = bytearray(encoded(noise(1, 64, 64)))
    content[len(content) // 2] ^= 255
    assert reason(bytes(content)).startswith("damaged: ")


def test_a_decompression_bomb():
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    bomb = png(2, 8, b"\0\0\0", 1)
    check = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    bomb = bomb[:16] + header + check + bomb[33:]
    line = reason(bomb)
    assert line.startswith("a decompression bomb: ")
    assert "900000000" in line
