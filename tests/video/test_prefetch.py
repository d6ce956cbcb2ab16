"""Reading ahead: beside the consumer, in order, bounded, and ended with it."""

import threading

import numpy as np
import pytest
from making_videos import moving_frames, write_video, write_wav

from edgevid.contract import Sampling
from edgevid.errors import ConfigError, VideoError
from edgevid.video import Clips, Item, read_ahead, read_clips, reason_of
from edgevid.video import prefetch as prefetch_module

SMALL = Sampling(segments=4, resize=32, crop=24)
PATIENCE = 120


def decoding_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("edgevid-decode")]


@pytest.fixture
def reading(monkeypatch):
    """Puts ``read`` in the place of `read_clips`; clips are told apart by their number of frames."""

    def put(read):
        def read_clips(path, sampling, *, deadline, **_):
            read(path, deadline)
            return Clips(np.zeros((1, 4, 24, 24, 3), np.uint8), np.zeros((1, 4), np.int64), int(path.name))

        monkeypatch.setattr(prefetch_module, "read_clips", read_clips)

    return put


def numbered(tmp_path, count):
    for number in range(count):
        (tmp_path / str(number)).touch()
    return [Item(tmp_path / str(number), None) for number in range(count)]


def test_the_next_video_is_read_while_the_present_one_is_consumed(tmp_path, reading):
    begun = [threading.Event() for _ in range(4)]
    reading(lambda path, deadline: begun[int(path.name)].set())
    for number, _ in enumerate(read_ahead(numbered(tmp_path, 4), SMALL, workers=1)):
        if number + 1 < len(begun):
            assert begun[number + 1].wait(PATIENCE), "nothing is read while this one is consumed"


def test_outcomes_come_in_the_order_of_the_list_whatever_takes_longest(tmp_path, reading):
    second = threading.Event()

    def read(path, deadline):
        if path.name == "0":
            assert second.wait(PATIENCE)
        if path.name == "1":
            second.set()
        if path.name == "2":
            raise VideoError("broken", where=path)

    reading(read)
    outcomes = list(read_ahead(numbered(tmp_path, 5), SMALL, workers=2))
    assert [read.item.path.name for read in outcomes] == ["0", "1", "2", "3", "4"]
    assert [isinstance(read.outcome, VideoError) for read in outcomes] == [False, False, True, False, False]
    assert [read.outcome.frames for read in outcomes if read.item.path.name != "2"] == [0, 1, 3, 4]


@pytest.mark.parametrize("workers", [1, 3])
def test_no_more_videos_are_held_than_workers_and_one(tmp_path, reading, workers):
    begun = []
    reading(lambda path, deadline: begun.append(path.name))
    for consumed, _ in enumerate(read_ahead(numbered(tmp_path, 12), SMALL, workers=workers)):
        assert len(begun) <= consumed + workers + 1


def test_items_are_taken_no_further_ahead_than_they_are_read(tmp_path, reading):
    reading(lambda path, deadline: None)
    taken = []

    def endless():
        while True:
            taken.append(len(taken))
            yield Item(tmp_path / str(len(taken)), None)

    outcomes = read_ahead(endless(), SMALL, workers=2)
    next(outcomes)
    assert len(taken) == 3
    outcomes.close()


def test_closing_early_ends_the_threads_though_they_are_in_the_middle_of_a_video(tmp_path, reading):
    begun = threading.Event()

    def read(path, deadline):
        if path.name == "0":
            return
        begun.set()
        while True:
            deadline.check()

    reading(read)
    outcomes = read_ahead(numbered(tmp_path, 9), SMALL, workers=2)
    next(outcomes)
    assert begun.wait(PATIENCE)
    assert decoding_threads()
    outcomes.close()
    assert decoding_threads() == []


def test_an_interrupt_of_the_consumer_ends_the_threads_too(tmp_path, reading):
    reading(lambda path, deadline: None)

    def consume():
        for _ in read_ahead(numbered(tmp_path, 9), SMALL, workers=2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert decoding_threads() == []


def test_what_is_no_fault_of_a_video_comes_out_at_its_place_and_ends_the_threads(tmp_path, reading):
    def read(path, deadline):
        if path.name == "1":
            raise ConfigError("a wrong setting")

    reading(read)
    outcomes = read_ahead(numbered(tmp_path, 9), SMALL, workers=2)
    assert next(outcomes).outcome.frames == 0
    with pytest.raises(ConfigError, match="a wrong setting"):
        next(outcomes)
    assert decoding_threads() == []


def test_a_video_that_takes_too_long_is_skipped_by_name(tmp_path, reading):
    def read(path, deadline):
        while path.name == "1":
            deadline.check()

    reading(read)
    outcomes = [read.outcome for read in read_ahead(numbered(tmp_path, 3), SMALL, patience=0.05)]
    assert reason_of(outcomes[1]) == "too slow"
    assert outcomes[1].where == str(tmp_path / "1")
    assert "--timeout" in outcomes[1].fix
    assert [outcomes[0].frames, outcomes[2].frames] == [0, 2]


def test_a_video_that_does_not_fit_into_the_memory_is_skipped(tmp_path, reading):
    def read(path, deadline):
        raise MemoryError

    reading(read)
    (read,) = read_ahead(numbered(tmp_path, 1), SMALL)
    assert reason_of(read.outcome) == "too large"


def test_a_broken_video_never_stops_the_rest(tmp_path):
    (tmp_path / "text.mp4").write_text("no video")
    places = [
        tmp_path / "missing.mp4",
        write_wav(tmp_path / "sound.wav"),
        tmp_path / "text.mp4",
        write_video(tmp_path / "good one.mp4", moving_frames(10)),
    ]
    broken_line = Item(tmp_path / "list.txt", None, error=VideoError("a wrong line", where="line 3"))
    read = list(read_ahead([broken_line, *(Item(place, 3) for place in places)], SMALL))
    assert [read.item.path for read in read[1:]] == places
    assert [reason_of(one.outcome) for one in read[:-1]] == ["other", "missing", "audio only", "not a video"]
    assert [one.outcome.where for one in read[:-1]] == ["line 3", *map(str, places[:-1])]
    assert read[-1].outcome.frames == 10


@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4"])
def test_what_is_wrong_with_a_video_of_a_list_names_its_line(tmp_path, name):
    (tmp_path / "text.mp4").write_text("no video")
    item = Item(tmp_path / name, 3, source=tmp_path / "list.txt", source_line=7)
    (read,) = read_ahead([item], SMALL)
    assert read.outcome.where == f"{tmp_path / name} ({tmp_path / 'list.txt'}, line 7)"


def test_what_is_missing_costs_no_change_of_threads(tmp_path, reading):
    reading(lambda path, deadline: read_by.append(threading.current_thread()))
    read_by = []
    list(read_ahead([Item(tmp_path / str(number), None) for number in range(9)], SMALL))
    assert read_by == [threading.current_thread()] * 9


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"patience": 0.0}, {"patience": float("nan")}])
def test_settings_that_fit_no_video_stop_at_once(wrong):
    with pytest.raises(ConfigError):
        next(read_ahead([], SMALL, **wrong), None)
    with pytest.raises(ConfigError):
        next(read_ahead([], Sampling(resize=100)), None)
    with pytest.raises(ConfigError):
        next(read_ahead([], SMALL, also=[Sampling(resize=100)]), None)


def test_further_samplings_come_with_the_first(tmp_path):
    path = write_video(tmp_path / "v.mp4", moving_frames(10))
    more = Sampling(segments=2, resize=32, crop=24)
    (read,) = read_ahead([Item(path, None)], SMALL, also=[more])
    (also,) = read.outcome.also
    assert (also.pixels == read_clips(path, more).pixels).all()
