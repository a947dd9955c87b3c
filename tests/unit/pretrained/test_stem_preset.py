"""A preset of a network of images is read without KerasHub, as KerasHub reads it; what is none is one clear error."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_image_preset
from tiny_preset import Change, in_weights

from luodi.errors import BrokenData, DataError, MissingData
from luodi.pretrained import preset
from luodi.scaffold import encoders as scaffold

pytestmark = pytest.mark.slow

CONVERTER = "image_converter.json"
GIVEN = {
    "resnet": ((8.3506, 4.9844, 6.4199, 7.1102), 4.51355),
    "resnet v2": ((1.8315, 1.5069, 9.1733, 3.5258), 5.07076),
    "resnet vd": ((11.4297, 1.2808, 3.4947, 0.4353), 5.26808),
    "efficientnet": ((-0.089, 1.5149, -0.0534, -0.1085), 0.41311),
    "efficientnet v2": ((-0.1762, -0.1255, -0.2271, 0.6508), 0.10748),
    "mobilenet": ((-0.2264, -0.1456, 4.6416, 1.5575), 1.09043),
}
"""What KerasHub 0.32.0 itself makes of the first image, to its first values, and the mean of all values of both."""


@pytest.mark.parametrize("kind", tiny_image_preset.CONFIGS)
def test_a_stem_says_what_kerashub_does(kind: str, tmp_path: Path) -> None:
    from luodi.pretrained import stem
    from luodi.scoring import inference

    folder = tiny_image_preset.write(tmp_path / "preset", kind)
    (folder / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    known = scaffold.prepared(folder, tmp_path / "made")
    assert (known.family, known.licence) == (tiny_image_preset.CONFIGS[kind][0], "apache-2.0")
    x, (first, mean) = tiny_image_preset.images(), GIVEN[kind]
    found = inference.session(tmp_path / "made" / "encoder.onnx").run(["vectors"], {"x": x})[0]
    assert np.allclose(found[0, :4], first, atol=1e-3)
    assert found.mean() == pytest.approx(mean, abs=1e-4)
    trained_on = stem.load(tmp_path / "made" / "stem.keras").predict(x, verbose=0)
    assert np.abs(trained_on - found).max() < 1e-4


def config(name: str = "config.json", **changes: Any) -> Change:
    def change(folder: Path) -> None:
        known = json.loads((folder / name).read_text())
        inner = {key: value for key, value in (known["config"] | changes).items() if value != "away"}
        (folder / name).write_text(json.dumps(known | {"config": inner}))

    return change


CASES: dict[str, tuple[type[DataError], str, Change]] = {
    "another": (
        BrokenData, "is a preset of KerasHub's ViTBackbone, and luodi reads those of .*EfficientNetBackbone",
        lambda folder: (folder / "config.json").write_text(json.dumps({"registered_name": "keras_hub>ViTBackbone"})),
    ),
    "no scale": (
        MissingData, "holds no image_converter.json: expected a preset with weights and with what scales the pixels",
        lambda folder: (folder / CONVERTER).unlink(),
    ),
    "no number": (BrokenData, "`scale` is 'a', expected a number", config(CONVERTER, scale="a")),
    "two channels": (BrokenData, r"`offset` is \[0, 1\], expected a number", config(CONVERTER, offset=[0, 1])),
    "of new blocks": (
        BrokenData, "`stackwise_block_types` is .'v3', 'v1'., and luodi reads those of v1, cba, fused, unfused: choose",
        config(stackwise_block_types=["v3", "v1"]),
    ),
    "nothing known": (BrokenData, "config.json has no input_conv_filters", config(input_conv_filters="away")),
    "code": (
        BrokenData, "config.json has no use_pre_activation",
        config(use_pre_activation={"module": "os", "class_name": "system"}),
    ),
    "wider": (
        BrokenData, "it has too few arrays of 1 x 1 x 64 x 1000000000", config(stackwise_num_filters=[64, 10**9])
    ),
    "deeper": (BrokenData, "a network has no 1,000,000 blocks", config(stackwise_num_blocks=[1, 10**6])),
    "more blocks": (BrokenData, "it has too few arrays of 3 x 3 x 96 x 96", config(stackwise_num_blocks=[1, 3])),
    "fewer blocks": (
        BrokenData, "it holds layers/batch_normalization_6/vars/0 too", config(stackwise_num_blocks=[1, 1])
    ),
    "another place": (
        BrokenData, "it holds no layers/conv2d_7/vars/0",
        in_weights(lambda file: file.move("layers/conv2d_7", "layers/x")),
    ),
    "another shape": (
        BrokenData, r"layers/conv2d_3/vars/0 is of 3 x 3 x 96 x 96, expected 3 x 3 x 64 x 96",
        in_weights(lambda file: (file.move("layers/conv2d_3", "x"), file.move("layers/conv2d_7", "layers/conv2d_3"),
                                 file.move("x", "layers/conv2d_7"))),
    ),
    "no kind": (BrokenData, "weights.h5 is not of the ResNetBackbone .*KeyError|has no x", config(block_type="x")),
    "cut": (
        BrokenData, "model.weights.h5 cannot be read .*: it did not come whole",
        lambda folder: (folder / preset.WEIGHTS).write_bytes((folder / preset.WEIGHTS).read_bytes()[:4000]),
    ),
    "no numbers": (
        BrokenData, "holds values that are no numbers",
        in_weights(lambda file: file["layers/conv2d/vars/0"].__setitem__((0, 0, 0, 0), np.nan)),
    ),
}  # fmt: skip


def test_an_activation_that_names_code_is_refused(tmp_path: Path) -> None:
    folder = tiny_image_preset.write(tmp_path / "preset", "mobilenet")
    config(stackwise_activation=[["relu", {"module": "os", "class_name": "abort"}], ["relu"]])(folder)
    with pytest.raises(BrokenData, match=r"'class_name': 'abort'.* is no activation"):
        scaffold.prepared(folder, tmp_path / "made")


@pytest.mark.parametrize("case", CASES)
def test_what_is_no_preset_of_images_is_refused(case: str, tmp_path: Path) -> None:
    kind, says, change = CASES[case]
    folder = tiny_image_preset.write(tmp_path / "preset", "resnet")
    change(folder)
    with pytest.raises(kind, match=says) as error:
        scaffold.prepared(folder, tmp_path / "made")
    assert type(error.value) is kind
    assert "\n" not in str(error.value)
