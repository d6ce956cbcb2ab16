"""Importing the video input is cheap: the libraries that it uses load when it reads."""

import subprocess
import sys


def test_importing_the_reader_loads_no_video_or_picture_library():
    code = (
        "import sys, edgevid.video.read, edgevid.video.labels\n"
        "print([name for name in ('av', 'cv2', 'PIL', 'torch', 'onnx') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_public_names_are_all_there_and_sorted():
    import edgevid.video as video

    assert list(video.__all__) == sorted(video.__all__)
    assert all(hasattr(video, name) for name in video.__all__)
