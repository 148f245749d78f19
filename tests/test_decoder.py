"""What decoders say on standard error is caught, and is the reason where it tells of pixels that are made up."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest
from corpus import image_cases

from augmill.pipeline import decoder
from augmill.pipeline.decoder import decode_with_opencv
from augmill.pipeline.image_header import ImageError

DATA = {case.name: case.data for case in image_cases()}


def test_a_whole_image_decodes_as_opencv_decodes_it() -> None:
    data = DATA["444.jpg"]
    expected = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    np.testing.assert_array_equal(decode_with_opencv(data, cv2.IMREAD_COLOR_RGB), expected)


def test_pixels_that_would_be_made_up_are_a_reason_and_not_a_line_on_standard_error(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for flags in (cv2.IMREAD_COLOR_RGB, cv2.IMREAD_REDUCED_COLOR_2):
        with pytest.raises(ImageError, match="premature end of data segment; a part of its pixels would be made up"):
            decode_with_opencv(DATA["hole.jpg"], flags)
    assert decode_with_opencv(DATA["between.jpg"], cv2.IMREAD_COLOR_RGB) is not None, "which harms no pixel"
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd: pytest.CaptureFixture[str]) -> None:
    def work() -> str:
        os.write(2, b"libpng warning: iCCP: too short\nanother thread\n")
        return "done"

    assert decoder._listening(work) == ("done", "libpng warning: iCCP: too short\nanother thread\n")
    assert capfd.readouterr().err == "another thread\n"


def test_threads_and_forked_processes_hear_their_own(capfd: pytest.CaptureFixture[str]) -> None:
    heard: list[str] = []

    def decode(name: str) -> None:
        for _ in range(20):
            try:
                decode_with_opencv(DATA[name], cv2.IMREAD_COLOR_RGB)
                heard.append(f"{name} read")
            except ImageError:
                heard.append(f"{name} refused")

    threads = [threading.Thread(target=decode, args=(name,)) for name in ("hole.jpg", "444.jpg", "icc.png")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(heard) == {"hole.jpg refused", "444.jpg read", "icc.png read"}
    assert capfd.readouterr().err == ""
    child = os.fork()
    if child == 0:
        before = decoder._sink
        decoder._listening(lambda: None)
        os._exit(0 if decoder._sink != before else 1)
    assert os.waitpid(child, 0)[1] == 0, "a forked process has a file of its own"


def test_without_a_standard_error_images_are_read(tmp_path: object) -> None:
    script = "import os, sys, pathlib; os.close(2)\nfrom augmill.pipeline.image import decode_image\n"
    script += "print(decode_image(sys.stdin.buffer.read()).shape)"
    done = subprocess.run([sys.executable, "-c", script], input=DATA["444.jpg"], capture_output=True, check=True)
    assert done.stdout == b"(150, 211, 3)\n"
