"""An SDK worker of Flink or Spark: `main([CONTROL, ID])` connects to the engine and carries out bundles for it."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from typing import Any, NoReturn

from augmill.pipeline.driver import end_with_launcher

_LOOKS_EVERY = 0.5  # seconds
_GRACE = 3.0  # seconds to end in an orderly way


def main(arguments: list[str]) -> NoReturn:
    """Carry out bundles until the engine has no more, or is gone."""
    control, worker = arguments
    end_with_launcher()
    logging.basicConfig(level=logging.WARNING, format=f"%(asctime)s worker {worker}: %(message)s")
    code = 1
    try:
        logging.disable(logging.WARNING)  # Beam warns at once of what it could do for Google's cloud
        import grpc
        from apache_beam.runners.worker.sdk_worker import SdkHarness

        logging.disable(logging.NOTSET)
        try:
            harness = SdkHarness(control, worker_id=worker, state_cache_size=0, data_buffer_time_limit_ms=-1)
            threading.Thread(target=_end_with_engine, args=(harness,), daemon=True).start()
            harness.run()
            code = 0
        except grpc.RpcError as error:
            logging.error("its engine has gone: %s", error.details())
    except Exception:
        logging.exception("it failed")
    finally:
        sys.stderr.flush()
        os._exit(code)  # gRPC's threads, and one in the middle of a block, would hold up an ordinary exit


def _end_with_engine(harness: Any) -> None:
    """End this process soon after the engine has let go of it: the harness waits for bundles that nobody feeds now."""
    while harness._alive:
        time.sleep(_LOOKS_EVERY)
    time.sleep(_GRACE)
    os._exit(0)
