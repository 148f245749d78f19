"""Beam ignores flags that it does not know; here they are refused."""

from __future__ import annotations

import pytest

from augmill.pipeline.beam_options import check_beam_options
from augmill.pipeline.errors import OptionError


def test_beam_flags_that_beam_does_not_know_are_refused() -> None:
    check_beam_options([])
    check_beam_options(["--direct_running_mode=multi_threading", "--direct_runner_bundle_repeat", "1"])
    with pytest.raises(OptionError, match="Beam has no option --direct_runing_mode"):
        check_beam_options(["--direct_runing_mode=multi_threading"])
    with pytest.raises(OptionError, match="Beam has no option stray"):
        check_beam_options(["stray"])
    with pytest.raises(OptionError, match="--runner is not for Beam here"):
        check_beam_options(["--runner=FlinkRunner"])
    with pytest.raises(OptionError, match="--help is not for Beam here"):
        check_beam_options(["--help"])
    with pytest.raises(OptionError, match="Beam refuses its options: argument --direct_num_workers: invalid int"):
        check_beam_options(["--direct_num_workers=abc"])


def test_flags_that_the_job_server_knows_are_let_through() -> None:
    check_beam_options(["--object_reuse", "--execution_retry_delay=5"], ["object_reuse", "execution_retry_delay"])
    with pytest.raises(OptionError, match="Beam has no option --object_reuse"):
        check_beam_options(["--object_reuse"])
