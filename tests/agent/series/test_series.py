"""A measurement as it changes: rows with margins, gaps with their reason, progress, stopping and going on."""

import json
import threading

import pytest

from spatial_agent.agent.series import Series, part_of, series
from spatial_agent.tools.errors import InvalidValueError, QuestionError
from spatial_agent.tools.progress import listening, stopping
from spatial_agent.tools.synthetic import SensorNoise
from tests.agent.series.moving_chair import QUESTION, Counts, Measures, film, rooms

PLACES_M = [3.2, 3.5, 3.8, 4.1]
#: The detector of a recording made with these seeds misses the table once, in this frame.
FIRST_SEED, MISSED = 2, 3


@pytest.fixture(scope="module")
def measured() -> Series:
    return series(Measures(), film(rooms(PLACES_M), SensorNoise(), FIRST_SEED), QUESTION)


def test_each_row_has_what_was_true_in_its_own_frame(measured: Series) -> None:
    truth_m = [room.distance_m(0, 1) for room in rooms(PLACES_M)]

    assert truth_m == pytest.approx([0.95, 1.25, 1.55, 1.85])
    assert [(row.first_frame, row.last_frame, row.start_s) for row in measured.rows] == [
        (k, k, 0.5 * k) for k in range(4)
    ]
    for row, true_m in zip(measured.rows[:MISSED], truth_m, strict=False):
        assert row.low is not None
        assert row.high is not None
        assert row.margin is not None
        # An interval holds the truth nine times in ten; here they are three, held by twice the margin.
        assert abs(row.value - true_m) <= 2 * row.margin
        assert row.margin < 0.2
        assert set(row.objects) == {"chair-1", "table-1"}
    assert (measured.unit, measured.definition) == ("m", "distance.surface")


def test_a_frame_that_does_not_show_an_object_is_a_row_that_says_why(measured: Series) -> None:
    row = measured.rows[MISSED]

    assert row.value is None
    assert row.why is not None
    assert "no 'table'" in row.why


def test_the_table_has_units_margins_and_reasons(measured: Series) -> None:
    lines = measured.table().splitlines()

    assert lines[0] == QUESTION
    assert lines[1].split("  ")[0] == "frame"
    for title in ("time (s)", "value (m)", "margin (m)", "90 % interval (m)", "remark"):
        assert title in lines[1]
    for line, row in zip(lines[3:6], measured.rows[:MISSED], strict=True):
        assert f"{row.value:.2f}" in line
        assert f"± {row.margin:.2f}" in line
        assert f"{row.low:.2f} to {row.high:.2f}" in line
    assert "no 'table'" in lines[6]
    assert lines[-1] == "3 of 4 rows have a value."


def test_it_is_plain_json(measured: Series) -> None:
    document = json.loads(json.dumps(measured.to_json(), allow_nan=False))

    assert (document["format"], document["unit"]) == ("spatial-agent/series@1", "m")
    assert document["rows"][1]["value"] == measured.rows[1].value
    assert document["rows"][1]["margin"] == measured.rows[1].margin
    assert document["rows"][MISSED]["value"] is None


def test_a_row_of_a_second_rests_on_its_frames_and_on_no_others() -> None:
    agent, recording = Measures(), film(rooms([3.0, 3.0, 3.8]))
    taken = series(agent, recording, QUESTION, every="second")

    assert [(row.first_frame, row.last_frame) for row in taken.rows] == [(0, 1), (2, 2)]
    assert [row.value for row in taken.rows] == pytest.approx([0.75, 1.55], abs=0.05)
    assert [len(part) for part in agent.asked] == [2, 1]
    assert len({part.content_hash for part in agent.asked}) == 2
    assert any("as if it stood still" in note for note in taken.notes)


def test_a_part_of_a_recording_counts_its_frames_anew_and_keeps_their_times() -> None:
    recording = film(rooms([3.0, 3.2, 3.8]))
    part = part_of(recording, [1, 2])
    frame = part.load(1, rgb=False, instances=False)

    assert [(header.index, header.time_s) for header in part.headers] == [(0, 0.5), (1, 1.0)]
    assert frame.header is part.headers[1]
    assert frame.rgb is None
    whole = recording.load(2, rgb=False, instances=False)
    assert frame.depth is not None
    assert whole.depth is not None
    assert (frame.depth.z_m == whole.depth.z_m).all()


def test_progress_is_told_and_a_stopped_series_goes_on_from_where_it_was() -> None:
    recording, stop = film(rooms([3.0, 3.2, 3.4, 3.6])), threading.Event()
    agent, told = Counts(), []

    def progress(what: str, done: int, total: int) -> None:
        if what == "steps":
            told.append((done, total))
            if done == 2:
                stop.set()

    with listening(progress), stopping(stop):
        begun = series(agent, recording, QUESTION)
    stop.clear()
    assert begun.stopped is not None
    assert len(begun.rows) == 2
    assert "Ended early, with 2 of 4 steps" in begun.table()

    asked_before = len(agent.asked)
    with listening(progress):
        whole = series(agent, recording, QUESTION, so_far=begun)
    assert (told[:3], told[-1]) == ([(0, 4), (1, 4), (2, 4)], (4, 4))
    assert whole.stopped is None
    assert whole.rows[:2] == begun.rows
    assert len(whole.rows) == 4
    # The row that was being measured when it was stopped is measured again, the finished ones are not.
    assert len(agent.asked) - asked_before == 2


def test_a_series_goes_on_only_from_one_of_the_same_thing() -> None:
    recording = film(rooms([3.0]))
    other = Series("How tall is the chair?", recording.name, recording.content_hash, "frame")

    with pytest.raises(InvalidValueError, match="the same question"):
        series(Counts(), recording, QUESTION, so_far=other)


@pytest.mark.parametrize("every", ["", "minute", "0 s", "-1 s", "0.5 frames", "1.5", 0, -2, "s s"])
def test_a_step_that_makes_no_sense_is_refused(every: str | int) -> None:
    with pytest.raises(InvalidValueError, match="expected 'frame'"):
        series(Counts(), film(rooms([3.0])), QUESTION, every=every)


@pytest.mark.parametrize(
    ("every", "frames"), [("frame", 1), ("2 frames", 2), (3, 3), ("1 s", 2), ("seconds", 2), ("1.5 s", 3)]
)
def test_steps_are_frames_or_seconds(every: str | int, frames: int) -> None:
    """With a frame every half second; the one measured row is enough to see its length."""
    agent, stop = Counts(), threading.Event()

    def stop_after_one(what: str, done: int, total: int) -> None:
        if (what, done) == ("steps", 1):
            stop.set()

    with listening(stop_after_one), stopping(stop):
        taken = series(agent, film(rooms([3.0] * 6)), QUESTION, every=every)
    assert (taken.rows[0].first_frame, taken.rows[0].last_frame) == (0, frames - 1)


def test_a_question_that_cannot_be_understood_is_refused_rather_than_put_into_rows() -> None:
    with pytest.raises(QuestionError):
        series(Counts(), film(rooms([3.0])), "How far is it from the table?")


def test_things_that_a_row_cannot_tell_apart_are_named() -> None:
    recording = film(rooms([3.0]))
    twins = type(recording)(
        **{
            **vars(recording),
            "instance_labels": {1: "table", 2: "chair", 3: "chair"},
        }  # another chair, unseen
    )

    taken = series(Counts(), twins, QUESTION)
    assert any("2 objects called 'chair'" in note for note in taken.notes)
    assert "Note: the recording has 2 objects called 'chair'" in taken.table()
