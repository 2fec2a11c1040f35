"""Multiply-adds of one image in our image tower, from its shape alone.

Those of all matrix products, attention's q k' and p v among them; not what is
done to single values: norms, softmax, activations, quantising.  Of the last
layer only the class row leaves the tower, and there no other row has a key or
a value (daemon/model/read.h).  A matrix that many rows go through takes seven
eighths of its multiply-adds in fp32 (fp32_strassen.h), in int8 only where the
kernel does that, and in the blocks (int8_strassen.h).

    >>> gflop = lambda *a, **k: round(2e-9 * sum(multiply_adds(*a, **k)), 2)
    >>> gflop({}, 512, plain=True)
    8.23
    >>> gflop({}, 512)
    7.12
    >>> gflop({}, 512, "avx2")
    8.12
    >>> gflop({}, 512, "avx512vnni")
    7.14
    >>> gflop({}, 512, whole=True)
    8.82
    >>> multiply_adds({"hidden_size": 128, "intermediate_size": 512,
    ...                "num_hidden_layers": 1, "image_size": 32,
    ...                "patch_size": 16}, 64, "avx512vnni")
    (153600, 458752)
"""
# of Hugging Face's CLIPVisionConfig: ViT-B/32
DEFAULTS = {"hidden_size": 768, "intermediate_size": 3072, "patch_size": 32,
            "num_hidden_layers": 12, "num_attention_heads": 12,
            "image_size": 224, "hidden_act": "quick_gelu",
            "layer_norm_eps": 1e-5}
DEEP = 256              # inputs from which a matrix is in int8
FINE = ("avx2",)        # kernels that leave the last block in fp32
MANY = ("avx512vnni",)  # kernels that take seven products for eight
ROWS = 24               # of a picture, from which seven products do for eight
DEPTH = 1536            # up to which they do before an activation


def multiply_adds(config, embed, int8=None, plain=False, whole=False):
    """(in fp32, in int8); int8: the kernel, or None for all in fp32.  plain:
    eight products where we take seven, and keys and values of every row in
    the last layer, too.  whole: and all else of it, as engines do that take a
    graph as it is."""
    v = {**DEFAULTS, **config}
    width, hidden = v["hidden_size"], v["intermediate_size"]
    patches = (v["image_size"] // v["patch_size"]) ** 2
    rows, total = patches + 1, [0, 0]

    def fits(eight, inputs, outputs, activated):
        if eight:
            return int8 in MANY and inputs % 128 == outputs % 64 == 0
        return inputs % 32 == outputs % 64 == 0 and not (
            activated and inputs > DEPTH)

    def matrix(times, inputs, outputs, may=True, activated=False,
               block=True):
        eight = int8 is not None and may and inputs >= DEEP
        sums = not plain and not whole and times >= ROWS and \
            inputs >= DEEP and (block or not eight) and \
            fits(eight, inputs, outputs, activated)
        total[eight] += (times + times % 2) * inputs * outputs * 7 // 8 \
            if sums else times * inputs * outputs

    matrix(patches, 3 * v["patch_size"] ** 2, width, block=False)
    for layer in range(1, v["num_hidden_layers"] + 1):
        last = layer == v["num_hidden_layers"] and not whole
        read = 1 if last else rows
        fine = not (last and int8 in FINE)
        matrix(read, width, width)                      # q
        if last and not plain:
            heads = v["num_attention_heads"]
            matrix(heads, width // heads, width)        # K' q of each
            total[0] += 2 * heads * rows * width
            matrix(1, width, width, fine)               # v of their sums
        else:
            matrix(rows, width, 2 * width)              # k and v
            total[0] += 2 * read * rows * width
        matrix(read, width, width, fine)
        matrix(read, width, hidden, fine, activated=True)
        matrix(read, hidden, width, fine)
    matrix(1, width, embed)
    return tuple(total)
