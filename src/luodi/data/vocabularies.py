"""The tokenizer of a vocabulary, as JSON that Hugging Face's `tokenizers` reads."""

from collections.abc import Mapping, Sequence


def of_vocabulary(
    tokens: Sequence[str], *, lowercase: bool, strip_accents: bool | None = None, apart: bool = True
) -> str:
    """Return the tokenizer of a BERT as JSON, from its vocabulary alone, a token a line.

    Args:
        strip_accents: None is as `lowercase`.
        apart: Whether each Chinese character is a word.

    Raises:
        ValueError: It lacks a token that every BERT has.
    """
    from tokenizers.implementations import BertWordPieceTokenizer

    known = {token: place for place, token in enumerate(tokens)}
    if missing := [token for token in ("[UNK]", "[CLS]", "[SEP]", "[PAD]") if token not in known]:
        raise ValueError(f"it has no {missing[0]}")
    found = BertWordPieceTokenizer(known, lowercase=lowercase, strip_accents=strip_accents, handle_chinese_chars=apart)
    text: str = found.to_str()
    return text


def of_merges(known: Mapping[str, int], merges: Sequence[tuple[str, str]], *, spaced: bool, framed: bool) -> str:
    """Return a tokenizer of pairs of bytes as JSON, as GPT-2 and RoBERTa have it.

    Args:
        spaced: Whether a text's first word is as any other, behind a space.
        framed: Whether a text begins with "<s>" and ends with "</s>".

    Raises:
        ValueError: It lacks one of these, or is none.
    """
    from tokenizers.implementations import ByteLevelBPETokenizer
    from tokenizers.processors import RobertaProcessing

    if framed and (missing := [token for token in ("<s>", "</s>", "<pad>") if token not in known]):
        raise ValueError(f"it has no {missing[0]}")
    try:
        found = ByteLevelBPETokenizer(dict(known), list(merges), add_prefix_space=spaced)
    except Exception as error:  # it has no class of its own
        raise ValueError(str(error)) from None
    if framed:
        first, last = (("<s>", known["<s>"]), ("</s>", known["</s>"]))
        found._tokenizer.post_processor = RobertaProcessing(last, first, add_prefix_space=spaced)
    text: str = found.to_str()
    return text


def merges(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of a file merges.txt, whose first line may name its version."""
    pairs = (line.partition(" ") for line in lines)
    return [(first, second) for first, _, second in pairs if second and not first.startswith("#version")]
