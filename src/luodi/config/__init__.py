"""params.yaml as frozen, strict settings."""

from luodi.config.image import ImageAugment, ImageBaseline, ImagePreprocess, ImageSettings, ImageTrain, ImageValidate
from luodi.config.loading import (
    MODALITIES,
    ModelSettings,
    Params,
    change,
    load,
    parse,
    read,
    require_name,
    settings_of,
)
from luodi.config.shared import CLASSES, YAML_WORDS, Evaluate, FalseLandings, Gate, Register, Shares, Training
from luodi.config.text import TextAugment, TextBaseline, TextPreprocess, TextSettings, TextTrain, TextValidate

__all__ = [
    "CLASSES",
    "MODALITIES",
    "YAML_WORDS",
    "Evaluate",
    "FalseLandings",
    "Gate",
    "ImageAugment",
    "ImageBaseline",
    "ImagePreprocess",
    "ImageSettings",
    "ImageTrain",
    "ImageValidate",
    "ModelSettings",
    "Params",
    "Register",
    "Shares",
    "TextAugment",
    "TextBaseline",
    "TextPreprocess",
    "TextSettings",
    "TextTrain",
    "TextValidate",
    "Training",
    "change",
    "load",
    "parse",
    "read",
    "require_name",
    "settings_of",
]
