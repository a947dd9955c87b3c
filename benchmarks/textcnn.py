"""The default text model beside a TextCNN of PyTorch on the same rows: accuracy, and seconds of the processor.

    pip install 'luodi[torch]'
    python benchmarks/textcnn.py thucnews --data DIR    # DIR/thucnews/{train,dev,class}.txt

The TextCNN has its usual form (Kim 2014): characters, 300 random dimensions, 256 filters of each width 2, 3 and 4, the
largest of each, dropout 0.5, Adam at 0.001, batches of 128. Both sides fit on the same rows of train.txt, stop when the
loss on the same other rows has not fallen for some epochs (the TextCNN two), keep the best one, and score dev.txt once.
Seconds are those of the processor, all threads, from texts to fitted model, in this process.
"""

import argparse
import copy
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import texts
import torch
from torch import nn

LENGTH = 32  # characters of a title
WIDTHS, FILTERS, DIMENSIONS = (2, 3, 4), 256, 300
BATCH, PATIENCE, EPOCHS = 128, 2, 20


class TextCNN(nn.Module):
    """From ids int64 [batch, LENGTH] to logits [batch, classes]; id 0 is padding, 1 a character not in train rows."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(size, DIMENSIONS, padding_idx=0)
        self.convolutions = nn.ModuleList(nn.Conv1d(DIMENSIONS, FILTERS, width) for width in WIDTHS)
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(FILTERS * len(WIDTHS), classes)

    def forward(self, ids: Any) -> Any:
        vectors = self.embedding(ids).transpose(1, 2)
        pooled = [torch.relu(one(vectors)).amax(2) for one in self.convolutions]
        return self.last(self.dropout(torch.cat(pooled, 1)))


def encoded(items: list[str], ids: dict[str, int]) -> Any:
    rows = np.zeros((len(items), LENGTH), np.int64)
    for row, item in zip(rows, items, strict=True):
        found = [ids.get(one, 1) for one in item[:LENGTH]]
        row[: len(found)] = found
    return torch.from_numpy(rows)


def scores(model: nn.Module, x: Any) -> Any:
    model.eval()
    with torch.no_grad():
        return torch.cat([model(part) for part in x.split(1024)])


def fit(seen: Any, held: Any, classes: int) -> tuple[nn.Module, dict[str, int]]:
    """Return the TextCNN of the epoch of least loss on the rows `held`, and the ids of characters."""
    counts = Counter(one for item in seen.items for one in item)
    ids = {one: place for place, (one, _) in enumerate(counts.most_common(), 2)}
    (x, y), (held_x, held_y) = (
        (encoded(part.items, ids), torch.from_numpy(part.label).long()) for part in (seen, held)
    )
    torch.manual_seed(7)
    model, loss = TextCNN(len(ids) + 2, classes), nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    best, least, waited = copy.deepcopy(model.state_dict()), float("inf"), 0
    for epoch in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()
        found = scores(model, held_x)
        judged, right = float(loss(found, held_y)), float((found.argmax(1) == held_y).double().mean())
        print(f"TextCNN, epoch {epoch + 1}: loss {judged:.4f}, accuracy {right:.4f}, of the rows held", flush=True)
        if judged < least:
            best, least, waited = copy.deepcopy(model.state_dict()), judged, 0
        else:
            waited += 1
        if waited == PATIENCE:
            break
    model.load_state_dict(best)
    return model, ids


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=["thucnews"])
    parser.add_argument("--data", type=Path, required=True)
    settings, seen, held, dev = texts.titles(parser.parse_args().data)
    ours = texts.fit(settings, seen, held, dev)
    started = time.process_time()
    model, ids = fit(seen, held, len(settings.labels))
    theirs = time.process_time() - started
    sides = {
        f"luodi ({ours.chosen})": (ours.scores[ours.chosen].argmax(1), sum(ours.seconds)),
        "TextCNN": (scores(model, encoded(dev.items, ids)).argmax(1).numpy(), theirs),
    }
    print("| model | accuracy on dev.txt | processor seconds |\n|---|---|---|")
    for name, (guess, seconds) in sides.items():
        print(f"| {name} | {(guess == dev.label).mean():.4f} | {seconds:.0f} |")
    print(f"\nluodi took {sum(ours.seconds) / theirs:.3f} of the TextCNN's processor time")


if __name__ == "__main__":
    main()
