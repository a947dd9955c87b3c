"""The one list of architectures. Read without Keras: only building a network imports it."""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from luodi.config import user_code

if TYPE_CHECKING:
    import keras
    from numpy.typing import NDArray

    from luodi.config import ModelSettings
    from luodi.data.modality import Encoder


@dataclass(frozen=True)
class Architecture:
    """A network that `train.architecture` may name; the module luodi.nets.MODALITY.NAME builds it.

    `parameters` are the keys of the train block that shape it; `precision` shapes all of them. With `any_threads` its
    trained bytes are the same on any number of threads: a long sum, in a convolution or over all pixels, is divided
    among them, on some processors. With `any_width` it says the same of a row however far it is padded.
    """

    modality: str
    name: str
    parameters: tuple[str, ...]
    description: str
    any_threads: bool = False
    any_width: bool = False

    def build(self, settings: Any, encoder: "Encoder") -> "keras.Model":
        """Build it by a train block of its modality, see `catalogue.build`."""
        model: keras.Model = import_module(f"luodi.nets.{self.modality}.{self.name}").build(settings, encoder)
        return model


LINEAR = "linear"
"""No network: the model of stage baseline, which `luodi.linear` fits."""

PRETRAINED = "pretrained"
"""No network either: an encoder as it came under a linear model, or trained on, which `luodi.pretrained` fits."""
NO_NETWORK = (LINEAR, PRETRAINED)

ARCHITECTURES = (
    Architecture("text", LINEAR, (), "The linear baseline alone: TF-IDF and a support vector machine, in seconds"),
    Architecture(
        "text",
        "ngram",
        ("embedding", "table", "dropout"),
        "A bag of hashed character n-grams: quick and strong",
        any_threads=True,
        any_width=True,
    ),
    Architecture(
        "text",
        "mlp",
        ("embedding", "table", "units", "activation", "dropout"),
        "A bag of embeddings and one hidden layer",
        any_threads=True,
        any_width=True,
    ),
    Architecture(
        "text",
        "cnn",
        ("embedding", "filters", "kernel", "activation", "dropout"),
        "One convolution and global max pooling",
    ),
    Architecture(
        "text",
        "cnn_lstm",
        ("embedding", "filters", "kernel", "pool", "units", "activation", "dropout"),
        "A convolution, max pooling and an LSTM",
    ),
    Architecture(
        "text",
        "transformer",
        ("embedding", "layers", "heads", "units", "activation", "dropout"),
        "Layers of self-attention, from their first weights; padding is not seen",
    ),
    Architecture(
        "text",
        PRETRAINED,
        ("encoder", "tuning", "all_rows", "lora_rank", "lora_targets", "layer_decay", "dropout"),
        "A linear model on the vectors of a pretrained encoder, which stays as it is or is trained on",
    ),
    Architecture("image", LINEAR, (), "The linear baseline alone: logistic regression on edges and colours"),
    Architecture(
        "image",
        PRETRAINED,
        ("encoder", "tuning", "all_rows"),
        "A linear model on the vectors of a pretrained stem, which stays as it is or is trained on",
    ),
    Architecture("image", "mlp", ("units", "activation", "dropout"), "All pixels into one hidden layer"),
    Architecture(
        "image",
        "cnn",
        ("filters", "kernel", "units", "activation", "dropout"),
        "Blocks of two convolutions with batch norm and max pooling, then a hidden layer",
    ),
    Architecture(
        "image",
        "resnet",
        ("filters", "kernel", "activation", "dropout"),
        "Residual blocks with batch norm, then global average pooling",
    ),
)


def find(modality: str, name: str) -> Architecture:
    """Return the architecture `name` of `modality`; params.yaml, once read, names no other, or one of a user's own."""
    return next(one for one in ARCHITECTURES if (one.modality, one.name) == (modality, name))


def any_threads(settings: "ModelSettings") -> bool:
    """Whether the trained bytes of the architecture that `settings` names are the same on any number of threads."""
    name = settings.train.architecture
    return ":" not in name and find(settings.modality, name).any_threads


def any_width(settings: "ModelSettings") -> bool:
    """Whether the architecture that `settings` names says the same of a row however far it is padded."""
    name = settings.train.architecture
    return ":" not in name and find(settings.modality, name).any_width


def _build(modality: str, train: Any, encoder: "Encoder") -> "keras.Model":
    name = train.architecture
    if ":" not in name:
        return find(modality, name).build(train, encoder)
    with user_code.running(name):
        own: keras.Model = user_code.load(name)(train, encoder)
        _require_classifier(own, len(encoder.labels))
    return own


def _require_classifier(own: Any, classes: int) -> None:
    import keras

    if not isinstance(own, keras.Model):
        raise TypeError(f"expected a keras.Model, found {type(own).__name__}")
    if own.output_shape != (None, classes):
        raise ValueError(f"expected an output of shape (None, {classes}), a share a label, found {own.output_shape}")


def build(settings: "ModelSettings", encoder: "Encoder") -> "keras.Model":
    """Build the architecture that `settings` names, for the rows that `encoder` gives.

    Returns:
        A model from "x", [batch, ...] of the encoder's shape and dtype, to "probabilities", float32
        [batch, classes] with rows that sum to 1. The softmax stays float32 whatever the precision.
    """
    return _build(settings.modality, settings.train, encoder)


def as_float32(weights: "list[NDArray[Any]]", settings: "ModelSettings", encoder: "Encoder") -> "keras.Model":
    """Build it uncompiled, float32 whatever it trained in, with the `weights` that came of it: what is exported."""
    train = settings.train.model_copy(update={"precision": "float32"})
    model = _build(settings.modality, train, encoder)
    model.set_weights(weights)
    return model
