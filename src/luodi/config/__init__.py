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
from luodi.config.shared import (
    CLASSES,
    YAML_WORDS,
    Airflow,
    Evaluate,
    FalseLandings,
    Gate,
    Register,
    Shares,
    Task,
    Training,
)
from luodi.config.text import TextAugment, TextBaseline, TextPreprocess, TextSettings, TextTrain, TextValidate
from luodi.config.tuning import Tune

__all__ = [
    "CLASSES",
    "MODALITIES",
    "YAML_WORDS",
    "Airflow",
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
    "Task",
    "TextAugment",
    "TextBaseline",
    "TextPreprocess",
    "TextSettings",
    "TextTrain",
    "TextValidate",
    "Training",
    "Tune",
    "change",
    "load",
    "parse",
    "read",
    "require_name",
    "settings_of",
]
