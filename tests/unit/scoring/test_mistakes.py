"""Which mistakes are shown: the surest, of many pairs of classes; and which classes are confused most."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from luodi.scoring import mistakes
from luodi.scoring.scored import Scored, scored


@st.composite
def answers(draw: st.DrawFn) -> Scored:
    classes, rows = draw(st.integers(2, 5)), draw(st.integers(1, 60))
    seed = draw(st.integers(0, 1000))
    rng = np.random.default_rng(seed)
    scores = rng.dirichlet(np.ones(classes), rows).astype(np.float32)
    return scored(rng.integers(classes, size=rows), scores, "model", classes)


@given(answers())
def test_all_mistakes_are_ranked_by_confidence(data: Scored) -> None:
    places = mistakes.ranked(data)
    assert sorted(places.tolist()) == np.flatnonzero(data.truth != data.predicted).tolist()
    assert (np.diff(data.confidence[places]) <= 0).all()


@given(answers(), st.integers(1, 70))
def test_no_pair_of_classes_crowds_out_the_others(data: Scored, limit: int) -> None:
    places = mistakes.surest(data, limit)
    everything = mistakes.ranked(data)
    assert len(set(places)) == len(places) == min(limit, len(everything))
    assert (np.diff(data.confidence[places]) <= 0).all()
    taken = [(data.truth[place], data.predicted[place]) for place in places]
    left = [(data.truth[place], data.predicted[place]) for place in everything if place not in places]
    for pair in set(left):
        assert max(taken.count(other) for other in taken) <= max(
            mistakes.EACH * (taken.count(pair) // mistakes.EACH + 1), 1
        )


@given(answers(), st.integers(1, 30))
def test_pairs_count_every_mistake_and_name_the_surest(data: Scored, limit: int) -> None:
    found = mistakes.pairs(data, limit)
    whole = mistakes.pairs(data, 100)
    assert sum(pair.rows for pair in whole) == len(mistakes.ranked(data))
    assert [(one.truth, one.predicted) for one in found] == [(one.truth, one.predicted) for one in whole[:limit]]
    assert [pair.rows for pair in whole] == sorted((pair.rows for pair in whole), reverse=True)
    for pair in found:
        assert pair.truth != pair.predicted
        assert len(pair.places) == min(pair.rows, mistakes.EACH)
        assert (data.truth[pair.places] == pair.truth).all() and (data.predicted[pair.places] == pair.predicted).all()
        assert (
            data.confidence[pair.places].min()
            >= np.sort(data.confidence[(data.truth == pair.truth) & (data.predicted == pair.predicted)])[
                -len(pair.places)
            ]
        )
