"""A small decoder: GPT-2's form, trained as a causal language model, written as Hugging Face's transformers writes it.

    python benchmarks/decoder.py DIR --texts FILE

In an environment of its own, with torch and transformers. FILE holds a text a line; a hundredth of them, drawn by
chance, tells how well the next token is foretold. `luodi encoder add DIR` and `benchmarks/encoders.py` take what comes
of it.
"""

import argparse
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers.implementations import ByteLevelBPETokenizer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

END, IGNORED = "<|endoftext|>", -100
HELD = 100  # of so many texts one is not trained on
POOL = 64  # batches whose texts are sorted by their length: a batch is padded to its longest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--length", type=int, default=64)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float, default=1e-3)
    options = parser.parse_args()
    random.seed(7)
    torch.manual_seed(7)
    texts = list(filter(None, options.texts.read_text(encoding="utf-8").split("\n")))
    random.shuffle(texts)
    held = max(len(texts) // HELD, 1)
    tokenizer = ByteLevelBPETokenizer()
    tokenizer.train_from_iterator(texts[held:], options.vocabulary, show_progress=False, special_tokens=[END])
    end = tokenizer.token_to_id(END)
    rows = [[*one.ids[: options.length - 1], end] for one in tokenizer.encode_batch(texts)]
    config = GPT2Config(
        vocab_size=tokenizer.get_vocab_size(), n_positions=options.length, n_embd=options.width,
        n_layer=options.layers, n_head=options.width // 64, bos_token_id=end, eos_token_id=end,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    fit(model, rows[held:], rows[:held], options)
    model.save_pretrained(options.folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer, bos_token=END, eos_token=END, unk_token=END
    ).save_pretrained(options.folder)


def fit(model: Any, rows: list[list[int]], held: list[list[int]], options: argparse.Namespace) -> None:
    steps = options.epochs * -(-len(rows) // options.batch)
    optimizer = torch.optim.AdamW(model.parameters(), options.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, steps)
    weights = sum(one.numel() for one in model.parameters())
    print(f"{weights:,} weights, {len(rows):,} texts, {sum(map(len, rows)):,} tokens, {steps:,} steps")
    for epoch in range(options.epochs):
        began = time.process_time()
        model.train()
        for batch in batches(rows, options.batch):
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        spent = time.process_time() - began
        print(f"epoch {epoch + 1}: {foretold(model, held)}, {spent:.0f} processor seconds", flush=True)


def batches(rows: list[list[int]], size: int) -> Iterator[dict[str, Any]]:
    order = random.sample(rows, len(rows))
    for first in range(0, len(order), POOL * size):
        pool = sorted(order[first : first + POOL * size], key=len)
        some = [pool[place : place + size] for place in range(0, len(pool), size)]
        yield from map(padded, random.sample(some, len(some)))


def padded(rows: list[list[int]]) -> dict[str, Any]:
    """What is padded stands behind all of a row, where no token of it looks."""
    width = max(map(len, rows))
    labels = torch.tensor([[*row, *[IGNORED] * (width - len(row))] for row in rows])
    return {"input_ids": labels.clamp(min=0), "labels": labels}


def foretold(model: Any, held: list[list[int]]) -> str:
    model.eval()
    with torch.no_grad():
        loss = model(**padded(held)).loss.item()
    return f"{loss:.3f} nats a token of {len(held)} texts held back"


if __name__ == "__main__":
    main()
