"""The named data sets, one row each. To add one is to write a row and the function it names.

Sources of the checksums: MNIST and Fashion-MNIST, TensorFlow Datasets' ``url_checksums`` and
torchvision's ``datasets/mnist.py``; CIFAR-10, its homepage (MD5) and TensorFlow Datasets (SHA-256);
Caltech-101, torchvision's ``datasets/caltech.py`` (MD5). Nobody states one for iNaturalist-12K and
for the sprite: what arrives first is what is kept, and its SHA-256 is written down beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from convoscope.data.catalogue.named import NamedSet, RemoteFile

FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip
_FASHION_CITATION = (
    "Xiao, Rasul and Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine "
    "learning algorithms, https://arxiv.org/abs/1708.07747"
)
CALTECH_CLASSES = (
    "accordion", "airplanes", "anchor", "ant", "barrel", "bass", "beaver", "binocular", "bonsai",
    "brain", "brontosaurus", "buddha", "butterfly", "camera", "cannon", "car_side", "ceiling_fan",
    "cellphone", "chair", "chandelier", "cougar_body", "cougar_face", "crab", "crayfish",
    "crocodile", "crocodile_head", "cup", "dalmatian", "dollar_bill", "dolphin", "dragonfly",
    "electric_guitar", "elephant", "emu", "euphonium", "ewer", "Faces", "Faces_easy", "ferry",
    "flamingo", "flamingo_head", "garfield", "gerenuk", "gramophone", "grand_piano", "hawksbill",
    "headphone", "hedgehog", "helicopter", "ibis", "inline_skate", "joshua_tree", "kangaroo",
    "ketch", "lamp", "laptop", "Leopards", "llama", "lobster", "lotus", "mandolin", "mayfly",
    "menorah", "metronome", "minaret", "Motorbikes", "nautilus", "octopus", "okapi", "pagoda",
    "panda", "pigeon", "pizza", "platypus", "pyramid", "revolver", "rhino", "rooster", "saxophone",
    "schooner", "scissors", "scorpion", "sea_horse", "snoopy", "soccer_ball", "stapler",
    "starfish", "stegosaurus", "stop_sign", "strawberry", "sunflower", "tick", "trilobite",
    "umbrella", "watch", "water_lilly", "wheelchair", "wild_cat", "windsor_chair", "wrench",
    "yin_yang",
)  # fmt: skip
NATURE_CLASSES = (
    "Amphibia", "Animalia", "Arachnida", "Aves", "Fungi", "Insecta", "Mammalia", "Mollusca",
    "Plantae", "Reptilia",
)  # fmt: skip


def _mnist_file(name: str, size: int, sha256: str, md5: str, content_md5: str) -> RemoteFile:
    mirrors = (
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
    )
    return RemoteFile(
        name=name,
        urls=tuple(mirror + name for mirror in mirrors),
        size=size,
        sha256=sha256,
        md5=md5,
        content_md5=content_md5,
    )


def _fashion_file(name: str, size: int, sha256: str, md5: str) -> RemoteFile:
    home = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    return RemoteFile(name=name, urls=(home + name,), size=size, sha256=sha256, md5=md5)


_ROWS = (
    NamedSet(
        name="digits",
        title="Handwritten digits, small",
        images=1_797,
        classes=10,
        pixels="8 x 8 gray",
        licence="CC BY 4.0",
        citation="Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, "
        "https://doi.org/10.24432/C50P49",
        homepage="https://archive.ics.uci.edu/dataset/80",
        reader="convoscope.data.digits:read_digits",
    ),
    NamedSet(
        name="lines",
        title="Straight lines of 2 lengths, 2 widths, 12 angles, 2 colours",
        images=96_000,
        classes=96,
        pixels="28 x 28 colour",
        licence="free of any",
        citation="drawn by this program",
        homepage="",
        reader="convoscope.data.lines.named:read_lines",
        counts="of each class",
        has_own_words=True,
    ),
    NamedSet(
        name="mnist",
        title="Handwritten digits",
        images=70_000,
        classes=10,
        pixels="28 x 28 gray",
        licence="CC BY-SA 3.0",
        citation="LeCun, Bottou, Bengio and Haffner 1998, Gradient-based learning applied to "
        "document recognition, https://doi.org/10.1109/5.726791",
        homepage="http://yann.lecun.com/exdb/mnist/",
        reader="convoscope.data.idx:read_idx",
        pattern="*ubyte*",
        files=(
            _mnist_file(
                "train-images-idx3-ubyte.gz",
                9_912_422,
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "6bbc9ace898e44ae57da46a324031adb",
            ),
            _mnist_file(
                "train-labels-idx1-ubyte.gz",
                28_881,
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
                "d53e105ee54ea40749a09fcbcd1e9432",
                "a25bea736e30d166cdddb491f175f624",
            ),
            _mnist_file(
                "t10k-images-idx3-ubyte.gz",
                1_648_877,
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
                "9fb629c4189551a2d022fa330f9573f3",
                "2646ac647ad5339dbf082846283269ea",
            ),
            _mnist_file(
                "t10k-labels-idx1-ubyte.gz",
                4_542,
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
                "ec29112dd5afa0611ce80d1b7f02629c",
                "27ae3e4e09519cfbb04c329615203637",
            ),
        ),
    ),
    NamedSet(
        name="fashion-mnist",
        title="Clothes, in MNIST's format",
        images=70_000,
        classes=10,
        pixels="28 x 28 gray",
        licence="MIT",
        citation=_FASHION_CITATION,
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        reader="convoscope.data.catalogue.fashion:read_fashion",
        class_names=FASHION_CLASSES,
        pattern="*ubyte*",
        files=(
            _fashion_file(
                "train-images-idx3-ubyte.gz",
                26_421_880,
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            ),
            _fashion_file(
                "train-labels-idx1-ubyte.gz",
                29_515,
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
                "25c81989df183df01b3e8a0aad5dffbe",
            ),
            _fashion_file(
                "t10k-images-idx3-ubyte.gz",
                4_422_102,
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
                "bef4ecab320f06d8554ea6380940ec79",
            ),
            _fashion_file(
                "t10k-labels-idx1-ubyte.gz",
                5_148,
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
                "bb300cfdad3c16e7a12a480ee83cd310",
            ),
        ),
    ),
    NamedSet(
        name="fashion-sprite",
        title="Clothes, the first of each kind",
        images=900,
        classes=10,
        pixels="28 x 28 gray",
        licence="MIT",
        citation=_FASHION_CITATION,
        homepage="https://github.com/zalandoresearch/fashion-mnist",
        reader="convoscope.data.catalogue.fashion:read_sprite",
        class_names=FASHION_CLASSES,
        pattern="*sprite*.png",
        files=(
            RemoteFile(
                name="fashion-mnist-sprite.png",
                urls=(
                    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/doc/"
                    "img/fashion-mnist-sprite.png",
                ),
            ),
        ),
    ),
    NamedSet(
        name="cifar10",
        title="Tiny photographs of animals and vehicles",
        images=60_000,
        classes=10,
        pixels="32 x 32 colour",
        licence="none stated",
        citation="Krizhevsky 2009, Learning multiple layers of features from tiny images, "
        "https://www.cs.toronto.edu/~kriz/learning-features-2009-TR.pdf",
        homepage="https://www.cs.toronto.edu/~kriz/cifar.html",
        reader="convoscope.data.catalogue.cifar10:read_cifar10",
        pattern="*.bin",
        files=(
            RemoteFile(
                name="cifar-10-binary.tar.gz",
                urls=("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
                size=170_052_171,
                sha256="c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                md5="c32a1d4ab5d03f1284b67883e8d87530",
                is_archive=True,
            ),
        ),
    ),
    NamedSet(
        name="caltech101",
        title="Photographs and drawings of 101 kinds of things",
        images=8_677,
        classes=101,
        pixels="about 300 x 200",
        licence="CC BY 4.0",
        citation="Fei-Fei, Fergus and Perona 2004, Learning generative visual models from few "
        "training examples, https://doi.org/10.22002/D1.20086",
        homepage="https://data.caltech.edu/records/mzrjq-6wc02",
        reader="convoscope.data.catalogue.folders:read_caltech101",
        counts="of each class",
        class_names=CALTECH_CLASSES,
        files=(
            RemoteFile(
                name="caltech-101.zip",
                urls=("https://data.caltech.edu/records/mzrjq-6wc02/files/caltech-101.zip",),
                md5="3138e1922a9193bfa496528edbbc45d0",
                is_archive=True,
                inner_archive="101_ObjectCategories.tar.gz",
            ),
        ),
    ),
    NamedSet(
        name="inaturalist-12k",
        title="Photographs of ten kingdoms and classes of living things",
        images=11_999,
        classes=10,
        pixels="about 800 x 600",
        licence="each photographer's own, most CC BY-NC: not for commercial use",
        citation="Van Horn et al. 2018, The iNaturalist species classification and detection "
        "dataset, https://arxiv.org/abs/1707.06642",
        homepage="https://github.com/visipedia/inat_comp",
        reader="convoscope.data.catalogue.folders:read_inaturalist",
        counts="of each class",
        class_names=NATURE_CLASSES,
        files=(
            RemoteFile(
                name="nature_12K.zip",
                urls=("https://storage.googleapis.com/wandb_datasets/nature_12K.zip",),
                is_archive=True,
            ),
        ),
    ),
)

NAMED: Mapping[str, NamedSet] = MappingProxyType({row.name: row for row in _ROWS})
"""Each named set."""
