from convoscope.architecture.graph import trunk_shape, walk, without_top
from convoscope.architecture.zoo import make


def test_vgg_layers_bear_keras_names() -> None:
    assert make("vgg19").layer_names == (
        *("block1_conv1", "block1_conv2", "block1_pool"),
        *("block2_conv1", "block2_conv2", "block2_pool"),
        *("block3_conv1", "block3_conv2", "block3_conv3", "block3_conv4", "block3_pool"),
        *("block4_conv1", "block4_conv2", "block4_conv3", "block4_conv4", "block4_pool"),
        *("block5_conv1", "block5_conv2", "block5_conv3", "block5_conv4", "block5_pool"),
        *("flatten", "fc1", "fc2", "predictions"),
    )


def test_vgg19_maps_have_the_published_sizes() -> None:
    sizes = [(p.output_shape[0], p.output_shape[1]) for p in walk(without_top(make("vgg19")))]
    assert sizes == [
        *[(64, 224)] * 2,
        (64, 112),
        *[(128, 112)] * 2,
        (128, 56),
        *[(256, 56)] * 4,
        (256, 28),
        *[(512, 28)] * 4,
        (512, 14),
        *[(512, 14)] * 4,
        (512, 7),
    ]


def test_vgg11_and_vgg16_have_their_numbers_of_convolutions() -> None:
    kinds = {name: [p.layer.kind for p in walk(make(name))] for name in ("vgg11", "vgg16")}
    assert {name: (k.count("conv2d"), k.count("dense")) for name, k in kinds.items()} == {
        "vgg11": (8, 3),
        "vgg16": (13, 3),
    }


def test_lenet_5_makes_of_28_pixels_what_the_paper_made_of_32() -> None:
    net = make("lenet-5")
    assert net.place("conv1").output_shape == (6, 28, 28)
    assert trunk_shape(net) == (16, 5, 5)
