"""`edgevid stream`: recognize a video that goes on."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from edgevid.cli.options import BundlePath, FrameTemplate, On, Threads, check_file
from edgevid.errors import ConfigError, VideoError

if TYPE_CHECKING:
    from edgevid.bundle import Bundle
    from edgevid.contract import Session, StreamState
    from edgevid.live.display import Display, Shown
    from edgevid.live.recognizer import Recognizer

__all__ = ["stream"]


def stream(
    bundle: BundlePath,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A video, a folder of frames, camera, camera:1, /dev/video1, or rtsp://…",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    labels: Annotated[Path | None, typer.Option(help="Class names, one a line or JSON.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Answers a frame.")] = 3,
    frame_interval: Annotated[
        float | None,
        typer.Option(min=0.001, help="Seconds between frames; the bundle's own, else every frame."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Frames that a bundle of whole clips looks back; those after the last hop get no answer.",
        ),
    ] = None,
    hop: Annotated[
        int | None, typer.Option(min=1, help="Frames from one --window to the next; a segment by default.")
    ] = None,
    smooth: Annotated[
        list[str] | None, typer.Option(help="average:N, hysteresis:P or hysteresis:P:N; off by default.")
    ] = None,
    realtime: Annotated[
        bool, typer.Option("--realtime", help="Play a file at its own speed, and drop frames as a camera.")
    ] = False,
    save_state: Annotated[
        Path | None,
        typer.Option(help="Keep the network's state, to go on with the next part; smoothing begins anew."),
    ] = None,
    restore_state: Annotated[Path | None, typer.Option(help="Go on from what --save-state kept.")] = None,
    frame_template: FrameTemplate = None,
    rate: Annotated[
        float | None, typer.Option(min=0.01, help="Frames a second of a folder of frames.")
    ] = None,
    threads: Threads = None,
    on: On = "",
) -> None:
    """Recognize a video that goes on: a label a frame, as it comes.

    A camera or stream never makes the network lag: the oldest frames are
    dropped. One that goes away is opened again. Damaged frames are skipped.
    With --json the last line is a summary, and a source that goes away is
    told by a line {"event": "away", "why": ...}.

    Exit status: 0 the source ended; 1 an error; 2 the command line is
    wrong; 130 interrupted, or 143 terminated, with summary and state.
    """
    from edgevid.bundle import Bundle
    from edgevid.live import Smoothing, Tally, find_source, follow, load_state
    from edgevid.live import save_state as write_state
    from edgevid.live.display import Shown
    from edgevid.live.frame_by_frame import FrameByFrame
    from edgevid.live.interrupt import stopped_by_interrupt

    check_file(save_state, "saved states")
    opened = Bundle.open(bundle)
    _check_way(opened, window, hop, [save_state, restore_state])
    smoothing = Smoothing.parse(smooth or [])
    state = load_state(restore_state) if restore_state else None
    interval = frame_interval or opened.manifest.sampling.interval
    stopped = Event()
    found = find_source(
        source, stopped, frame_template=frame_template, rate=rate or (1 / interval if interval else None)
    )
    settings = replace(opened.manifest.settings, threads=threads or opened.manifest.settings.threads, on=on)
    with ExitStack() as stack:
        stack.callback(stopped.set)
        session = stack.enter_context(opened.session(opened.batches[0], settings))
        recognizer = _recognizer(opened, session, window, hop, state)
        tally = Tally(found.counts)
        shown = Shown(
            _names(opened, labels), top, tally, opened.simulated, _remarks(opened, session, interval)
        )
        display = _display(shown, as_json)

        def keep_state() -> None:
            if save_state is not None and isinstance(recognizer, FrameByFrame):
                write_state(save_state, recognizer.save())

        with stopped_by_interrupt(stopped) as interruption:
            try:
                with display:
                    for moment in follow(
                        found.frames(interval, realtime=realtime, waiting=display.wait),
                        recognizer,
                        opened.manifest.sampling,
                        smoothing,
                        tally,
                        stopped,
                        finish=save_state is None,
                    ):
                        display.show(moment)
            except (OSError, VideoError):
                # Nobody reads the answers any more, or no frame comes: the network is where it was.
                if tally.taken:
                    keep_state()
                raise
            tally.interrupted = interruption.status > 0
            keep_state()
            display.summary()
    if interruption.status:
        raise typer.Exit(interruption.status)


def _check_way(bundle: Bundle, window: int | None, hop: int | None, states: list[Path | None]) -> None:
    """Whole clips need a window, single frames none.

    Raises:
        ConfigError: otherwise.
    """
    streaming = bundle.artifact().streaming is not None
    if bundle.manifest.sampling.flow is not None:
        raise ConfigError(
            "the network looks at optical flow, and streams are of pictures",
            where=bundle.path,
            fix="give the network of RGB; files are recognized by edgevid run, flow included",
        )
    if streaming and (window or hop):
        raise ConfigError(
            "the bundle takes frame by frame, so that there is no window",
            where="--window" if window else "--hop",
            fix="leave it out, or give a bundle that was compiled without --streaming",
        )
    if streaming:
        return
    if window is None:
        raise ConfigError(
            "the bundle takes whole clips, not single frames",
            where=bundle.path,
            fix="compile the network with --streaming, or give --window T for a clip of the last T frames",
        )
    if any(states):
        raise ConfigError(
            "a sliding window has no state to keep",
            where="--save-state, --restore-state",
            fix="leave them out, or compile the network with --streaming",
        )


def _recognizer(
    bundle: Bundle, session: Session, window: int | None, hop: int | None, state: StreamState | None
) -> Recognizer:
    from edgevid.live import FrameByFrame, SlidingWindow

    sampling, streaming = bundle.manifest.sampling, bundle.artifact().streaming
    if streaming is not None:
        return FrameByFrame(session.stream(), sampling, state=state, delay=streaming.delay)
    assert window is not None
    return SlidingWindow(session, sampling, window, hop or max(window // sampling.segments, 1))


def _names(bundle: Bundle, labels: Path | None) -> list[str] | None:
    from edgevid.video.labels import read_labels

    return read_labels(labels, bundle.artifact().output.shape[1]) if labels else bundle.manifest.labels


def _remarks(bundle: Bundle, session: Session, interval: float | None) -> tuple[str, ...]:
    streaming = bundle.artifact().streaming
    remarks = [f"a frame every {interval:g} s" if interval else "every frame of the source"]
    if streaming is not None and streaming.delay:
        remarks.append(f"answers come {streaming.delay} frames late, which the network looks ahead")
    if session.emulated:
        remarks.append("the device is emulated: answers count, times mean nothing")
    return tuple(remarks)


def _display(shown: Shown, as_json: bool) -> Display:
    from edgevid import show
    from edgevid.live.json_lines import JsonLines
    from edgevid.live.lines import Lines
    from edgevid.live.terminal import TerminalView

    if as_json:
        return JsonLines(shown)
    return TerminalView(shown, show.out()) if sys.stdout.isatty() else Lines(shown)
