"""params.yaml as frozen, strict settings."""

from luodi.config.fields import CLASSES, YAML_WORDS, Language
from luodi.config.image import ImageAugment, ImageBaseline, ImagePreprocess, ImageSettings, ImageTrain, ImageValidate
from luodi.config.landing import FalseLandings, Gate, Register
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
from luodi.config.operations import Airflow, Ingest, Monitor, Notify, Predict, Task
from luodi.config.shared import Compress, Evaluate, Shares, Training
from luodi.config.text import TextAugment, TextBaseline, TextPreprocess, TextSettings, TextTrain, TextValidate
from luodi.config.tuning import Tune

__all__ = [
    "CLASSES",
    "MODALITIES",
    "YAML_WORDS",
    "Airflow",
    "Compress",
    "Evaluate",
    "FalseLandings",
    "Gate",
    "ImageAugment",
    "ImageBaseline",
    "ImagePreprocess",
    "ImageSettings",
    "ImageTrain",
    "ImageValidate",
    "Ingest",
    "Language",
    "ModelSettings",
    "Monitor",
    "Notify",
    "Params",
    "Predict",
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
