"""How fast augmill and its peers are, measured side by side; run from the repository's root, never installed.

    python -m benchmarks.run        every recipe with every contender, in alternation
    python -m benchmarks.curve      augmill alone, from a thousand records to a hundred thousand
    python -m benchmarks.profile    where the time of one block goes

Each of these writes its part of docs/benchmarks.md; of docs/loading-benchmarks.md:

    python -m benchmarks.loading    the loader beside tf.data, TFDS and webdataset
    python -m benchmarks.resume     the first batch of an epoch, and of one taken up in its middle
    python -m benchmarks.training   training from a version, and with augmentation in the input pipeline
    python -m benchmarks.memory     the loader's memory over twenty epochs
"""
