"""make_corpus.py DIR - hostile images, the same ones at every run.

The name's first word says what must become of a file:
	ok-   scored		bad-  an error verdict		any-  either
None may kill a worker, take more than two seconds or 256 MB.
"""
import io
import os
import random
import struct
import sys
import zlib

from PIL import Image, ImageDraw, features

OUT = {}


def put(name, data):
    assert name not in OUT, name
    OUT[name] = bytes(data)


def picture(w=160, h=120, mode="RGB", seed=0):
    r = random.Random(seed)
    im = Image.new("RGB", (w, h), (200, 180, 90))
    d = ImageDraw.Draw(im)
    for _ in range(12):
        x, y = r.randrange(w), r.randrange(h)
        d.ellipse([x, y, x + r.randrange(5, 60), y + r.randrange(5, 60)],
                  fill=tuple(r.randrange(256) for _ in range(3)))
    return im.convert(mode)


def save(im, form, **kw):
    out = io.BytesIO()
    im.save(out, form, **kw)
    return out.getvalue()


# ---- JPEG --------------------------------------------------------------

def segments(j):
    """[(marker, start, end)] of the headers up to SOS."""
    out, at = [], 2
    while at < len(j) - 4:
        marker, n = j[at + 1], struct.unpack(">H", j[at + 2:at + 4])[0]
        out.append((marker, at, at + 2 + n))
        at += 2 + n
        if marker == 0xDA:
            break
    return out


def find(j, *markers):
    return next(s for s in segments(j) if s[0] in markers)


def sof(j, height=None, width=None, precision=None, marker=None):
    _, a, _ = find(j, 0xC0, 0xC1, 0xC2)
    b = bytearray(j)
    if marker is not None:
        b[a + 1] = marker
    if precision is not None:
        b[a + 4] = precision
    if height is not None:
        b[a + 5:a + 7] = struct.pack(">H", height)
    if width is not None:
        b[a + 7:a + 9] = struct.pack(">H", width)
    return bytes(b)


def exif(body):
    return b"\xff\xe1" + struct.pack(">H", len(body) + 8) + b"Exif\0\0" + body


def with_segment(j, seg):
    return j[:2] + seg + j[2:]


def ifd(entries, following=0, order="<"):
    out = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        out += struct.pack(order + "HHII", tag, kind, count, value)
    return out + struct.pack(order + "I", following)


def tiny_jpeg_header(w, h):
    """SOI, DQT, SOF0, and little more: a claim without pixels."""
    return (b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64 +
            b"\xff\xc0\0\x0b\x08" + struct.pack(">HH", h, w) +
            b"\1\1\x11\0" + b"\xff\xc4\0\x14\0\1" + bytes(15) + b"\0" +
            b"\xff\xda\0\x08\1\1\0\0\x3f\0\0\xff\xd9")


def scan_bomb(scans, side=2000):
    head = (b"\xff\xd8\xff\xdb\0\x43\0" + b"\1" * 64 +
            b"\xff\xc2\0\x0b\x08" + struct.pack(">HH", side, side) +
            b"\1\1\x11\0" + b"\xff\xc4\0\x14\0\1" + bytes(15) + b"\0" +
            b"\xff\xc4\0\x14\x10\1" + bytes(15) + b"\0")
    first = b"\xff\xda\0\x08\1\1\0\0\0\0\0"
    again = b"\xff\xda\0\x08\1\1\0\1\x3f\0" + b"\0" * 6
    return head + first + again * scans + b"\xff\xd9"


def jpegs():
    base = save(picture(), "JPEG", quality=80)
    prog = save(picture(seed=1), "JPEG", progressive=True)
    gray = save(picture(mode="L"), "JPEG")
    cmyk = save(picture(mode="CMYK"), "JPEG")
    for name, j in [("baseline", base), ("progressive", prog),
                    ("gray", gray), ("cmyk", cmyk),
                    ("q1", save(picture(), "JPEG", quality=1)),
                    ("q100", save(picture(), "JPEG", quality=100)),
                    ("444", save(picture(), "JPEG", subsampling=0)),
                    ("1x1", save(picture(1, 1), "JPEG")),
                    ("1x2000", save(picture(1, 2000), "JPEG")),
                    ("2000x1", save(picture(2000, 1), "JPEG")),
                    ("17x13", save(picture(17, 13), "JPEG"))]:
        put("ok-jpeg-%s.jpg" % name, j)
    # cut at every marker of the header, and along the data
    for name, j in [("baseline", base), ("progressive", prog),
                    ("cmyk", cmyk)]:
        for k, (m, a, b) in enumerate(segments(j)):
            put("bad-jpeg-%s-cut-at-%02x-%d.jpg" % (name, m, k), j[:a])
            put("bad-jpeg-%s-cut-in-%02x-%d.jpg" % (name, m, k),
                j[:(a + b) // 2])
        for k in range(1, 10):
            put("bad-jpeg-%s-cut-%d0.jpg" % (name, k),
                j[:len(j) * k // 10])
        put("any-jpeg-%s-no-eoi.jpg" % name, j[:-2])
        put("any-jpeg-%s-tail.jpg" % name, j + b"\0" * 3000)
        put("any-jpeg-%s-twice.jpg" % name, j + j)
    # tables that lie
    r = random.Random(5)
    for name, j in [("baseline", base), ("progressive", prog)]:
        for m, what in [(0xC4, "huffman"), (0xDB, "quant"), (0xDA, "sos")]:
            _, a, b = find(j, m)
            for k in range(6):
                d = bytearray(j)
                d[r.randrange(a + 4, b)] ^= 1 << r.randrange(8)
                put("any-jpeg-%s-%s-flip-%d.jpg" % (name, what, k), d)
            d = bytearray(j)
            d[a + 2:a + 4] = b"\xff\xff"
            put("bad-jpeg-%s-%s-long.jpg" % (name, what), d)
            d[a + 2:a + 4] = b"\0\0"
            put("bad-jpeg-%s-%s-short.jpg" % (name, what), d)
            put("any-jpeg-%s-%s-gone.jpg" % (name, what), j[:a] + j[b:])
        d = bytearray(j)
        _, a, b = find(j, 0xC4)
        d[a + 5:a + 21] = b"\xff" * 16
        put("bad-jpeg-%s-huffman-overfull.jpg" % name, d)
    # dimensions that lie
    for w, h in [(0, 120), (160, 0), (0, 0), (65535, 65535), (65500, 65500),
                 (65535, 1), (40000, 40000), (30000, 30000)]:
        kind = "bad" if w * h != 65535 else "any"
        put("%s-jpeg-claims-%dx%d.jpg" % (kind, w, h), sof(base, h, w))
        put("%s-jpeg-prog-claims-%dx%d.jpg" % (kind, w, h), sof(prog, h, w))
    for w, h in [(161, 121), (320, 240), (16, 16), (160, 2000)]:
        put("any-jpeg-claims-%dx%d.jpg" % (w, h), sof(base, h, w))
    put("bad-jpeg-4-gigapixels.jpg", tiny_jpeg_header(65500, 65500))
    # kinds that nobody writes
    for p in (12, 16, 1, 0):
        put("bad-jpeg-%d-bit.jpg" % p, sof(base, precision=p))
    for m in (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCF):
        put("any-jpeg-sof-%02x.jpg" % m, sof(base, marker=m))
    _, a, _ = find(base, 0xC0)
    for n in (0, 1, 2, 4, 5, 255):
        d = bytearray(base)
        d[a + 9] = n
        put("bad-jpeg-%d-components.jpg" % n, d)
    for f in (0x00, 0x55, 0xff, 0x41, 0x14):
        d = bytearray(base)
        d[a + 11] = f
        put("any-jpeg-sampling-%02x.jpg" % f, d)
    put("any-jpeg-two-sof.jpg", base[:a] + base[a:a + 19] + base[a:])
    # scans
    for n in (100, 600, 20000):
        put("%s-jpeg-%d-scans.jpg" % ("any" if n < 500 else "bad", n),
            scan_bomb(n))
    # restarts that do not come, or come wrong
    _, a, _ = find(base, 0xDA)
    for n in (1, 7, 65535):
        put("any-jpeg-restart-%d.jpg" % n, base[:a] + b"\xff\xdd\0\4" +
            struct.pack(">H", n) + base[a:])
    for k in range(8):
        d = bytearray(base)
        at = len(d) // 2 + 10 * k
        d[at:at + 2] = bytes([0xff, 0xd0 + k])
        put("any-jpeg-rst%d.jpg" % k, d)
    # EXIF: every turn, both orders, loops, lies
    for turn in range(0, 10):
        for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
            value = turn if order == "<" else turn << 16
            body = mark + struct.pack(order + "I", 8) + ifd(
                [(0x112, 3, 1, value)], 0, order)
            put("ok-jpeg-exif-turn-%d-%s.jpg" % (
                turn, "le" if order == "<" else "be"),
                with_segment(base, exif(body)))
    head = b"II*\0" + struct.pack("<I", 8)
    for name, body in [
            ("next-is-itself", head + ifd([(0x112, 3, 1, 6)], 8)),
            ("sub-is-itself", head + ifd([(0x8769, 4, 1, 8)])),
            ("sub-is-outside", head + ifd([(0x8769, 4, 1, 0xfffffff0)])),
            ("65535-entries", head + b"\xff\xff" + bytes(600)),
            ("huge-count", head + ifd([(0x112, 3, 0xffffffff, 8)])),
            ("wrong-type", head + ifd([(0x112, 99, 1, 6)])),
            ("starts-outside", b"II*\0\xff\xff\xff\x7f"),
            ("starts-at-0", b"II*\0\0\0\0\0"),
            ("empty", b""), ("short", b"II*"), ("other", b"XX*\0")]:
        put("ok-jpeg-exif-%s.jpg" % name, with_segment(base, exif(body)))
    put("ok-jpeg-icc-junk.jpg", with_segment(
        base, b"\xff\xe2\0\x20ICC_PROFILE\0\1\1" + bytes(16)))
    put("ok-jpeg-long-comment.jpg", with_segment(
        base, b"\xff\xfe\xff\xff" + b"c" * 65533))
    put("ok-jpeg-500-comments.jpg", base[:2] + b"\xff\xfe\0\4hi" * 500 +
        base[2:])
    put("ok-jpeg-fill-bytes.jpg", base[:2] + b"\xff" * 300 + base[2:])
    # mutants
    for k in range(40):
        j = bytearray(base if k % 2 else prog)
        for _ in range(1 + k % 5):
            j[r.randrange(2, len(j))] = r.randrange(256)
        put("any-jpeg-mutant-%02d.jpg" % k, j)


# ---- PNG ---------------------------------------------------------------

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind, data=b"", crc=None, length=None):
    if crc is None:
        crc = zlib.crc32(kind + data)
    n = len(data) if length is None else length
    return struct.pack(">I", n) + kind + data + struct.pack(">I", crc)


def ihdr(w, h, depth=8, colour=2, comp=0, filt=0, lace=0):
    return chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, comp,
                                      filt, lace))


def png(*chunks):
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def zeros(n):
    """zlib stream of n zero bytes, made without making them."""
    block = 1 << 20
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    c.compress(bytes(block))
    c.flush(zlib.Z_FULL_FLUSH)
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    unit = c.compress(bytes(block)) + c.flush(zlib.Z_FULL_FLUSH)
    c = zlib.compressobj(9, zlib.DEFLATED, -15)
    rest = c.compress(bytes(n % block)) + c.flush()
    adler = (n % 65521) << 16 | 1
    return b"\x78\xda" + unit * (n // block) + rest + struct.pack(">I", adler)


def pngs():
    im = picture()
    base = save(im, "PNG")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        src = picture(mode="I").point(lambda v: v * 256).convert("I;16") \
            if mode == "I;16" else im.convert(mode)
        put("ok-png-%s.png" % mode.replace(";", ""), save(src, "PNG"))
    for w, h in [(1, 1), (1, 3000), (3000, 1), (13, 17)]:
        put("ok-png-%dx%d.png" % (w, h), save(picture(w, h), "PNG"))
    # interlaced by hand: an 8x8 grey picture in seven passes
    passes = [(1, 1), (1, 1), (2, 1), (2, 2), (4, 2), (4, 4), (8, 4)]
    raw = b"".join((b"\0" + bytes(range(w))) * h for w, h in passes)
    laced = png(ihdr(8, 8, 8, 0, lace=1), chunk(b"IDAT", zlib.compress(raw)))
    put("ok-png-interlaced.png", laced)
    put("bad-png-interlaced-cut.png", png(
        ihdr(8, 8, 8, 0, lace=1), chunk(b"IDAT", zlib.compress(raw[:20]))))
    put("bad-png-lace-7.png", png(ihdr(8, 8, 8, 0, lace=7),
                                  chunk(b"IDAT", zlib.compress(raw))))
    for k in range(1, 20):
        put("bad-png-cut-%02d.png" % k, base[:len(base) * k // 20])
    for n in (0, 4, 8, 12, 20, 33):
        put("bad-png-%d-bytes.png" % n, base[:n])
    at = 8
    k = 0
    while at < len(base):                     # every chunk: damage it
        n = struct.unpack(">I", base[at:at + 4])[0]
        kind = base[at + 4:at + 8].decode()
        for what, where in (("length", at), ("crc", at + 8 + n)):
            d = bytearray(base)
            d[where] ^= 0x80
            put("any-png-%s-%s-%d.png" % (what, kind, k), d)
        put("any-png-without-%s-%d.png" % (kind, k),
            base[:at] + base[at + 12 + n:])
        at += 12 + n
        k += 1
    some = zlib.compress(bytes((160 * 3 + 1) * 120))
    for w, h in [(0, 120), (160, 0), (1 << 31, 1), (1, 1 << 31),
                 (0xffffffff, 0xffffffff), (60000, 60000), (30000, 30000),
                 (1000000, 1), (1, 1000000), (161, 120), (160, 121)]:
        kind = "any" if w in (161, 160) and h else "bad"
        put("%s-png-claims-%dx%d.png" % (kind, w, h),
            png(ihdr(w, h), chunk(b"IDAT", some)))
    for depth, colour in [(1, 2), (3, 0), (16, 3), (8, 1), (8, 5), (0, 0),
                          (255, 255), (4, 4)]:
        put("bad-png-depth-%d-colour-%d.png" % (depth, colour),
            png(ihdr(160, 120, depth, colour), chunk(b"IDAT", some)))
    put("bad-png-compression-1.png", png(ihdr(160, 120, comp=1),
                                         chunk(b"IDAT", some)))
    put("bad-png-filter-1.png", png(ihdr(160, 120, filt=1),
                                    chunk(b"IDAT", some)))
    put("any-png-row-filter-9.png", png(ihdr(4, 4, 8, 0), chunk(
        b"IDAT", zlib.compress((b"\x09" + bytes(4)) * 4))))
    put("bad-png-no-palette.png", png(ihdr(4, 4, 8, 3), chunk(
        b"IDAT", zlib.compress((b"\0" + bytes(4)) * 4))))
    put("any-png-palette-index.png", png(
        ihdr(4, 4, 8, 3), chunk(b"PLTE", bytes(3)),
        chunk(b"IDAT", zlib.compress((b"\0" + b"\xff" * 4) * 4))))
    put("any-png-long-palette.png", png(
        ihdr(4, 4, 8, 3), chunk(b"PLTE", bytes(3 * 300)),
        chunk(b"IDAT", zlib.compress((b"\0" + bytes(4)) * 4))))
    put("bad-png-two-ihdr.png", png(ihdr(4, 4), ihdr(5, 5),
                                    chunk(b"IDAT", some)))
    put("any-png-unknown-critical.png", png(
        ihdr(4, 4, 8, 0), chunk(b"ABCD", b"x"),
        chunk(b"IDAT", zlib.compress((b"\0" + bytes(4)) * 4))))
    # bombs
    put("bad-png-60000x60000-1bit.png", png(
        ihdr(60000, 60000, 1, 0), chunk(b"IDAT", zeros(60000 * 7501))))
    put("bad-png-20000x20000-16bit.png", png(
        ihdr(20000, 20000, 16, 6), chunk(b"IDAT", zeros(300 << 20))))
    put("any-png-too-much-data.png", png(
        ihdr(16, 16, 8, 0), chunk(b"IDAT", zeros(200 << 20))))
    for kind, lead in [(b"zTXt", b"Comment\0\0"), (b"iCCP", b"icc\0\0"),
                       (b"iTXt", b"Comment\0\1\0\0\0")]:
        put("any-png-%s-bomb.png" % kind.decode(), png(
            ihdr(16, 16, 8, 0), chunk(kind, lead + zeros(200 << 20)),
            chunk(b"IDAT", zlib.compress((b"\0" + bytes(16)) * 16))))
    put("any-png-5000-text.png", png(
        ihdr(16, 16, 8, 0), chunk(b"tEXt", b"a\0b") * 5000,
        chunk(b"IDAT", zlib.compress((b"\0" + bytes(16)) * 16))))
    put("any-png-8000-idat.png", png(ihdr(16, 16, 8, 0), *(
        chunk(b"IDAT", bytes([b])) for b in zlib.compress(
            bytes(17 * 16), 0) + bytes(8000))))
    put("bad-png-chunk-2gb.png", SIGNATURE + ihdr(4, 4) + chunk(
        b"IDAT", b"x" * 50, length=0x7fffffff))
    # APNG: frames that are there, and that are not
    row = zlib.compress((b"\0" + bytes(16)) * 16)
    fctl = struct.pack(">IIIIIHHBB", 0, 16, 16, 0, 0, 1, 10, 0, 0)
    for name, n in [("2", 2), ("0", 0), ("4-billion", 0xffffffff)]:
        put("any-apng-%s-frames.png" % name, png(
            ihdr(16, 16, 8, 0), chunk(b"acTL", struct.pack(">II", n, 0)),
            chunk(b"fcTL", fctl), chunk(b"IDAT", row),
            chunk(b"fcTL", struct.pack(">I", 1) + fctl[4:]),
            chunk(b"fdAT", struct.pack(">I", 2) + row)))
    r = random.Random(6)
    for k in range(30):
        d = bytearray(base)
        for _ in range(1 + k % 4):
            d[r.randrange(8, len(d))] = r.randrange(256)
        put("any-png-mutant-%02d.png" % k, d)


# ---- the rest ----------------------------------------------------------

def others():
    j, p = save(picture(), "JPEG"), save(picture(), "PNG")
    put("any-polyglot-jpeg-zip.jpg", j + b"PK\3\4" + bytes(100) + b"PK\5\6" +
        bytes(18))
    put("any-polyglot-jpeg-png.jpg", j + p)
    put("any-polyglot-png-jpeg.png", p + j)
    put("any-polyglot-png-html.png", p + b"<script>alert(1)</script>")
    put("any-polyglot-gif-jpeg.gif", b"GIF89a" + j)
    put("bad-pdf.pdf", b"%PDF-1.7\n" + j)
    put("bad-svg.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
    put("bad-xml-laughs.svg", b"<!DOCTYPE l [<!ENTITY a 'ha'>]><svg>&a;</svg>")
    put("bad-bmp.bmp", save(picture(), "BMP"))
    put("bad-tiff.tif", save(picture(), "TIFF"))
    put("bad-zeros", bytes(10000))
    put("bad-ones", b"\xff" * 10000)
    put("bad-soi-only", b"\xff\xd8")
    put("bad-soi-soi", b"\xff\xd8" * 5000)
    r = random.Random(7)
    for k in range(10):
        put("bad-random-%d" % k, r.randbytes(1 << k))
    if features.check("webp"):
        w = save(picture(), "WEBP")
        put("any-webp.webp", w)
        for k in range(1, 8):
            put("bad-webp-cut-%d.webp" % k, w[:len(w) * k // 8])
        for k in range(10):
            d = bytearray(w)
            d[r.randrange(12, len(d))] ^= 1 << r.randrange(8)
            put("any-webp-flip-%d.webp" % k, d)
        put("bad-webp-huge.webp", w[:4] + b"\xff\xff\xff\x7f" + w[8:])
    g = save(picture(mode="P"), "GIF", save_all=True,
             append_images=[picture(seed=k, mode="P") for k in range(1, 6)])
    put("any-gif.gif", g)
    for k in range(1, 8):
        put("any-gif-cut-%d.gif" % k, g[:len(g) * k // 8])
    for k in range(10):
        d = bytearray(g)
        d[r.randrange(6, len(d))] ^= 1 << r.randrange(8)
        put("any-gif-flip-%d.gif" % k, d)
    put("bad-gif-65535.gif", g[:6] + b"\xff\xff\xff\xff" + g[10:40])


def main():
    jpegs()
    pngs()
    others()
    os.makedirs(sys.argv[1], exist_ok=True)
    for name, data in OUT.items():
        with open(os.path.join(sys.argv[1], name), "wb") as f:
            f.write(data)
    print(len(OUT))


if __name__ == "__main__":
    main()
